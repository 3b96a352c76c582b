package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// app is the application of a node, on package server or on package zishang.
type app interface {
	http.Handler
	Engine() *transport.Server
	Shutdown(context.Context) error
	Stats() server.Stats
	SocketCounts() map[string]int
	// names are those of the namespaces that are open.
	names() []string
	// members are the sockets of a namespace.
	members(nsp string) []member
	// send emits e.
	send(e *emission, args []any) error
	// askAll broadcasts a question and returns the texts with which it is answered.
	askAll(nsp string, rooms, except []string, id string) (texts []string, err error)
	// fetch describes the sockets in rooms, of all when there are none, and in none of those excepted; tally says how many
	// they are, and expel disconnects them.
	fetch(nsp string, rooms, except []string) (list []found, err error)
	tally(ctx context.Context, nsp string, rooms, except []string) (int, error)
	expel(nsp string, rooms, except []string) error
	// say tells the other servers something, and sayAsk returns the names with which they answer.
	say(nsp, id string, what any) error
	sayAsk(ctx context.Context, nsp, id string, what any) (names []string, err error)
	// order puts the sockets in rooms, of all when there are none, and in none of those excepted into a room, or out of it.
	order(nsp string, rooms, except []string, room string, in bool) error
}

// member is a socket of an app.
type member interface {
	id() string
	nsp() string
	session() string // its id
	hello() (hello, error)
	recovered() (bool, error)
	connected() bool
	rooms() []string
	join(room string)
	leave(room string)
	emit(event string, args ...any) error
	// ask waits for the client's answer, a value.
	ask(event string, args ...any) (any, error)
	disconnect(all bool)
	// mark puts a number into the socket's data, and marked returns it.
	mark(n int)
	marked() int

	// onUp registers the handler of events with a value behind their number, onRoom one of those with a room, that
	// answers with rooms, and on one of others, that answers if what it returns is not nil.
	onUp(handler func(n int, v any) (answer []any))
	onRoom(event string, handler func(n int, room string) []string)
	on(event string, handler func(n int, args []any) (answer []any))
	// onEnd has ended called when the server knows that the connection is over, which may be before the handlers of
	// what came before have run, with the rooms that the socket is still in where the application is told them; and
	// disconnected behind those handlers: with the code of the client's close frame, if one is known.
	onEnd(ended func(rooms []string), disconnected func(reason string, code int))
	// onLater registers a handler of an event that is answered when the handler has returned, with a number.
	onLater(handler func(n int, answer func(int)))
}

// native is an application on package server.
type native struct {
	*server.Server
}

func newNative(n *node, cfg server.Config) (app, error) {
	io, err := server.New(cfg)
	if err != nil {
		return nil, err
	}
	guard := func(s *server.Socket) error {
		if s.Namespace().Name() == closed {
			return errors.New("closed")
		}
		s.Data.Set("from", n.w.now())
		n.early(nativeSocket{s})
		return nil
	}
	connected := func(s *server.Socket) {
		from, _ := server.Value[int64](&s.Data, "from")
		n.connected(nativeSocket{s}, from)
	}
	io.Use(guard)
	io.OnConnection(connected)
	for _, nsp := range []string{"/", side} {
		io.Of(nsp).OnServerSide("sse", func(id string, what any) string { return n.heard(nsp, id, what) })
	}
	games := io.OfPattern(regexp.MustCompile(`^/game-\d$`))
	games.Use(guard)
	games.OnConnection(connected)
	return native{io}, nil
}

func (a native) names() (out []string) {
	for _, nsp := range a.Namespaces() {
		if nsp.LocalCount() == 0 && nsp.Name() != side {
			out = append(out, nsp.Name())
		}
	}
	return out
}

func (a native) members(nsp string) (out []member) {
	for _, s := range a.Of(nsp).Sockets() {
		out = append(out, nativeSocket{s})
	}
	return out
}

func (a native) send(e *emission, args []any) error {
	b := a.Of(e.nsp).Except()
	switch {
	case e.direct:
		s := a.Of(e.nsp).Socket(e.only)
		if s == nil {
			return server.ErrDisconnected
		}
		return s.Emit(e.event, args...)
	case e.skip != "":
		s := a.Of(e.nsp).Socket(e.skip)
		if s == nil {
			return server.ErrDisconnected
		}
		b = s.Broadcast()
	case e.only != "":
		b = b.To(e.only)
	}
	if len(e.rooms) > 0 { // To nothing is to nobody
		b = b.To(e.rooms...)
	}
	b = b.Except(e.except...)
	if e.volatile {
		b = b.Volatile()
	}
	if e.local {
		b = b.Local()
	}
	return b.Emit(e.event, args...)
}

// to selects the sockets in rooms, all when there are none, and in none of those excepted.
func (a native) to(nsp string, rooms, except []string) server.Broadcast {
	b := a.Of(nsp).Except(except...)
	if len(rooms) == 0 { // To nothing is to nobody
		return b
	}
	return b.To(rooms...)
}

func (a native) askAll(nsp string, rooms, except []string, id string) (texts []string, err error) {
	answers, err := a.to(nsp, rooms, except).Timeout(askTimeout).EmitWithAck(context.Background(), "q", id, 1)
	for _, x := range answers {
		var v any
		_ = x.Scan(&v)
		texts = append(texts, said(v))
	}
	return texts, err
}

func (a native) fetch(nsp string, rooms, except []string) (out []found, err error) {
	list, err := a.to(nsp, rooms, except).FetchSockets(context.Background())
	for _, r := range list {
		var data struct{ Mark int }
		if err := json.Unmarshal(r.RawData(), &data); err != nil {
			data.Mark = -1
		}
		out = append(out, found{r.ID(), r.Rooms(), data.Mark})
	}
	return out, err
}

func (a native) tally(ctx context.Context, nsp string, rooms, except []string) (int, error) {
	return a.to(nsp, rooms, except).Count(ctx)
}

func (a native) expel(nsp string, rooms, except []string) error {
	return a.to(nsp, rooms, except).DisconnectSockets(false)
}

func (a native) say(nsp, id string, what any) error { return a.Of(nsp).ServerSideEmit("sse", id, what) }

func (a native) sayAsk(ctx context.Context, nsp, id string, what any) (names []string, err error) {
	answers, err := a.Of(nsp).ServerSideEmitWithAck(ctx, "sse", id, what)
	for _, x := range answers {
		name := string(x.Raw(0))
		_ = x.Scan(&name)
		names = append(names, name)
	}
	return names, err
}

func (a native) order(nsp string, rooms, except []string, room string, in bool) error {
	b := a.to(nsp, rooms, except)
	if in {
		return b.SocketsJoin(room)
	}
	return b.SocketsLeave(room)
}

// nativeSocket is a socket of package server.
type nativeSocket struct{ s *server.Socket }

func (m nativeSocket) id() string               { return m.s.ID() }
func (m nativeSocket) nsp() string              { return m.s.Namespace().Name() }
func (m nativeSocket) session() string          { return m.s.Session().ID() }
func (m nativeSocket) recovered() (bool, error) { return m.s.Recovered(), m.s.RecoveryError() }
func (m nativeSocket) connected() bool          { return m.s.Connected() }
func (m nativeSocket) rooms() []string          { return m.s.Rooms() }
func (m nativeSocket) join(room string)         { m.s.Join(room) }
func (m nativeSocket) leave(room string)        { m.s.Leave(room) }
func (m nativeSocket) disconnect(all bool)      { m.s.Disconnect(all) }
func (m nativeSocket) mark(n int)               { m.s.Data.Set("mark", n) }

func (m nativeSocket) marked() int {
	n, _ := server.Value[int](&m.s.Data, "mark")
	return n
}

func (m nativeSocket) hello() (h hello, err error) {
	if m.s.Session().Protocol() == 3 {
		return oldHello(m.nsp(), m.s.Handshake().Query(), func(v any) error { return m.s.Handshake().Auth(v) })
	}
	return h, m.s.Handshake().Auth(&h)
}

func (m nativeSocket) emit(event string, args ...any) error { return m.s.Emit(event, args...) }

func (m nativeSocket) ask(event string, args ...any) (v any, err error) {
	answer, err := m.s.Timeout(askTimeout).EmitWithAck(context.Background(), event, args...)
	if err != nil {
		return nil, err
	}
	if answer.Len() != 1 || answer.Scan(&v) != nil {
		v = answer.Values()
	}
	return v, nil
}

func (m nativeSocket) onUp(handler func(n int, v any) []any) {
	m.s.On("up", func(n int, v any, ack server.Ack) {
		_ = ack(handler(n, v)...) // ErrNoAck when none is wanted
	})
}

func (m nativeSocket) onRoom(event string, handler func(n int, room string) []string) {
	m.s.On(event, handler)
}

func (m nativeSocket) on(event string, handler func(n int, args []any) []any) {
	m.s.On(event, func(e *server.Event, n int, args ...any) {
		if answer := handler(n, args); answer != nil {
			_ = e.Ack(answer...)
		}
	})
}

func (m nativeSocket) onLater(handler func(n int, answer func(int))) {
	m.s.On("later", func(n int, ack server.Ack) { handler(n, func(k int) { _ = ack(k) }) })
}

func (m nativeSocket) onEnd(ended func([]string), disconnected func(reason string, code int)) {
	context.AfterFunc(m.s.Context(), func() { ended(nil) }) // before handlers that are still to run
	m.s.OnDisconnecting(func(server.Disconnection) { ended(append([]string{}, m.s.Rooms()...)) })
	first := false
	m.s.OnDisconnect(func(server.Disconnection) { first = true })
	m.s.OnDisconnect(func(why server.Disconnection) {
		if first { // each runs, in their order
			disconnected(string(why.Reason), why.Code)
		}
	})
}
