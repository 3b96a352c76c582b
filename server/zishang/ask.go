package zishang

import (
	"context"
	"errors"
	"time"

	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
)

// The library's Emit with an acknowledgement calls BroadcastWithAck, then ServerCount, writes the count
// into a variable, and compares: complete is when as many servers have told their number of clients as
// that variable says, and as many clients have answered as they told. Its callbacks read the variable in
// other goroutines, without a lock. So here they are called once, for one server, all answers together at the
// end, and not before the library has had the time to write the variable. The race remains as such, and Ask is
// without it.

const (
	// settle is how long the library has for the four instructions between its two calls.
	settle = 5 * time.Millisecond
	// timeoutMargin is how much earlier than the library's timer a wait ends, so that only one of the two
	// tells the application.
	timeoutMargin = 3 * time.Millisecond
)

var errNotOurs = errors.New("namespace is not of a server made by New")

// BroadcastWithAck sends an event and collects one answer of each client.
func (n *namespace) BroadcastWithAck(p *parser.Packet, o *socket.BroadcastOptions, count func(uint64), ack socket.Ack) {
	var limit time.Duration
	single := false
	if o != nil && o.Flags != nil {
		single = o.Flags.ExpectSingleResponse
		if o.Flags.Timeout != nil {
			limit = *o.Flags.Timeout
		}
	}
	name, args, err := eventOf(p.Data)
	if err == nil {
		settled := time.Now().Add(settle)
		err = n.selection(o).Timeout(max(limit-timeoutMargin, limit/2, 1)).EmitThen(func(got []server.Args, err error) {
			select {
			case <-time.After(time.Until(settled)):
			case <-n.h.lifetime.Done():
			}
			n.h.protect("acknowledgement", func() { tell(firstOf(got), err == nil, single, count, ack) })
		}, name, args...)
	}
	if err != nil { // the library's timer tells the application
		n.h.failed(n.name, "broadcast of "+name, err)
	}
}

// tell calls the library's callbacks such that the last call completes the wait, if it is complete.
func tell(list []any, complete, single bool, count func(uint64), ack socket.Ack) {
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
	if complete {
		count(uint64(len(list)))
	}
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
	got, err := n.in(texts(rooms)).EmitWithAck(ctx, event, wires(args)...)
	return firstOf(got), err
}
