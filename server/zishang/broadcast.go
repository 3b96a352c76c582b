package zishang

import (
	"context"
	"errors"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/transport"
)

// This file is what the library asks of the cluster, put into the words of package adapter.

// target is the selection that o means. Whether to compress is the transport's decision: the library's
// flag is false unless an application sets it, so that it cannot say no.
func target(o *socket.BroadcastOptions) adapter.Target {
	if o == nil {
		return adapter.Target{}
	}
	t := adapter.Target{Rooms: textsOf(o.Rooms), Except: textsOf(o.Except)}
	if o.Flags != nil {
		t.Volatile, t.Local = o.Flags.Volatile, o.Flags.Local
	}
	return t
}

// message encodes an event of the library. Binaries are copied, as applications of the library may change
// them once Emit has returned.
func message(data any) (adapter.Message, error) {
	b, attachments, err := encodeEvent(data)
	for i, a := range attachments {
		attachments[i] = append([]byte{}, a...)
	}
	return adapter.Message{Data: b, Attachments: attachments}, err
}

// Broadcast sends an event to what o selects, here and on other servers.
func (n *namespace) Broadcast(p *parser.Packet, o *socket.BroadcastOptions) {
	t := target(o)
	if p.Id != nil {
		n.unicast(p, t)
		return
	}
	m, err := message(p.Data)
	if err == nil {
		err = n.adapter.Broadcast(m, t)
	}
	n.failed("broadcast", err)
}

// unicast sends an event that wants an acknowledgement to the one socket of t. With recovery the library
// sends all events through its adapter, these too, though nobody could answer them after a reconnection.
func (n *namespace) unicast(p *parser.Packet, t adapter.Target) {
	for _, name := range t.Rooms {
		m := n.member(socket.SocketId(name))
		if m == nil {
			continue
		}
		n.notifyOutgoing(m, func() *parser.Packet { return p })
		m.send(&parser.Packet{Type: parser.EVENT, Nsp: n.name, Id: p.Id, Data: p.Data},
			transport.SendOptions{Volatile: t.Volatile})
	}
}

// failed logs what the library has no way to return.
func (n *namespace) failed(what string, err error) {
	switch {
	case err == nil:
	case errors.Is(err, adapter.ErrDegraded):
		n.h.stats.degraded.Add(1)
		n.h.log.Debug("done on this server only", "namespace", n.name, "what", what)
	default:
		n.h.log.Error("not done", "namespace", n.name, "what", what, "err", err)
	}
}

// Sockets returns the ids of the sockets in any of rooms, all when there are none, in the whole cluster.
func (n *namespace) Sockets(rooms *types.Set[socket.Room]) *types.Set[socket.SocketId] {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	details, err := n.adapter.Fetch(ctx, adapter.Target{Rooms: textsOf(rooms)})
	n.failed("all sockets", err)
	set := types.NewSet[socket.SocketId]()
	for _, d := range details {
		set.Add(socket.SocketId(d.ID))
	}
	return set
}

// AddSockets puts what o selects into rooms.
func (n *namespace) AddSockets(o *socket.BroadcastOptions, rooms []socket.Room) {
	n.failed("sockets join", n.adapter.SocketsJoin(target(o), names(rooms)...))
}

// DelSockets takes what o selects out of rooms.
func (n *namespace) DelSockets(o *socket.BroadcastOptions, rooms []socket.Room) {
	n.failed("sockets leave", n.adapter.SocketsLeave(target(o), names(rooms)...))
}

// DisconnectSockets disconnects what o selects.
func (n *namespace) DisconnectSockets(o *socket.BroadcastOptions, closeSession bool) {
	n.failed("disconnect sockets", n.adapter.Disconnect(target(o), closeSession))
}

// FetchSockets describes what o selects, in the whole cluster. When servers do not answer in time the
// callback gets both what has come and an error.
func (n *namespace) FetchSockets(o *socket.BroadcastOptions) func(func([]socket.SocketDetails, error)) {
	return func(callback func([]socket.SocketDetails, error)) {
		limit := askTimeout
		if o != nil && o.Flags != nil && o.Flags.Timeout != nil {
			limit = *o.Flags.Timeout
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		details, err := n.adapter.Fetch(ctx, target(o))
		out := make([]socket.SocketDetails, 0, len(details))
		for _, d := range details {
			out = append(out, n.describe(d))
		}
		callback(out, err)
	}
}

// ServerSideEmit sends an event to the other servers. If the last of args is an acknowledgement, it gets
// one answer of each.
func (n *namespace) ServerSideEmit(args []any) error {
	ack, ok := args[len(args)-1].(socket.Ack)
	if !ok {
		m, err := message(args)
		if err != nil {
			return err
		}
		return n.adapter.ServerSideEmit(m)
	}
	m, err := message(args[:len(args)-1])
	if err != nil {
		return err
	}
	n.h.background(func() {
		ctx, cancel := context.WithTimeout(n.h.lifetime, askTimeout)
		defer cancel()
		var got answers
		err := n.adapter.ServerSideEmitWithAck(ctx, m, got.add)
		list := got.take()
		n.h.protect("acknowledgement", func() { ack(list, err) })
	})
	return nil
}

func names(rooms []socket.Room) []string {
	out := make([]string, len(rooms))
	for i, r := range rooms {
		out[i] = string(r)
	}
	return out
}
