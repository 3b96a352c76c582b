package zishang

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	cluster "github.com/zishang520/socket.io/v2/adapter"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// This file is what the library asks of the cluster, put into the words of package server.

var errNoName = errors.New("event without a name")

// in selects the sockets in any of rooms; of none that is everybody to the library, and nobody to package server.
func (n *namespace) in(rooms []string) server.Broadcast {
	if len(rooms) == 0 {
		return n.server().Except()
	}
	return n.server().To(rooms...)
}

// selection is what o selects. Whether to compress is the transport's decision: the library's flag is false
// unless an application sets it, so that it cannot say no.
func (n *namespace) selection(o *socket.BroadcastOptions) server.Broadcast {
	if o == nil {
		return n.in(nil)
	}
	b := n.in(textsOf(o.Rooms)).Except(textsOf(o.Except)...)
	if o.Flags == nil {
		return b
	}
	if o.Flags.Volatile {
		b = b.Volatile()
	}
	if o.Flags.Local {
		b = b.Local()
	}
	if o.Flags.Timeout != nil {
		b = b.Timeout(*o.Flags.Timeout)
	}
	return b
}

// eventOf takes the payload of an event apart.
func eventOf(data any) (name string, args []any, err error) {
	list, _ := data.([]any)
	if len(list) > 0 {
		if name, ok := list[0].(string); ok {
			return name, wires(list[1:]), nil
		}
	}
	return "", nil, errNoName
}

// Broadcast sends an event to what o selects, here and on other servers.
func (n *namespace) Broadcast(p *parser.Packet, o *socket.BroadcastOptions) {
	if m := n.only(o); m != nil && (p.Id != nil || !m.server.Connected()) {
		// With recovery the library sends all events to one socket through its adapter, these too.
		m.emit(p)
		return
	}
	name, args, err := eventOf(p.Data)
	if err == nil {
		err = n.selection(o).Emit(name, args...)
	}
	n.h.failed(n.name, "broadcast of "+name, err)
}

// only returns the socket of this server that o selects by its id, or nil.
func (n *namespace) only(o *socket.BroadcastOptions) *member {
	if o == nil || o.Rooms == nil || o.Rooms.Len() != 1 {
		return nil
	}
	return n.member(socket.SocketId(o.Rooms.Keys()[0]))
}

// Sockets returns the ids of the sockets in any of rooms, all when there are none, in the whole cluster.
func (n *namespace) Sockets(rooms *types.Set[socket.Room]) *types.Set[socket.SocketId] {
	set := types.NewSet[socket.SocketId]()
	n.FetchSockets(&socket.BroadcastOptions{Rooms: rooms})(func(list []socket.SocketDetails, err error) {
		n.h.failed(n.name, "all sockets", err)
		for _, s := range list {
			set.Add(s.Id())
		}
	})
	return set
}

// AddSockets puts what o selects into rooms.
func (n *namespace) AddSockets(o *socket.BroadcastOptions, rooms []socket.Room) {
	n.h.failed(n.name, "sockets join", n.selection(o).SocketsJoin(texts(rooms)...))
}

// DelSockets takes what o selects out of rooms.
func (n *namespace) DelSockets(o *socket.BroadcastOptions, rooms []socket.Room) {
	n.h.failed(n.name, "sockets leave", n.selection(o).SocketsLeave(texts(rooms)...))
}

// DisconnectSockets disconnects what o selects.
func (n *namespace) DisconnectSockets(o *socket.BroadcastOptions, closeSession bool) {
	n.h.failed(n.name, "disconnect sockets", n.selection(o).DisconnectSockets(closeSession))
}

// FetchSockets describes what o selects, in the whole cluster. When servers do not answer in time the
// callback gets both what has come and an error.
func (n *namespace) FetchSockets(o *socket.BroadcastOptions) func(func([]socket.SocketDetails, error)) {
	return func(callback func([]socket.SocketDetails, error)) {
		list, err := n.selection(o).FetchSockets(n.h.lifetime) // within askTimeout
		out := make([]socket.SocketDetails, 0, len(list))
		for _, r := range list {
			out = append(out, n.describe(r))
		}
		callback(out, err)
	}
}

// ServerSideEmit sends an event to the other servers. If the last of args is an acknowledgement, it gets
// one answer of each.
func (n *namespace) ServerSideEmit(list []any) error {
	ack, asks := list[len(list)-1].(socket.Ack)
	if asks {
		list = list[:len(list)-1]
	}
	name, args, err := eventOf(list)
	if err != nil {
		return err
	}
	if !asks {
		return n.server().ServerSideEmit(name, args...)
	}
	ask, err := n.server().AskServers(name, args...)
	if err != nil {
		return err
	}
	n.h.background(func() {
		ctx, cancel := context.WithTimeout(n.h.lifetime, askTimeout)
		defer cancel()
		got, err := ask(ctx)
		n.h.protect("acknowledgement", func() { ack(firstOf(got), err) })
	})
	return nil
}

// firstOf returns the first value of each answer.
func firstOf(answers []server.Args) (list []any) {
	for _, a := range answers {
		list = append(list, valueOf(0, a.Decode))
	}
	return list
}

// describe turns r into the library's form. A socket of this server has its data as the application has
// set them; those of others come as the values encoding/json makes.
func (n *namespace) describe(r *server.RemoteSocket) socket.SocketDetails {
	if m := n.member(socket.SocketId(r.ID())); m != nil {
		return m.socket
	}
	return cluster.NewRemoteSocket(&cluster.SocketResponse{
		Id: socket.SocketId(r.ID()), Handshake: fromHandshake(r.Handshake()), Rooms: roomsOf(r.Rooms()).Keys(), Data: value(r.RawData()),
	})
}

func fromHandshake(h adapter.Handshake) *socket.Handshake {
	out := &socket.Handshake{
		Headers: make(map[string][]string, len(h.Headers)), Query: make(map[string][]string, len(h.Query)),
		Time: h.Time, Address: h.Address, Xdomain: h.XDomain, Secure: h.Secure, Issued: h.Issued, Url: h.URL,
		Auth: value(json.RawMessage(h.Auth)),
	}
	for k, v := range h.Headers {
		out.Headers[k] = []string{v}
	}
	for k, v := range h.Query {
		out.Query[k] = []string{v}
	}
	return out
}

// askTimeout bounds questions to other servers that come without a limit of their own. Node's adapters wait as
// long (requestsTimeout), and so does package server.
const askTimeout = 5 * time.Second
