package zishang

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
)

// The library's Emit with an acknowledgement calls BroadcastWithAck, then ServerCount, writes the count
// into a variable, and compares: complete is when as many servers have told their number of clients as
// that variable says, and as many clients have answered as they told. Its callbacks read the variable in
// other goroutines, without a lock. So here they are called once, all answers together at the end, as
// many times as ServerCount has said, and not before the library has had the time to write it. The race
// remains as such, and Ask is without it.

const (
	// settle is how long the library has for the four instructions between its two calls.
	settle = 5 * time.Millisecond
	// timeoutMargin is how much earlier than the library's timer a wait ends, so that only one of the two
	// tells the application.
	timeoutMargin = 3 * time.Millisecond
	// countAge is how old the number of servers may be.
	countAge = time.Second
)

var errNotOurs = errors.New("namespace is not of a server made by New")

// BroadcastWithAck sends an event and collects one answer of each client.
func (n *namespace) BroadcastWithAck(p *parser.Packet, o *socket.BroadcastOptions, count func(uint64), ack socket.Ack) {
	n.ServerCount()
	n.mu.Lock()
	n.asking++
	servers := n.servers
	n.mu.Unlock()

	var limit time.Duration
	single := false
	if o != nil && o.Flags != nil {
		single = o.Flags.ExpectSingleResponse
		if o.Flags.Timeout != nil {
			limit = *o.Flags.Timeout
		}
	}
	m, err := message(p.Data)
	if err != nil {
		n.failed("broadcast", err)
		return // the library's timer tells the application
	}
	began := time.Now()
	t := target(o)
	n.h.background(func() {
		ctx, cancel := context.WithTimeout(n.h.lifetime, max(limit-timeoutMargin, limit/2))
		defer cancel()
		var got answers
		err := n.adapter.BroadcastWithAck(ctx, m, t, got.add)
		list := got.take()
		wait := time.NewTimer(settle - time.Since(began))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
		n.h.protect("acknowledgement", func() { tell(list, err == nil, single, servers, count, ack) })
	})
}

// tell calls the library's callbacks such that the last call completes the wait, if it is complete.
func tell(list []any, complete, single bool, servers int64, count func(uint64), ack socket.Ack) {
	if single {
		// The library takes the first response for the list of the one client's values, and panics when
		// there is none; without an answer its timer tells the application.
		if len(list) == 0 {
			return
		}
		list = []any{[]any{list[0]}}
	}
	if len(list) > 0 {
		ack(list, nil)
	}
	if !complete {
		return
	}
	for range servers - 1 {
		count(0)
	}
	count(uint64(len(list)))
}

// ServerCount returns the number of servers in the cluster, this one included. It is asked for anew after
// some seconds, but stays the same between a BroadcastWithAck and the library's question after it.
func (n *namespace) ServerCount() int64 {
	n.mu.Lock()
	if n.asking > 0 {
		n.asking--
		defer n.mu.Unlock()
		return n.servers
	}
	fresh := time.Since(n.asked) < countAge
	servers := n.servers
	n.mu.Unlock()
	if fresh {
		return servers
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	count, err := n.adapter.Servers(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = time.Now()
	if err == nil && count > 0 && n.asking == 0 {
		n.servers = int64(count)
	}
	return n.servers
}

// Ask sends an event to the sockets of nsp in any of rooms, to all when there are none, in the whole
// cluster, and returns the first value of each one's acknowledgement, when all have answered or ctx is
// done; in that case together with an *adapter.PartialError. It does what the library's
// io.To(rooms...).Timeout(d).Emit(event, args..., ack) does, without its data race.
func Ask(ctx context.Context, nsp socket.Namespace, rooms []socket.Room, event string, args ...any) ([]any, error) {
	n, ok := nsp.Adapter().(*namespace)
	if !ok {
		return nil, errNotOurs
	}
	m, err := message(append([]any{event}, args...))
	if err != nil {
		return nil, err
	}
	var got answers
	err = n.adapter.BroadcastWithAck(ctx, m, adapter.Target{Rooms: names(rooms)}, got.add)
	return got.take(), err
}

// answers collects answers in the library's form, from any goroutine.
type answers struct {
	mu   sync.Mutex
	list []any
	done bool
}

func (a *answers) add(m adapter.Message) {
	if m.Data == nil {
		return
	}
	v := value(m.Data, m.Attachments)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.done {
		a.list = append(a.list, v)
	}
}

// take returns what has come; later answers are dropped.
func (a *answers) take() []any {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done = true
	return a.list
}
