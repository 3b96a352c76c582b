package zishang

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// local is what a namespace is to its adapter.Adapter.
type local struct{ n *namespace }

var _ adapter.Namespace = local{}

func (l local) Name() string { return l.n.name }

// Deliver encodes m once and sends the same bytes to every member.
func (l local) Deliver(m adapter.Message, f adapter.Flags, to []adapter.Member) (after func()) {
	if m.Offset != "" {
		for _, to := range to {
			to.(*member).last.Store(&m.Offset)
		}
	}
	return l.send(&packet.Packet{Type: packet.Event, Namespace: l.n.name, Data: m.Data, Attachments: m.Attachments}, f, to)
}

// send returns what tells those who listen to what is sent, nil if nobody does.
func (l local) send(p *packet.Packet, f adapter.Flags, to []adapter.Member) (after func()) {
	if len(to) == 0 {
		return nil
	}
	h := l.n.h
	var room [4]packet.Message
	prepared := transport.Prepare(messages(nil, h.cfg.Parser.Encode(room[:0], nil, p))...)
	opts := transport.SendOptions{Volatile: f.Volatile, NoCompress: f.NoCompress}
	var listening []*member
	for _, to := range to {
		m := to.(*member)
		if m.out.Load() {
			continue
		}
		if len(m.socket.ListenersAnyOutgoing()) > 0 {
			listening = append(listening, m)
		}
		_ = m.seat.session.session.SendPrepared(opts, prepared) // a session that closed says so by Closed
	}
	h.stats.eventsOut.Add(uint64(len(to)))
	if listening == nil {
		return nil
	}
	return func() {
		outgoing := sync.OnceValue(func() *parser.Packet { return outgoingPacket(p) })
		for _, m := range listening {
			l.n.notifyOutgoing(m, outgoing)
		}
	}
}

// outgoingPacket is p as the library's listeners of outgoing packets get it.
func outgoingPacket(p *packet.Packet) *parser.Packet {
	out := &parser.Packet{Type: parser.EVENT, Nsp: p.Namespace}
	if e, ok := newEvent(p.Data, p.Attachments); ok {
		out.Data = append([]any{e.name}, e.arguments()...)
	}
	return out
}

// notifyOutgoing calls the listeners that the application has set for what is sent to m.
func (n *namespace) notifyOutgoing(m *member, p func() *parser.Packet) {
	if len(m.socket.ListenersAnyOutgoing()) == 0 {
		return
	}
	n.h.protect("outgoing", func() { m.socket.NotifyOutgoingListeners()(p()) })
}

// deliverTo sends an event to one member that is not in its rooms yet.
func (n *namespace) deliverTo(m *member, msg adapter.Message) {
	m.last.Store(&msg.Offset)
	m.sendEvent(msg, transport.SendOptions{})
}

// DeliverWithAck does so and collects the answers. One id serves all members, as in Node.
func (l local) DeliverWithAck(m adapter.Message, f adapter.Flags, to []adapter.Member,
	answer func(adapter.Message),
) (forget func()) {
	id := l.n.nsp.Ids()
	to = slices.Clone(to) // the adapter takes it back
	for _, m := range to {
		m.(*member).expect(id, answer)
	}
	if after := l.send(&packet.Packet{
		Type: packet.Event, Namespace: l.n.name, ID: id, HasID: true, Data: m.Data, Attachments: m.Attachments,
	}, f, to); after != nil {
		after()
	}
	return func() {
		for _, m := range to {
			m.(*member).forget(id)
		}
	}
}

// Describe describes members in Node's form.
func (l local) Describe(of []adapter.Member) []adapter.Details {
	out := make([]adapter.Details, len(of))
	for i, m := range of {
		s := m.(*member).socket
		out[i] = adapter.Details{
			ID: m.ID(), Rooms: l.n.adapter.RoomsOf(m), Data: l.n.jsonOf(s.Data()),
			Handshake: l.n.handshakeOf(s.Handshake()),
		}
	}
	return out
}

// Disconnect disconnects members.
func (l local) Disconnect(members []adapter.Member, closeSession bool) {
	for _, m := range members {
		l.n.h.protect("disconnect", func() { m.(*member).socket.Disconnect(closeSession) })
	}
}

// TakeOver is false: the ids of the library's sockets do not follow from what their clients know.
func (l local) TakeOver(context.Context, string) bool { return false }

// ServerEvent has the handlers of an event of another server run, in the order of arrival and off the
// adapter's goroutine.
func (l local) ServerEvent(m adapter.Message, reply func(adapter.Message)) {
	e, ok := newEvent(m.Data, m.Attachments)
	if !ok || socket.NAMESPACE_RESERVED_EVENTS.Has(e.name) {
		return
	}
	if reply != nil {
		e.ack = once(func(args []any) { reply(answerOf(args)) })
	}
	l.n.remote.add(e)
}

// answerOf is the first of an application's values as an answer.
func answerOf(args []any) adapter.Message {
	if len(args) > 0 {
		if data, attachments, err := packet.AppendValue(nil, nil, plain(args[0])); err == nil {
			return adapter.Message{Data: data, Attachments: attachments}
		}
	}
	return adapter.Message{Data: []byte("null")}
}

// remoteEvents are the events of other servers that wait for their handlers.
type remoteEvents struct {
	namespace *namespace // set by New, then read only

	mu      sync.Mutex
	waiting []*event // guarded by mu
	running bool     // guarded by mu
}

func (r *remoteEvents) add(e *event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, e)
	if !r.running {
		r.running = r.namespace.h.background(r.run)
	}
}

func (r *remoteEvents) run() {
	for {
		r.mu.Lock()
		if len(r.waiting) == 0 {
			r.running = false
			r.mu.Unlock()
			return
		}
		e := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.mu.Unlock()
		n := r.namespace
		if own, ok := n.nsp.EventEmitter().EventEmitter.(*namespaceEmitter); ok {
			own.dispatch(e)
		}
	}
}

// details is a socket anywhere in the cluster, as the library wants it.
type details struct {
	id        socket.SocketId
	handshake *socket.Handshake
	rooms     *types.Set[socket.Room]
	data      any
}

func (d details) Id() socket.SocketId            { return d.id }
func (d details) Handshake() *socket.Handshake   { return d.handshake }
func (d details) Rooms() *types.Set[socket.Room] { return d.rooms }
func (d details) Data() any                      { return d.data }

// describe turns d into the library's form. A socket of this server has its data as the application has
// set them; those of others come as the values encoding/json makes.
func (n *namespace) describe(d adapter.Details) socket.SocketDetails {
	out := details{id: socket.SocketId(d.ID), rooms: roomsOf(d.Rooms)}
	if m := n.member(out.id); m != nil {
		out.handshake, out.data = m.socket.Handshake(), m.socket.Data()
		return out
	}
	out.handshake = fromHandshake(d.Handshake)
	if len(d.Data) > 0 && json.Unmarshal(d.Data, &out.data) != nil {
		out.data = nil
	}
	return out
}

// handshakeOf turns the library's handshake into Node's form.
func (n *namespace) handshakeOf(h *socket.Handshake) adapter.Handshake {
	at := time.UnixMilli(h.Issued)
	d := adapter.Handshake{
		Headers: make(map[string]string, len(h.Headers)), Query: make(map[string]string, len(h.Query)),
		Time: at.UTC().Format("Mon Jan 02 2006 15:04:05 GMT-0700 (MST)"), Issued: h.Issued,
		Address: h.Address, XDomain: h.Xdomain, Secure: h.Secure, URL: h.Url, Auth: n.jsonOf(h.Auth),
	}
	for k, v := range h.Headers {
		d.Headers[strings.ToLower(k)] = strings.Join(v, ", ")
	}
	for k, v := range h.Query {
		if len(v) > 0 {
			d.Query[k] = v[len(v)-1]
		}
	}
	return d
}

func fromHandshake(h adapter.Handshake) *socket.Handshake {
	out := &socket.Handshake{
		Headers: make(map[string][]string, len(h.Headers)), Query: make(map[string][]string, len(h.Query)),
		Time: h.Time, Address: h.Address, Xdomain: h.XDomain, Secure: h.Secure, Issued: h.Issued, Url: h.URL,
	}
	for k, v := range h.Headers {
		out.Headers[k] = []string{v}
	}
	for k, v := range h.Query {
		out.Query[k] = []string{v}
	}
	if len(h.Auth) > 0 {
		_ = json.Unmarshal(h.Auth, &out.Auth) // what is no JSON is no auth
	}
	return out
}
