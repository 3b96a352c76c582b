package main

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
)

// library is an application on package zishang, in the words of the library that it takes the place of.
type library struct {
	*zishang.Handler
	io *socket.Server
}

func newLibrary(n *node, cfg server.Config) (app, error) {
	io, handler, err := zishang.New(zishang.FromServer(cfg, socket.DefaultServerOptions()))
	if err != nil {
		return nil, err
	}
	for _, nsp := range []socket.Namespace{io.Sockets(), io.Of(regexp.MustCompile(`^/game-\d$`), nil)} {
		nsp.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
			if s.Nsp().Name() == closed {
				next(socket.NewExtendedError("closed", nil))
				return
			}
			s.SetData(map[string]any{"from": n.w.now()})
			next(nil)
		})
		_ = nsp.On("connection", func(args ...any) {
			s := args[0].(*socket.Socket)
			from := int64(0)
			if data, ok := s.Data().(map[string]any); ok {
				from, _ = data["from"].(int64)
			}
			n.connected(librarySocket{s}, from)
		})
	}
	for _, nsp := range []string{"/", side} {
		_ = io.Of(nsp, nil).On("sse", func(args ...any) {
			id, _ := args[0].(string)
			var what any
			if len(args) > 1 {
				what = plain(args[1])
			}
			name := n.heard(nsp, id, what)
			if ack, ok := args[len(args)-1].(socket.Ack); ok {
				ack([]any{name}, nil)
			}
		})
	}
	return library{handler, io}, nil
}

// names are unknown: what the world itself has asked for by io.Of stays, as in the library.
func (library) names() []string { return nil }

func (a library) members(nsp string) (out []member) {
	a.io.Of(nsp, nil).Sockets().Range(func(_ socket.SocketId, s *socket.Socket) bool {
		out = append(out, librarySocket{s})
		return true
	})
	return out
}

// list is rooms as the library has them.
func list(rooms []string) (out []socket.Room) {
	for _, room := range rooms {
		out = append(out, socket.Room(room))
	}
	return out
}

// send is adapter.ErrDegraded, for which the library has no error, when the handler has counted one meanwhile.
func (a library) send(e *emission, args []any) error {
	before := a.Degraded()
	if err := a.emit(e, args); err != nil || a.Degraded() == before {
		return err
	}
	return adapter.ErrDegraded
}

func (a library) emit(e *emission, args []any) error {
	b := a.io.Of(e.nsp, nil).Except()
	switch {
	case e.direct:
		s, ok := a.io.Of(e.nsp, nil).Sockets().Load(socket.SocketId(e.only))
		if !ok {
			return server.ErrDisconnected
		}
		return librarySocket{s}.emit(e.event, args...)
	case e.skip != "":
		s, ok := a.io.Of(e.nsp, nil).Sockets().Load(socket.SocketId(e.skip))
		if !ok {
			return server.ErrDisconnected
		}
		b = s.Broadcast()
	case e.only != "":
		b = b.To(socket.Room(e.only))
	}
	b = b.To(list(e.rooms)...).Except(list(e.except)...)
	if e.volatile {
		b = b.Volatile()
	}
	if e.local {
		b = b.Local()
	}
	return b.Emit(e.event, args...)
}

// askAll is of rooms alone.
func (a library) askAll(nsp string, rooms, _ []string, id string) (texts []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	answers, err := zishang.Ask(ctx, a.io.Of(nsp, nil), list(rooms), "q", id, 1)
	for _, x := range answers {
		texts = append(texts, said(plain(x)))
	}
	return texts, err
}

func (a library) fetch(nsp string, rooms, except []string) (out []found, err error) {
	a.to(nsp, rooms, except).FetchSockets()(func(sockets []*socket.RemoteSocket, e error) {
		for _, s := range sockets {
			x := found{id: string(s.Id()), mark: markOf(s.Data())}
			for _, room := range s.Rooms().Keys() {
				x.rooms = append(x.rooms, string(room))
			}
			out = append(out, x)
		}
		err = e
	})
	return out, err
}

// tally is for those of package server: the library does not count.
func (a library) tally(context.Context, string, []string, []string) (int, error) {
	return 0, errors.ErrUnsupported
}

func (a library) expel(nsp string, rooms, except []string) error {
	a.to(nsp, rooms, except).DisconnectSockets(false)
	return nil
}

func (a library) to(nsp string, rooms, except []string) *socket.BroadcastOperator {
	return a.io.Of(nsp, nil).To(list(rooms)...).Except(list(except)...)
}

func (a library) say(nsp, id string, what any) error {
	return a.io.Of(nsp, nil).ServerSideEmit("sse", id, what)
}

func (a library) sayAsk(_ context.Context, nsp, id string, what any) (names []string, err error) {
	came := make(chan struct{})
	err = a.io.Of(nsp, nil).ServerSideEmit("sse", id, what, socket.Ack(func(answers []any, e error) {
		for _, x := range answers {
			name, _ := x.(string)
			names = append(names, name)
		}
		err = e
		close(came)
	}))
	if err != nil {
		return nil, err
	}
	select {
	case <-came:
		return names, err
	case <-time.After(2 * fetchTimeout):
		return nil, errors.New("nobody was told")
	}
}

func (a library) order(nsp string, rooms, except []string, room string, in bool) error {
	b := a.to(nsp, rooms, except)
	if in {
		b.SocketsJoin(socket.Room(room))
	} else {
		b.SocketsLeave(socket.Room(room))
	}
	return nil
}

// librarySocket is a socket of the library.
type librarySocket struct{ s *socket.Socket }

func (m librarySocket) id() string          { return string(m.s.Id()) }
func (m librarySocket) nsp() string         { return m.s.Nsp().Name() }
func (m librarySocket) session() string     { return m.s.Conn().Id() }
func (m librarySocket) connected() bool     { return m.s.Connected() }
func (m librarySocket) join(room string)    { m.s.Join(socket.Room(room)) }
func (m librarySocket) leave(room string)   { m.s.Leave(socket.Room(room)) }
func (m librarySocket) disconnect(all bool) { m.s.Disconnect(all) }

func (m librarySocket) mark(n int) { m.s.SetData(map[string]any{"mark": n}) }

func (m librarySocket) marked() int { return markOf(m.s.Data()) }

// markOf is the mark that data have.
func markOf(v any) int {
	data, _ := v.(map[string]any)
	switch n := data["mark"].(type) {
	case int:
		return n
	case float64:
		return int(n)
	}
	return 0
}

func (m librarySocket) recovered() (bool, error) {
	return m.s.Recovered(), errors.New("the library does not say why")
}

func (m librarySocket) rooms() (out []string) {
	for _, room := range m.s.Rooms().Keys() {
		out = append(out, string(room))
	}
	return out
}

func (m librarySocket) hello() (h hello, err error) {
	auth, err := json.Marshal(m.s.Handshake().Auth)
	if err != nil {
		return h, err
	}
	if m.s.Conn().Protocol() == 3 {
		return oldHello(m.nsp(), m.s.Handshake().Query, func(v any) error { return json.Unmarshal(auth, v) })
	}
	return h, json.Unmarshal(auth, &h)
}

// emit returns an error when the socket has gone by then: the library does not tell.
func (m librarySocket) emit(event string, args ...any) error {
	err := m.s.Emit(event, args...)
	if err == nil && !m.s.Connected() {
		err = server.ErrDisconnected
	}
	return err
}

func (m librarySocket) ask(event string, args ...any) (any, error) {
	type answer struct {
		args []any
		err  error
	}
	came := make(chan answer, 4) // it may come twice in the moment of the time-out
	m.s.Timeout(askTimeout).EmitWithAck(event, args...)(func(args []any, err error) { came <- answer{args, err} })
	select {
	case x := <-came:
		switch {
		case x.err != nil && !m.s.Connected():
			return nil, server.ErrDisconnected
		case x.err != nil:
			return nil, server.ErrTimeout
		case len(x.args) != 1:
			return x.args, nil
		}
		return plain(x.args[0]), nil
	case <-time.After(2 * askTimeout):
		return nil, errors.New("nobody was told")
	}
}

// plain is a value with its binaries as they are.
func plain(v any) any {
	switch v := v.(type) {
	case types.BufferInterface:
		return v.Bytes()
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k := range v {
			out[k] = plain(v[k])
		}
		return out
	}
	return v
}

// heard registers a handler that gets the number of an event and what is behind it, and answers with what it returns,
// unless that is nil.
func (m librarySocket) heard(event string, handler func(n int, args []any) []any) {
	_ = m.s.On(event, func(args ...any) {
		var ack socket.Ack
		if k := len(args) - 1; k >= 0 {
			if f, ok := args[k].(socket.Ack); ok {
				ack, args = f, args[:k]
			}
		}
		values := plain(args).([]any)
		n := -1.0
		if len(values) > 0 {
			n, _ = values[0].(float64)
			values = values[1:]
		}
		if answer := handler(int(n), values); answer != nil && ack != nil {
			ack(answer, nil)
		}
	})
}

func (m librarySocket) onUp(handler func(n int, v any) []any) {
	m.heard("up", func(n int, args []any) []any {
		if len(args) != 1 {
			return handler(n, args)
		}
		return handler(n, args[0])
	})
}

func (m librarySocket) onRoom(event string, handler func(n int, room string) []string) {
	m.heard(event, func(n int, args []any) []any {
		room := ""
		if len(args) == 1 {
			room, _ = args[0].(string)
		}
		return []any{handler(n, room)}
	})
}

func (m librarySocket) on(event string, handler func(n int, args []any) []any) {
	m.heard(event, handler)
}

func (m librarySocket) onLater(handler func(n int, answer func(int))) {
	_ = m.s.On("later", func(args ...any) {
		n, _ := args[0].(float64)
		ack, ok := args[len(args)-1].(socket.Ack)
		handler(int(n), func(k int) {
			if ok {
				ack([]any{k}, nil)
			}
		})
	})
}

func (m librarySocket) onEnd(ended func([]string), disconnected func(reason string, code int)) {
	_ = m.s.Conn().On("close", func(...any) { ended(nil) })
	_ = m.s.On("disconnecting", func(...any) { ended(append([]string{}, m.rooms()...)) })
	_ = m.s.On("disconnect", func(args ...any) {
		reason, _ := args[0].(string)
		disconnected(reason, 0)
	})
}
