package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// timedOut is what the fixture answers when an acknowledgement did not come, in Node's words.
const timedOut = "operation has timed out"

// behave gives io the fixture's namespaces and middlewares, and every socket its handlers.
func behave(io *server.Server, w *watch) {
	io.Use(func(s *server.Socket) error {
		s.Data.Set("order", []string{"first"})
		return nil
	})
	io.Use(func(s *server.Socket) error {
		order, _ := server.Value[[]string](&s.Data, "order")
		s.Data.Set("order", append(order, "second"))
		return nil
	})
	listen := func(s *server.Socket) {
		welcome(s)
		talk(s)
		count(s)
		mingle(s)
		introspect(s)
		part(s, w)
	}
	io.OnConnection(listen)
	io.Of("/admin").OnConnection(listen)
	io.OfPattern(regexp.MustCompile(`^/dyn-\d+$`)).OnConnection(listen)

	guarded := io.Of("/private")
	guarded.Use(func(s *server.Socket) error {
		var auth struct {
			Token string `json:"token"`
		}
		if err := s.Handshake().Auth(&auth); err != nil {
			return err
		}
		switch auth.Token {
		case "secret":
			return nil
		case "expired": // a refusal in words alone
			return &server.Error{Message: "token expired"}
		default:
			return &server.Error{
				Message: "not authorized",
				Data:    map[string]any{"code": "E401", "hint": []string{"token"}},
			}
		}
	})
	guarded.OnConnection(listen)
}

// welcome greets the client before anything else can reach it.
func welcome(s *server.Socket) {
	hello := map[string]any{"id": s.ID(), "nsp": s.Namespace().Name(), "recovered": s.Recovered()}
	if order := s.Data.Get("order"); order != nil {
		hello["order"] = order
	}
	_ = s.Emit("welcome", hello)
}

// talk answers, asks, and stays silent.
func talk(s *server.Socket) {
	s.Use(func(_ context.Context, e *server.Event) error {
		if e.Name != "blocked" {
			return nil
		}
		err := errors.New("blocked by middleware")
		_ = s.Emit("refused", err.Error())
		return err
	})
	s.On("echo", func(e *server.Event) error {
		if e.WantsAck() {
			return e.Ack(e.Values()...)
		}
		return s.Emit("echo", e.Values()...)
	})
	type typed struct {
		N    int       `json:"n"`
		S    string    `json:"s"`
		B    []byte    `json:"b"`
		List []float64 `json:"list"`
	}
	s.On("typed", func(v typed) typed {
		slices.Reverse(v.B)
		for i := range v.List {
			v.List[i] *= 2
		}
		return typed{N: v.N + 1, S: v.S + "!", B: v.B, List: v.List}
	})
	s.On("question", func(ctx context.Context, value any) (any, error) {
		answer, err := s.EmitWithAck(ctx, "answer-me", value)
		if err != nil {
			return nil, err
		}
		return answer.Values()[0], nil
	})
	s.On("question-unanswered", func(ctx context.Context, ms int) any {
		_, err := s.Timeout(time.Duration(ms)*time.Millisecond).EmitWithAck(ctx, "never")
		if errors.Is(err, server.ErrTimeout) {
			return timedOut
		}
		return err
	})
	s.On("silent", func(server.Ack) {})
	s.On("large", func(n int) string { return strings.Repeat("x", n) })
	s.On("large-binary", func(n int) []byte { return bytes.Repeat([]byte{7}, n) })
	s.On("length", func(value any) int {
		switch v := value.(type) {
		case []byte:
			return len(v)
		case string:
			return len(utf16.Encode([]rune(v)))
		}
		return -1
	})
	s.On("last-words", func() {
		_ = s.Emit("last", 1)
		_ = s.Emit("last", 2)
		s.Disconnect(false)
	})
}

// count takes and sends bursts. Handlers of a socket run one at a time, so it needs no lock.
func count(s *server.Socket) {
	type burst struct {
		Count   int  `json:"count"`
		Ordered bool `json:"ordered"`
		next    int
	}
	b := burst{Ordered: true}
	take := func(i int, intact bool) {
		b.Ordered = b.Ordered && intact && i == b.next
		b.next = i + 1
		b.Count++
	}
	s.On("count", func(i int) { take(i, true) })
	s.On("count-binary", func(i int, data []byte) {
		take(i, len(data) == 8 && binary.BigEndian.Uint32(data) == uint32(i))
	})
	s.On("counted", func() burst {
		done := b
		b = burst{Ordered: true}
		return done
	})
	s.On("send", func(n int, withBinary bool) error {
		for i := range n {
			args := []any{i}
			if withBinary {
				args = append(args, append(binary.BigEndian.AppendUint32(nil, uint32(i)), 0, 0, 0, 0))
			}
			if err := s.Emit("b", args...); err != nil {
				return err
			}
		}
		return s.Emit("sent", n)
	})
	s.On("volatile", func(n int) error {
		for i := range n {
			if err := s.Volatile().Emit("v", i); err != nil {
				return err
			}
		}
		return nil
	})
}

// selection is the rooms an event goes to.
type selection struct {
	Rooms  []string `json:"rooms"`
	Except []string `json:"except"`
}

// among selects of b as Node does, where no rooms are all.
func (sel selection) among(b server.Broadcast) server.Broadcast {
	if len(sel.Rooms) > 0 {
		b = b.To(sel.Rooms...)
	}
	return b.Except(sel.Except...)
}

// mingle works with rooms and everyone in them.
func mingle(s *server.Socket) {
	nsp := s.Namespace()
	s.On("join", func(room string) error { s.Join(room); return nil })
	s.On("leave", func(room string) error { s.Leave(room); return nil })
	s.On("to", func(sel selection, event string, args ...any) error {
		return sel.among(s.Broadcast()).Emit(event, args...)
	})
	s.On("all", func(sel selection, event string, args ...any) error {
		return sel.among(nsp.Except()).Emit(event, args...)
	})
	s.On("ask-room", func(ctx context.Context, room string, ms int, event string, arg any) (any, []any) {
		answers, err := nsp.To(room).Timeout(time.Duration(ms)*time.Millisecond).EmitWithAck(ctx, event, arg)
		values := make([]any, len(answers))
		for i, answer := range answers {
			values[i] = answer.Values()[0]
		}
		slices.SortFunc(values, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		if err != nil {
			return timedOut, values
		}
		return nil, values
	})
	s.On("fetch", func(ctx context.Context, room string) ([]string, error) {
		sockets, err := nsp.In(room).FetchSockets(ctx)
		ids := make([]string, len(sockets))
		for i, socket := range sockets {
			ids[i] = socket.ID()
		}
		slices.Sort(ids)
		return ids, err
	})
	s.On("move", func(from, to string) error {
		return errors.Join(nsp.In(from).SocketsJoin(to), nsp.In(from).SocketsLeave(from))
	})
	s.On("clear", func(room string, closeSession bool) error {
		return nsp.In(room).DisconnectSockets(closeSession)
	})
}

// introspect tells the client what the server knows of it.
func introspect(s *server.Socket) {
	var seen []string
	s.OnAny(func(e *server.Event) { seen = append(seen, e.Name) })
	s.On("seen", func() []string {
		return slices.DeleteFunc(slices.Clone(seen), func(event string) bool { return event == "seen" })
	})
	s.On("rooms", func() []string { return slices.Sorted(slices.Values(s.Rooms())) })
	s.On("transport", func() transport.Name { return s.Session().Transport() })
	s.On("data", func(value any) any {
		if value != nil {
			s.Data.Set("value", value)
		}
		return s.Data.Get("value")
	})
	s.On("handshake", func() map[string]any {
		h := s.Handshake()
		query := make(map[string]string)
		for name, values := range h.Query() {
			query[name] = values[0]
		}
		auth := h.RawAuth()
		if auth == nil {
			auth = json.RawMessage("{}")
		}
		return map[string]any{
			"address": h.Addr(),
			"secure":  h.Secure(),
			"xdomain": h.CrossOrigin(),
			"url":     h.URL(),
			"query":   query,
			"auth":    auth,
			"issued":  "number",
			"custom":  h.Header().Get("X-Custom"),
			"origin":  h.Header().Get("Origin"),
		}
	})
}

// part ends the socket, or tells how another one ended.
func part(s *server.Socket, w *watch) {
	s.On("leave-namespace", func() { s.Disconnect(false) })
	s.On("kick", func() { s.Disconnect(true) })
	s.On("drop", func() { s.Session().Close(transport.ReasonForcedClose) })
	s.On("abort", func(id string) error {
		other := s.Namespace().Socket(id)
		if other == nil {
			return errors.New("no such socket")
		}
		other.Session().Abort(transport.ReasonSlowConsumer)
		return nil
	})
	s.On("watch", func(id string, ack server.Ack) { w.tell(id, ack) })
	s.On("forget", func(id string) error { w.forget(id); return nil })
	var rooms int
	s.OnDisconnecting(func(server.Disconnection) { rooms = len(s.Rooms()) })
	s.OnDisconnect(func(why server.Disconnection) { w.end(s.ID(), end{Reason: string(why.Reason), RoomsAtEnd: rooms}) })
}
