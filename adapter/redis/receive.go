package redis

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// maxAsk bounds how long clients may take to answer a question of another node that does not say how
// long it waits.
const maxAsk = time.Minute

// receive takes what arrived on a channel of the namespace.
func (n *namespace) receive(channel string, payload []byte) {
	n.c.stats.received.Add(1)
	switch uid, x, ok := readNumber(payload); {
	case !ok:
		n.open(channel, payload, 0)
	case string(uid) == n.c.uid:
		n.c.stats.skipped.Add(1)
	default:
		n.c.inbox.take(n, channel, uid, &x, payload)
	}
}

// open reads what arrived, with its number if it has one, and does what it says.
func (n *namespace) open(channel string, payload []byte, number uint64) {
	m, err := n.c.wire.decode(n.name, channel, payload, &n.Local)
	switch {
	case err != nil:
		uid, _ := readSender(payload)
		s := n.c.garbled(uid, err, "namespace", n.name, "bytes", len(payload))
		if s != nil && number > 0 {
			n.c.inbox.count(s, lostGarbled, 1)
		}
	case m == nil:
		n.c.stats.skipped.Add(1)
	default:
		begun := time.Now()
		if n.handle(m); m.kind == kindSocketsJoin && number > 0 {
			uid, _, _ := readNumber(payload)
			n.c.inbox.joined(n, uid, m.rooms, number, begun)
		}
	}
}

// garbled notes a message, or an entry of a stream, that could not be understood, and returns who sent it if that is a
// Beanpole node: to be counted, if it was an event.
func (c *Cluster) garbled(uid []byte, err error, about ...any) *source {
	c.stats.malformed.Add(1)
	c.cfg.Logger.Debug("message from the cluster not understood", append(about, "node", string(uid), "error", err)...)
	if !c.members.listed(string(uid)) {
		return nil
	}
	c.state.set(PartAgreement, ofMessages, fmt.Errorf("%w: of %s: %w", errGarbled, uid, err))
	return c.inbox.source(uid)
}

// handle does what m says. It must not block.
func (n *namespace) handle(m *message) {
	if m.asked {
		n.lacks(m)
		return
	}
	n.note(m)
	switch m.kind {
	case kindBroadcast:
		if m.request != "" {
			n.ask(m)
			return
		}
		n.Local.Broadcast(m.event, m.target)
	case kindSocketsJoin:
		n.Local.SocketsJoin(m.target, m.rooms...)
	case kindSocketsLeave:
		n.Local.SocketsLeave(m.target, m.rooms...)
	case kindDisconnect:
		n.Local.Disconnect(m.target, m.close)
	case kindServerSideEmit:
		n.Namespace.ServerEvent(m.event, n.replier(m))
	case kindFetch:
		if m.counted && n.c.members.knows(m.uid) {
			n.respond(m, &message{kind: kindFetchResponse, counted: true, count: n.Rooms.Count(m.target)})
			return
		}
		// Describing many sockets takes a while.
		n.c.wg.Go(func() { n.describe(m) })
	case kindPiece:
		n.c.wg.Go(func() { n.more(m) })
	case kindAllRooms:
		n.respond(m, &message{kind: kindRoomsResponse, rooms: n.Names(true)})
	case kindSockets:
		r := &message{kind: kindSocketsResponse}
		for _, x := range n.Members(adapter.Target{Rooms: m.rooms}) {
			r.rooms = append(r.rooms, x.ID())
		}
		n.respond(m, r)
	case kindLegacyOne:
		n.one(m)
	case kindTakeOver:
		if n.line != nil {
			n.c.wg.Go(func() { n.yield(m) }) // it waits until the session is saved
		}
	default:
		n.answer(m)
	}
}

// respond answers q.
func (n *namespace) respond(q, m *message) {
	m.request = q.request
	m.own = q.own || n.c.members.knows(q.uid)
	// A loss is counted, and the other node does not wait for ever.
	err := n.publish(m, q.uid)
	if errors.Is(err, ErrTooLarge) {
		n.c.stats.lost[lostLarge].Add(1)
	}
	if errors.Is(err, ErrTooLarge) || errors.Is(err, errEncode) {
		n.c.cfg.Logger.Warn("an answer to another server cannot be sent: it gets none", "namespace", n.name, "error", err)
	}
}

// replier returns the function that answers a server event, nil when no answer is wanted.
func (n *namespace) replier(m *message) func(adapter.Message) {
	if m.request == "" {
		return nil
	}
	var once sync.Once
	return func(a adapter.Message) {
		once.Do(func() {
			if m.free == 0 || weight(a) <= m.free {
				n.respond(m, &message{kind: kindServerSideEmitResponse, event: a})
				return
			}
			x := n.newReplies(m, 1)
			x.open = true
			n.keep(x.key, x, 0, m.lasts(keepParcel))
			x.add(a, false)
		})
	}
}

// one changes a single socket, as old versions of Node's adapter ask.
func (n *namespace) one(m *message) {
	if !n.IsMember(m.sid) {
		return
	}
	t := adapter.Target{Rooms: []string{m.sid}}
	switch m.legacy {
	case kindSocketsJoin:
		n.Local.SocketsJoin(t, m.rooms...)
	case kindSocketsLeave:
		n.Local.SocketsLeave(t, m.rooms...)
	default:
		n.Local.Disconnect(t, m.close)
	}
	n.respond(m, &message{kind: kindLegacyResponse})
}

// answer takes an answer to a question of this node.
func (n *namespace) answer(m *message) {
	if m.kind == kindFetchResponse || m.kind == kindUnasked || m.kind == kindReplies { // there is no loan for others
		defer n.c.inflow.came(loanKey{m.request, m.uid, m.piece}) // behind what is asked for next
	}
	n.mu.Lock()
	r := n.requests[m.request]
	n.mu.Unlock()
	if r == nil { // late, or another node's
		if m.kind == kindReplies && m.more {
			n.spare(m.uid, m.request)
		}
		return
	}
	switch {
	case m.kind == kindFetchResponse && r.kind == kindFetch, m.kind == kindReplies && (r.kind == kindBroadcast || r.kind == kindServerSideEmit):
		n.fetched(r, m)
	case m.kind == kindServerSideEmitResponse && r.kind == kindServerSideEmit:
		if r.answered(m.uid, 1) {
			r.put(m.uid, m.event, false)
		}
	case m.kind == kindClientCount && r.kind == kindBroadcast:
		r.answered(m.uid, m.count)
	case m.kind == kindTakeOverResponse && r.kind == kindTakeOver:
		r.mu.Lock()
		r.count += m.count
		r.mu.Unlock()
		if r.answered(m.uid, 0); m.count > 0 {
			r.enough()
		}
	case m.kind == kindUnasked:
		r.drop(m.uid)
	case m.kind == kindAck && r.kind == kindBroadcast:
		r.put(m.uid, m.event, m.gone)
	}
}

// ask asks the clients m selects and sends their answers back.
func (n *namespace) ask(m *message) {
	n.mu.Lock()
	_, twice := n.parcels[m.parcel()]
	closed := n.closed
	n.mu.Unlock()
	if closed || twice {
		return
	}
	a := n.newReplies(m, 0)
	count, forget := n.Ask(m.event, m.target, a.add)
	if count > 0 {
		n.keep(a.key, a, 0, m.lasts(maxAsk))
	}
	a.say(count, forget)
}
