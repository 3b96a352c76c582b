package server

import (
	"context"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
)

// Broadcast selects sockets of a namespace in the whole cluster and acts on them. It begins with a
// method of Namespace, Server or Socket and is a value: every method returns a changed copy, so one may
// be kept and used from many goroutines.
type Broadcast struct {
	nsp     *Namespace
	target  adapter.Selection
	timeout time.Duration
	from    *Socket // whose it is, or nil
}

// Broadcast selects every socket of the namespace but this one.
func (s *Socket) Broadcast() Broadcast {
	return s.nsp.Except(s.id).of(s)
}

// To selects the sockets in any of rooms, but for this one: nobody when there are none. In is the same.
func (s *Socket) To(rooms ...string) Broadcast { return s.Broadcast().To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) Broadcast { return s.Broadcast().To(rooms...) }

// Except selects every socket of the namespace but this one and those in any of rooms.
func (s *Socket) Except(rooms ...string) Broadcast { return s.Broadcast().Except(rooms...) }

// Local selects every socket of the namespace on this server but this one.
func (s *Socket) Local() Broadcast { return s.Broadcast().Local() }

// To selects the sockets in any of rooms, besides those in rooms selected before. Of no rooms that is nobody, where in
// Node it is everybody: a list that happens to be empty selects none, and nothing is sent to other servers then.
func (b Broadcast) To(rooms ...string) Broadcast { b.target = b.target.To(rooms...); return b }

// In is To.
func (b Broadcast) In(rooms ...string) Broadcast { return b.To(rooms...) }

// Except leaves out the sockets in any of rooms.
func (b Broadcast) Except(rooms ...string) Broadcast { b.target = b.target.Except(rooms...); return b }

// of says whose it is.
func (b Broadcast) of(s *Socket) Broadcast { b.from = s; return b }

// Local keeps to the sockets of this server.
func (b Broadcast) Local() Broadcast { b.target.Local = true; return b }

// Volatile drops the event for clients that cannot take it at once.
func (b Broadcast) Volatile() Broadcast { b.target.Volatile = true; return b }

// Compress says whether the event may be compressed; it may by default.
func (b Broadcast) Compress(compress bool) Broadcast { b.target.NoCompress = !compress; return b }

// Timeout bounds EmitWithAck, FetchSockets and Count, which then end with ErrTimeout. Zero is no bound beside the
// context's, or 5 s if that has none either.
func (b Broadcast) Timeout(d time.Duration) Broadcast { b.timeout = d; return b }

// Emit sends an event to the sockets selected. It is encoded once. See Socket.Emit for the arguments.
// An error says that the arguments do not encode, that the name is reserved, or that there is no namespace
// (ErrServerClosed, or why it cannot be made); adapter.ErrDegraded that other servers could not be reached, while the
// sockets of this one have got the event.
func (b Broadcast) Emit(event string, args ...any) error {
	m, err := b.nsp.server.newMessage(event, args)
	if err != nil {
		return err
	}
	return b.emit(m)
}

// emit sends an event that is encoded.
func (b Broadcast) emit(m adapter.Message) error {
	b.show(m)
	return b.act(func(a adapter.Adapter, t adapter.Target) error { return a.Broadcast(m, t) })
}

// show shows an event that is sent in the log, if it is one that is shown.
func (b Broadcast) show(m adapter.Message) {
	if d := b.nsp.server.debug; d != nil {
		t := &b.target
		d.out("event out", &packet.Packet{Namespace: b.nsp.name, Data: m.Data, Attachments: m.Attachments}, "rooms", t.Rooms, "except", t.Target.Except)
	}
}

// act has do act on what is selected, unless that is nobody.
func (b Broadcast) act(do func(adapter.Adapter, adapter.Target) error) error {
	n, err := b.nsp.hold()
	if err != nil {
		return err
	}
	defer n.release()
	if b.target.Nobody() {
		return nil
	}
	return do(n.adapter, b.target.Target)
}

// look is act for what waits for other servers, within its time.
func (b Broadcast) look(ctx context.Context, do func(context.Context, adapter.Adapter, adapter.Target) error) error {
	return b.act(func(a adapter.Adapter, t adapter.Target) error {
		ctx, cancel := b.nsp.server.within(ctx, b.timeout)
		defer cancel()
		return do(ctx, a, t)
	})
}

// given returns ctx, or the background for nil, which is no mistake worth a panic.
func given(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// FetchSockets describes the sockets selected. When servers do not answer in time it returns those of
// the others together with an *adapter.PartialError that names them. See EmitWithAck for its cause.
func (b Broadcast) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	var details []adapter.Details
	err := b.look(ctx, func(ctx context.Context, a adapter.Adapter, t adapter.Target) (err error) {
		details, err = a.Fetch(ctx, t)
		return err
	})
	out := make([]*RemoteSocket, len(details))
	for i := range details {
		out[i] = newRemoteSocket(b.nsp, &details[i])
	}
	return out, err
}

// Count returns how many sockets are selected, without describing them.
func (b Broadcast) Count(ctx context.Context) (n int, err error) {
	err = b.look(ctx, func(ctx context.Context, a adapter.Adapter, t adapter.Target) (err error) {
		n, err = a.Count(ctx, t)
		return err
	})
	return n, err
}

// SocketsJoin puts the sockets selected into rooms.
func (b Broadcast) SocketsJoin(rooms ...string) error {
	return b.act(func(a adapter.Adapter, t adapter.Target) error { return a.SocketsJoin(t, rooms...) })
}

// SocketsLeave takes the sockets selected out of rooms.
func (b Broadcast) SocketsLeave(rooms ...string) error {
	return b.act(func(a adapter.Adapter, t adapter.Target) error { return a.SocketsLeave(t, rooms...) })
}

// DisconnectSockets disconnects the sockets selected, or closes their sessions. See Socket.Disconnect.
func (b Broadcast) DisconnectSockets(closeSession bool) error {
	return b.act(func(a adapter.Adapter, t adapter.Target) error { return a.Disconnect(t, closeSession) })
}
