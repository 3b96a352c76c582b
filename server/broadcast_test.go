package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// answerAcks answers every event that asks for it with value, until the connection ends.
func (p *peer) answerAcks(value string) {
	p.T.Helper()
	go func() {
		for {
			data, _, err := p.Read()
			if err != nil {
				return
			}
			if id, _, ok := strings.Cut(strings.TrimPrefix(string(data), "42"), "["); ok && id != "" {
				p.Send("43" + id + "[" + value + "]")
			}
		}
	}()
}

func TestBroadcastReachesWhoItSelects(t *testing.T) {
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("join", func(s *server.Socket, rooms ...string) bool { s.Join(rooms...); return true })
		io.On("to others", func(s *server.Socket) { _ = s.Broadcast().Emit("m", "others") })
		io.On("to room", func(s *server.Socket, room string) { _ = s.To(room).Emit("m", "room "+room) })
	})
	a, idA := join(t, url, "/")
	b, _ := join(t, url, "/")
	c, _ := join(t, url, "/")
	a.Send(`421["join","r"]`)
	a.Expect(`431[true]`)
	b.Send(`421["join","r","s"]`)
	b.Expect(`431[true]`)

	var none []string
	for _, x := range []struct {
		name string
		emit func() error
		to   []*peer
	}{
		{"all", func() error { return srv.Emit("m", "all") }, []*peer{a, b, c}},
		{"room", func() error { return srv.To("r").Emit("m", "room") }, []*peer{a, b}},
		{"union once", func() error { return srv.To("r", "s").Emit("m", "union") }, []*peer{a, b}},
		{"chained", func() error { return srv.In("s").To(idA).Emit("m", "chained") }, []*peer{a, b}},
		{"except", func() error { return srv.Except("s").Emit("m", "except") }, []*peer{a, c}},
		{"room except", func() error { return srv.To("r").Except(idA).Emit("m", "both") }, []*peer{b}},
		{"nobody", func() error { return srv.To("empty").Emit("m", "nobody") }, nil},
		{"no room", func() error { return srv.To().Emit("m", "no room") }, nil},
		{"an empty list", func() error { return srv.In(none...).Volatile().Emit("m", "no room") }, nil},
		{"an empty list and a room", func() error { return srv.To(none...).To("s").Emit("m", "one room") }, []*peer{b}},
		{"a room and an empty list", func() error { return srv.To("s").To(none...).Emit("m", "one room") }, []*peer{b}},
		{"except no room", func() error { return srv.Except(none...).Emit("m", "all") }, []*peer{a, b, c}},
		{"no room except", func() error { return srv.To(none...).Except("r").Local().Emit("m", "no room") }, nil},
		{"others of no room", func() error { return srv.Socket(idA).To(none...).Emit("m", "no room") }, nil},
		{"local", func() error { return srv.Local().Compress(false).Emit("m", "local") }, []*peer{a, b, c}},
	} {
		if err := x.emit(); err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
		if err := srv.Emit("end"); err != nil {
			t.Error(err)
		}
		want := map[*peer]int{}
		for _, p := range x.to {
			want[p]++
		}
		for i, p := range []*peer{a, b, c} {
			got := 0
			for p.Text() != `42["end"]` {
				got++
			}
			if got != want[p] {
				t.Errorf("%s: peer %d got %d, want %d", x.name, i, got, want[p])
			}
		}
	}
	c.Send(`42["to others"]`)
	a.Expect(`42["m","others"]`)
	b.Expect(`42["m","others"]`)
	a.Send(`42["to room","r"]`)
	b.Expect(`42["m","room r"]`)
}

func TestBroadcastWithAckReturnsWhatCame(t *testing.T) {
	srv, url := start(t, server.Config{}, func(*server.Server) {})
	a, _ := join(t, url, "/")
	b, _ := join(t, url, "/")
	a.answerAcks(`"a"`)
	b.answerAcks(`"b"`)
	answers, err := srv.Timeout(patience).EmitWithAck(t.Context(), "q")
	if err != nil || len(answers) != 2 {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	silent, id := join(t, url, "/")
	answers, err = srv.Timeout(300*time.Millisecond).EmitWithAck(t.Context(), "q")
	var partial *adapter.PartialError
	if !errors.As(err, &partial) || partial.Clients != 1 || len(answers) != 2 {
		t.Errorf("with one silent: %d answers, %v", len(answers), err)
	}
	// One that leaves is not waited for.
	done := make(chan error, 1)
	go func() { _, err := srv.To(id).Timeout(patience).EmitWithAck(t.Context(), "q"); done <- err }()
	silent.Text()
	silent.Text()
	_ = silent.Conn.Close()
	if err := await(t, done); err != nil {
		t.Errorf("with one gone: %v", err)
	}
}

func TestFetchAndActOnSockets(t *testing.T) {
	handled := make(chan error, 2)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { handled <- s.Data.Set("n", 7) })
	})
	a, id := join(t, url, "/")
	b, _ := join(t, url, "/")
	for range 2 {
		if err := await(t, handled); err != nil {
			t.Fatal(err)
		}
	}
	found, err := srv.To(id).FetchSockets(t.Context())
	if err != nil || len(found) != 1 || found[0].ID() != id {
		t.Fatalf("%v, %v", found, err)
	}
	if n, ok := server.Value[int](&found[0].Data, "n"); !ok || n != 7 {
		t.Errorf("data %s", found[0].RawData())
	}
	if h := found[0].Handshake(); h.Address != "127.0.0.1" || h.Query["EIO"] != "4" || h.Headers["upgrade"] == "" {
		t.Errorf("handshake %+v", h)
	}
	if err := found[0].Join("x"); err != nil {
		t.Error(err)
	}
	if n, err := srv.To("x").Count(t.Context()); n != 1 || err != nil {
		t.Errorf("count %d, %v", n, err)
	}
	if err := srv.SocketsLeave("x"); err != nil {
		t.Error(err)
	}
	if n, _ := srv.To("x").Count(t.Context()); n != 0 {
		t.Errorf("%d left in the room", n)
	}
	if ok, err := srv.Exists(t.Context(), id); !ok || err != nil {
		t.Errorf("exists %v, %v", ok, err)
	}
	if err := found[0].Emit("hi"); err != nil {
		t.Error(err)
	}
	a.Expect(`42["hi"]`)
	if err := found[0].Disconnect(false); err != nil {
		t.Error(err)
	}
	a.Expect("41")
	if err := srv.DisconnectSockets(true); err != nil {
		t.Error(err)
	}
	b.Expect("41")
	b.ExpectClosed()
	wantClosed(t, srv, transport.ReasonForcedServerClose, 1)
	if n, _ := srv.Count(t.Context()); n != 0 {
		t.Errorf("%d sockets left", n)
	}
}

func TestDynamicNamespaces(t *testing.T) {
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		d := io.OfPattern(regexp.MustCompile(`^/room-\d+$`))
		d.Use(func(s *server.Socket) error {
			if s.Namespace().Name() == "/room-13" {
				return errors.New("unlucky")
			}
			return nil
		})
		d.On("where", func(s *server.Socket) string { return s.Namespace().Name() })
		io.OfFunc(func(_ context.Context, name string, auth json.RawMessage) bool {
			return name == "/secret" && string(auth) == `{"k":1}`
		})
	})
	p := dial(t, url)
	p.Send("40/room-1,")
	if got := p.Text(); !strings.HasPrefix(got, `40/room-1,{"sid"`) {
		t.Fatal(got)
	}
	p.Send(`42/room-1,1["where"]`)
	p.Expect(`43/room-1,1["/room-1"]`)
	p.Send("40/room-x,")
	p.Expect(`44/room-x,{"message":"Invalid namespace"}`)
	p.Send("40/room-13,")
	p.Expect(`44/room-13,{"message":"unlucky"}`)
	p.Send("40/secret,")
	p.Expect(`44/secret,{"message":"Invalid namespace"}`)
	p.Send(`40/secret,{"k":1}`)
	if got := p.Text(); !strings.HasPrefix(got, `40/secret,{"sid"`) {
		t.Fatal(got)
	}
	if n := len(srv.Namespaces()); n != 3 {
		t.Errorf("%d namespaces, want /, /room-1 and /secret", n)
	}
	p.Send("41/room-1,")
	_ = p.Conn.Close()
	eventually(t, "the empty namespaces closed", func() bool { return len(srv.Namespaces()) == 1 })
}

func TestShutdownReasonAndNothingLeft(t *testing.T) {
	t.Parallel()
	reasons := make(chan string, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { s.OnDisconnect(func(d server.Disconnection) { reasons <- string(d.Reason) }) })
	})
	p, _ := join(t, url, "/")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if r := await(t, reasons); r != "server shutting down" {
		t.Errorf("reason %q", r)
	}
	p.ExpectClosed()
	wantClosed(t, srv, transport.ReasonServerShuttingDown, 1)
}

// A handler that asks many gives its reader up at once: its own client's answer, and what else that client sends,
// does not wait for the five milliseconds after which a handler that blocks loses it. The best rounds count, as the
// machine may be busy.
func TestAskingManyFromAHandlerDoesNotStallItsClient(t *testing.T) {
	const rounds, takeover = 50, 5 * time.Millisecond
	for name, ask := range map[string]func(context.Context, *server.Server, *server.Socket) error{
		"all, itself too": func(ctx context.Context, io *server.Server, _ *server.Socket) error {
			_, err := io.EmitWithAck(ctx, "q")
			return err
		},
		"all others": func(ctx context.Context, _ *server.Server, s *server.Socket) error {
			_, err := s.Broadcast().EmitWithAck(ctx, "q")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			var begun time.Time
			var took time.Duration
			quick := 0
			poked := make(chan time.Time, 1)
			_, url := start(t, server.Config{}, func(io *server.Server) {
				io.On("ask", func(ctx context.Context, s *server.Socket) error { begun = time.Now(); return ask(ctx, io, s) })
				io.Of("/other").On("poke", func() { poked <- time.Now() })
			})
			p, _ := join(t, url, "/")
			p.Connect("/other", "")
			q, _ := join(t, url, "/")
			answer := func(p *peer) {
				question := p.Text()
				p.Send("43" + strings.TrimSuffix(strings.TrimPrefix(question, "42"), `["q"]`) + "[]")
			}
			for range rounds {
				p.Send(`421["ask"]`)
				if name == "all others" {
					question := q.Text()
					p.Send(`42/other,["poke"]`)
					took = await(t, poked).Sub(begun)
					q.Send("43" + strings.TrimSuffix(strings.TrimPrefix(question, "42"), `["q"]`) + "[]")
				} else {
					answer(q)
					answer(p)
				}
				p.Expect("431[]")
				if name != "all others" {
					took = time.Since(begun)
				}
				if took < takeover {
					quick++
				}
			}
			if quick < rounds/10 {
				t.Errorf("its client waited less than %v in %d of %d rounds", takeover, quick, rounds)
			}
		})
	}
}

// The errors of a question to many are those of one to one socket.
func TestQuestionsToManyEndAsThoseToOne(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{Adapter: silent}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	_, id := join(t, url, "/")
	s := await(t, sockets)
	one := func(_ any, err error) error { return err }
	background, cancelled := t.Context(), withEnd(t, context.Canceled)
	expired := withEnd(t, context.DeadlineExceeded)
	for _, c := range []struct {
		what      string
		err, want error
	}{
		{"socket", one(s.Timeout(time.Millisecond).EmitWithAck(background, "q")), server.ErrTimeout},
		{"room", one(srv.To(id).Timeout(time.Millisecond).EmitWithAck(background, "q")), server.ErrTimeout},
		{"namespace", one(srv.Timeout(time.Millisecond).EmitWithAck(background, "q")), server.ErrTimeout},
		{"local", one(srv.Local().Timeout(time.Millisecond).EmitWithAck(background, "q")), server.ErrTimeout},
		{"fetch", one(srv.Timeout(time.Millisecond).FetchSockets(background)), server.ErrTimeout},
		{"count", one(srv.Timeout(time.Millisecond).Count(background)), server.ErrTimeout},
		{"socket, cancelled", one(s.Timeout(patience).EmitWithAck(cancelled, "q")), context.Canceled},
		{"room, cancelled", one(srv.To(id).Timeout(patience).EmitWithAck(cancelled, "q")), context.Canceled},
		{"socket, expired", one(s.EmitWithAck(expired, "q")), context.DeadlineExceeded},
		{"room, expired", one(srv.To(id).EmitWithAck(expired, "q")), context.DeadlineExceeded},
		{"fetch, expired", one(srv.FetchSockets(expired)), context.DeadlineExceeded},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
		if errors.Is(c.err, context.DeadlineExceeded) != (c.want == context.DeadlineExceeded) {
			t.Errorf("%s: %v is the deadline of a context, or is not", c.what, c.err)
		}
	}
}

// withEnd returns a context that has ended with err.
func withEnd(t *testing.T, err error) context.Context {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(patience))
	if err == context.DeadlineExceeded {
		cancel()
		ctx, cancel = context.WithDeadline(t.Context(), time.Now())
	}
	cancel()
	return ctx
}

// silent makes adapters of a cluster with a server that never answers.
func silent(n adapter.Namespace) (adapter.Adapter, error) {
	a, err := adapter.Memory(nil)(n)
	return mute{a, nil}, err
}

type mute struct {
	adapter.Adapter
	asked chan<- struct{}
}

func (a mute) wait(ctx context.Context) error {
	select {
	case a.asked <- struct{}{}:
	default:
	}
	answers := adapter.NewAnswers(func(adapter.Message) {})
	answers.Expect(1)
	return &adapter.PartialError{Nodes: 1, Err: answers.Wait(ctx)}
}

func (a mute) Fetch(ctx context.Context, t adapter.Target) ([]adapter.Details, error) {
	list, _ := a.Adapter.Fetch(ctx, t)
	return list, a.wait(ctx)
}

func (a mute) Count(ctx context.Context, t adapter.Target) (int, error) {
	if t.Local {
		return a.Adapter.Count(ctx, t)
	}
	return 0, a.wait(ctx)
}

// An empty list of rooms is nobody's: whatever is done with it does nothing, and asks no server.
func TestNothingIsDoneToNobody(t *testing.T) {
	srv, url := start(t, server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := adapter.Memory(nil)(n)
		return deaf{a, t}, err
	}}, func(*server.Server) {})
	p, id := join(t, url, "/")
	var rooms []string
	for name, nobody := range map[string]server.Broadcast{
		"namespace": srv.To(rooms...), "chained": srv.Except("x").In().To(rooms...), "local": srv.Local().In(rooms...),
		"socket": srv.Socket(id).In(rooms...),
	} {
		for _, err := range []error{
			nobody.Emit("m"), nobody.Volatile().Emit("m"), nobody.SocketsJoin("r"), nobody.SocketsLeave(id),
			nobody.DisconnectSockets(false), nobody.DisconnectSockets(true),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if answers, err := nobody.EmitWithAck(t.Context(), "m"); err != nil || len(answers) > 0 {
			t.Errorf("%s: %v answered, %v", name, answers, err)
		}
		if list, err := nobody.FetchSockets(t.Context()); err != nil || len(list) > 0 {
			t.Errorf("%s: %v fetched, %v", name, list, err)
		}
		if n, err := nobody.Count(t.Context()); err != nil || n > 0 {
			t.Errorf("%s: %d counted, %v", name, n, err)
		}
		if err := nobody.Emit("disconnect"); !errors.Is(err, server.ErrReservedEvent) {
			t.Errorf("%s: a reserved name is %v", name, err)
		}
	}
	if err := srv.Socket(id).Emit("end"); err != nil {
		t.Error(err)
	}
	p.Expect(`42["end"]`)
}

// deaf is an adapter that must not be asked for anything of many.
type deaf struct {
	adapter.Adapter
	t *testing.T
}

func (a deaf) called() error { a.t.Error("the adapter was called"); return nil }

func (a deaf) Broadcast(adapter.Message, adapter.Target) error { return a.called() }

func (a deaf) BroadcastWithAck(_ context.Context, _ adapter.Message, _ adapter.Target, _ func(adapter.Message), done func(error)) {
	go done(a.called())
}

func (a deaf) Fetch(context.Context, adapter.Target) ([]adapter.Details, error) {
	return nil, a.called()
}

func (a deaf) Count(context.Context, adapter.Target) (int, error) { return 0, a.called() }

func (a deaf) SocketsJoin(adapter.Target, ...string) error { return a.called() }

func (a deaf) SocketsLeave(adapter.Target, ...string) error { return a.called() }

func (a deaf) Disconnect(adapter.Target, bool) error { return a.called() }

// A header that came more than once is described as one, its values in their order.
func TestHeadersOfADescriptionAreJoined(t *testing.T) {
	srv, url := start(t, server.Config{}, func(*server.Server) {})
	d := ws.Dialer{Header: ws.HandshakeHeaderString("X-One: a\r\nX-Two: b\r\nX-Two: c\r\n")}
	conn, _, _, err := d.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := wsutil.WriteClientText(conn, []byte("40")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "connected", func() bool { return srv.LocalCount() == 1 })
	found, err := srv.FetchSockets(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if h := found[0].Handshake().Headers; h["x-one"] != "a" || h["x-two"] != "b, c" {
		t.Errorf("headers %v", h)
	}
}
