package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
	"github.com/beanpole/beanpole/transport"
	"github.com/gobwas/ws/wsutil"
)

func TestFirstEventAfterConnectIsNeverLost(t *testing.T) {
	got := make(chan string, 1)
	hold := make(chan struct{})
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			<-hold // a slow connection handler
			s.On("first", func(v string) { got <- v })
		})
	})
	p, _ := join(t, url, "/")
	p.Send(`42["first","here"]`)
	close(hold)
	if v := await(t, got); v != "here" {
		t.Errorf("got %q", v)
	}
}

func TestEventsKeepTheirOrder(t *testing.T) {
	const n = 5000
	done := make(chan []int, 1)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			var seen []int
			s.On("n", func(i int) {
				if seen = append(seen, i); len(seen) == n {
					done <- seen
				}
			})
		})
	})
	p, _ := join(t, url, "/")
	go func() {
		for i := range n {
			p.Send(fmt.Sprintf(`42["n",%d]`, i))
		}
	}()
	if seen := await(t, done); !slices.IsSorted(seen) {
		t.Error("events out of order")
	}
}

func TestEmitsKeepTheirOrder(t *testing.T) {
	const n = 5000
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			for i := range n {
				if i%2 == 0 {
					_ = s.Emit("n", i)
				} else {
					_ = io.To(s.ID()).Emit("n", i)
				}
				if i == 0 {
					s.Join("now a member") // it is one since before the handler; joining must not matter
				}
			}
		})
	})
	p, _ := join(t, url, "/")
	for i := range n {
		p.Expect(fmt.Sprintf(`42["n",%d]`, i))
	}
}

func TestHandlerMayWaitForAnAnswerOfItsOwnClient(t *testing.T) {
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("ask", func(ctx context.Context, s *server.Socket) (string, error) {
			answer, err := s.Timeout(patience).EmitWithAck(ctx, "question")
			if err != nil {
				return "", err
			}
			var text string
			if err := answer.Scan(&text); err != nil {
				return "", err
			}
			return "you said " + text, nil
		})
		io.On("later", func() int { return 1 })
	})
	p, _ := join(t, url, "/")
	p.Send(`421["ask"]`, `422["later"]`)
	question := p.Text()
	id, ok := strings.CutSuffix(strings.TrimPrefix(question, "42"), `["question"]`)
	if !ok {
		t.Fatalf("got %q", question)
	}
	p.Send("43" + id + `["yes"]`)
	p.Expect(`431["you said yes"]`)
	p.Expect(`432[1]`)
}

func TestSlowHandlerHarmsOnlyItsSocket(t *testing.T) {
	const pingTimeout = 2 * time.Second
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	blocked := make(chan struct{})
	_, url := start(t, server.Config{
		Transport: transport.Config{PingInterval: 100 * time.Millisecond, PingTimeout: pingTimeout},
	}, func(io *server.Server) {
		io.On("block", func() string { close(blocked); <-hold; return "at last" })
		io.Of("/other").On("quick", func() string { return "quick" })
		io.On("quick", func() string { return "quick" })
	})
	t.Cleanup(release)
	p, _ := join(t, url, "/")
	p.Send("40/other,")
	if got := p.Text(); !strings.HasPrefix(got, "40/other,") {
		t.Fatal(got)
	}
	q, _ := join(t, url, "/")
	p.Send(`421["block"]`, `422["quick"]`)
	await(t, blocked)
	for i := range 20 { // the same session's other namespace and the heartbeat go on
		p.Send(fmt.Sprintf(`42/other,%d["quick"]`, i))
		p.Expect(fmt.Sprintf(`43/other,%d["quick"]`, i))
		q.Send(fmt.Sprintf(`42%d["quick"]`, i))
		q.Expect(fmt.Sprintf(`43%d["quick"]`, i))
	}
	time.AfterFunc(pingTimeout+200*time.Millisecond, release) // the heartbeat has been answered meanwhile
	p.Expect(`431["at last"]`)
	p.Expect(`432["quick"]`)
}

// One segment brings events for two namespaces, and the handler of the first blocks.
func TestSlowHandlerDoesNotHoldUpWhatCameWithItsEvent(t *testing.T) {
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("block", func() { <-hold })
		io.Of("/other").On("quick", func() string { return "quick" })
	})
	t.Cleanup(release)
	p, _ := join(t, url, "/")
	p.Send("40/other,")
	p.Text()
	var segment bytes.Buffer
	for _, text := range []string{`42["block"]`, `42/other,1["quick"]`} {
		if err := wsutil.WriteClientText(&segment, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Conn.Write(segment.Bytes()); err != nil {
		t.Fatal(err)
	}
	p.Expect(`43/other,1["quick"]`)
}

func TestDisconnectComesLastOnceWithItsReason(t *testing.T) {
	type end struct {
		reason string
		rooms  []string
	}
	for _, c := range []struct {
		name string
		end  func(p *peer, s *server.Socket)
		want string
	}{
		{"client leaves", func(p *peer, _ *server.Socket) { p.Send("41") }, "client namespace disconnect"},
		{"server disconnects", func(_ *peer, s *server.Socket) { s.Disconnect(false) }, "server namespace disconnect"},
		{"server closes", func(_ *peer, s *server.Socket) { s.Disconnect(true) }, "server namespace disconnect"},
		{"connection breaks", func(p *peer, _ *server.Socket) { _ = p.Conn.Close() }, "transport close"},
		{"garbage", func(p *peer, _ *server.Socket) { p.Send("4garbage") }, "forced close"},
		{"engine garbage", func(p *peer, _ *server.Socket) { p.Send("garbage") }, "parse error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sockets := make(chan *server.Socket, 1)
			events := make(chan string, 10)
			ends := make(chan end, 10)
			_, url := start(t, server.Config{}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					s.Join("room")
					s.On("last", func() { events <- "last" })
					s.OnDisconnecting(func(server.Disconnection) {
						rooms := s.Rooms()
						slices.Sort(rooms)
						ends <- end{"disconnecting", rooms}
					})
					s.OnDisconnect(func(why server.Disconnection) { ends <- end{string(why.Reason), nil} })
					sockets <- s
				})
			})
			p, id := join(t, url, "/")
			s := await(t, sockets)
			p.Send(`42["last"]`)
			await(t, events)
			c.end(p, s)
			rooms := []string{id, "room"}
			slices.Sort(rooms)
			if got := await(t, ends); got.reason != "disconnecting" || !slices.Equal(got.rooms, rooms) {
				t.Errorf("disconnecting saw %v, want %v", got, rooms)
			}
			if got := await(t, ends); got.reason != c.want {
				t.Errorf("reason %q, want %q", got.reason, c.want)
			}
			<-s.Context().Done()
			if err := s.Emit("too late"); !errors.Is(err, server.ErrDisconnected) {
				t.Errorf("emit after the end: %v", err)
			}
			s.Join("ghost")
			if got := s.Namespace().Sockets(); len(got) != 0 {
				t.Errorf("%d sockets left behind", len(got))
			}
			if len(ends) != 0 {
				t.Errorf("a second disconnect: %v", <-ends)
			}
		})
	}
}

func TestEventsReceivedBeforeTheEndAreHandled(t *testing.T) {
	const n = 1000
	var mu sync.Mutex
	count := 0
	done := make(chan int, 1)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("n", func() { mu.Lock(); count++; mu.Unlock() })
			s.OnDisconnect(func(server.Disconnection) { mu.Lock(); done <- count; mu.Unlock() })
		})
	})
	p, _ := join(t, url, "/")
	for range n {
		p.Send(`42["n"]`)
	}
	p.Send("41")
	if got := await(t, done); got != n {
		t.Errorf("%d of %d events before the disconnect", got, n)
	}
}

func TestMiddlewareRefusesWithItsData(t *testing.T) {
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.Use(func(s *server.Socket) error {
			var auth struct{ Token string }
			if err := s.Handshake().Auth(&auth); err != nil {
				return err
			}
			switch auth.Token {
			case "good":
				s.Data.Set("user", "ann")
				s.Join("members", "too soon")
				s.Leave("too soon")
				return nil
			case "":
				return errors.New("no token")
			}
			return &server.Error{Message: "bad token", Data: map[string]string{"token": auth.Token}}
		})
		io.On("who", func(s *server.Socket) (string, string) {
			v, _ := server.Value[string](&s.Data, "user")
			return v, strings.Join(s.Rooms()[1:], ",")
		})
	})
	p := dial(t, url)
	p.Send(`40`)
	p.Expect(`44{"message":"no token"}`)
	p.Send(`40{"token":"x"}`)
	p.Expect(`44{"message":"bad token","data":{"token":"x"}}`)
	p.Send(`40{"token":"good"}`)
	if got := p.Text(); !strings.HasPrefix(got, `40{"sid":"`) {
		t.Fatal(got)
	}
	p.Send(`421["who"]`)
	p.Expect(`431["ann","members"]`)
	p.Send(`40/nowhere,`)
	p.Expect(`44/nowhere,{"message":"Invalid namespace"}`)
}

func TestEventMiddleware(t *testing.T) {
	var seen []string
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.OnAny(func(e *server.Event) { seen = append(seen, e.Name) })
			s.Use(func(_ context.Context, e *server.Event) error {
				if e.Name == "forbidden" {
					return errors.New("forbidden")
				}
				return nil
			})
			s.On("forbidden", func() int { t.Error("the handler ran"); return 1 })
			s.On("allowed", func() int { return len(seen) })
		})
	})
	p, _ := join(t, url, "/")
	p.Send(`421["forbidden"]`, `422["allowed"]`)
	p.Expect(`431[{"error":"forbidden"}]`)
	p.Expect(`432[2]`)
}

func TestEmitWithAckEndsWithItsContextTimeoutOrSocket(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p, _ := join(t, url, "/")
	s := await(t, sockets)
	if _, err := s.Timeout(time.Millisecond).EmitWithAck(t.Context(), "q"); !errors.Is(err, server.ErrTimeout) {
		t.Errorf("timeout: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.EmitWithAck(ctx, "q"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	late, cancelLate := context.WithDeadline(t.Context(), time.Now())
	defer cancelLate()
	if _, err := s.EmitWithAck(late, "q"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, server.ErrTimeout) {
		t.Errorf("deadline: %v", err)
	}
	failed := make(chan error, 1)
	go func() { _, err := s.EmitWithAck(t.Context(), "q"); failed <- err }()
	p.Text()
	p.Text()
	p.Text()
	p.Text() // the fourth question is on its way
	_ = p.Conn.Close()
	if err := await(t, failed); !errors.Is(err, server.ErrDisconnected) {
		t.Errorf("socket gone: %v", err)
	}
	if err := s.Emit("disconnect"); !errors.Is(err, server.ErrReservedEvent) {
		t.Errorf("reserved: %v", err)
	}
	if err := s.Emit("x", make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}

func TestClientThatBreaksTheProtocolIsClosed(t *testing.T) {
	reasons := make(chan transport.CloseReason, 20)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("x", func() {})
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(d server.Disconnection) { reasons <- d.Reason })
		})
	})
	for i, packets := range [][]string{
		// For a namespace that the client is not in, or not what a client sends.
		{`42["x"]`}, {`40`, `40`}, {`40`, `44{}`}, {`40`, `42/nope,["x"]`},
		// Not to be decoded.
		{`40`, `42`}, {`40`, `43{}`}, {`40`, `42{}`}, {`40`, `42[]`}, {`40`, `42["connect"]`}, {`49`},
		{`40`, `4511-["x"]`}, {`40`, `42["x"`}, {`40`, `42` + strings.Repeat("[", 100_000)},
		{`40`, `42["x",` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `]`},
	} {
		p, in := dial(t, url), packets[0] == "40"
		if in {
			p.Connect("/", "")
			packets = packets[1:]
		}
		p.Send(packets...)
		p.ExpectClosed()
		wantClosed(t, srv, transport.ReasonForcedClose, uint64(i+1))
		if in {
			if got := await(t, reasons); got != transport.ReasonForcedClose {
				t.Errorf("%.20s: the handler is told %q", packets, got)
			}
		}
	}
	eventually(t, "all sessions gone", func() bool { return srv.Engine().Sessions() == 0 && len(srv.Sockets()) == 0 })
}

// A session has ConnectTimeout to join a namespace; being refused by one is not joining.
func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = time.Minute
		srv, err := server.New(server.Config{ConnectTimeout: timeout, Transport: transport.Config{PingInterval: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		srv.On("x", func() string { return "here" })
		silent, refused, in := openVirtual(t, srv), openVirtual(t, srv), openVirtual(t, srv)
		in.post("40")
		in.poll()
		refused.post("40/nope,")
		refused.poll()
		time.Sleep(timeout - time.Nanosecond)
		synctest.Wait()
		if n := srv.Engine().Sessions(); n != 3 {
			t.Errorf("%d sessions before the timeout, want all three", n)
		}
		for _, v := range []*virtual{silent, refused} {
			if got := v.poll(); got != "1" {
				t.Errorf("poll %q, want CLOSE", got)
			}
		}
		if st := srv.Engine().Stats(); st.Sessions != 1 || st.Closed[transport.ReasonForcedServerClose] != 2 {
			t.Errorf("%d sessions open, closed %v", st.Sessions, st.Closed)
		}
		time.Sleep(timeout)
		in.post(`421["x"]`)
		if got := in.poll(); got != `431["here"]` {
			t.Errorf("who has joined gets %q", got)
		}
		_ = srv.Shutdown(t.Context())
	})
}

func TestMaxNamespaces(t *testing.T) {
	_, url := start(t, server.Config{Limits: server.Limits{MaxNamespaces: 2}}, func(io *server.Server) {
		io.Of("/a")
		io.Of("/b")
	})
	p, _ := join(t, url, "/")
	p.Connect("/a", "")
	p.Send("40/b,")
	p.Expect(`44/b,{"message":"too many namespaces"}`)
	p.Send("41/a,", "40/b,")
	if got := p.Text(); !strings.HasPrefix(got, "40/b,{") {
		t.Errorf("after leaving one: %q", got)
	}
}

// So many events may wait for their handlers, the one that is being handled among them; with one more the
// session ends, and those that were taken are handled.
func TestMaxQueuedEvents(t *testing.T) {
	const limit = 10
	hold := make(chan struct{})
	handled, ends := make(chan struct{}, 2*limit), make(chan string, 1)
	srv, url := start(t, server.Config{Limits: server.Limits{MaxQueuedEvents: limit}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { s.OnDisconnect(func(why server.Disconnection) { ends <- string(why.Reason) }) })
		io.On("block", func() { <-hold; handled <- struct{}{} })
	})
	p, _ := join(t, url, "/")
	p.Flood(limit, `42["block"]`)
	eventually(t, "all are taken", func() bool { return srv.Stats().EventsIn == limit })
	p.Send("40/nope,") // read behind them, by a session that is open
	p.Expect(`44/nope,{"message":"Invalid namespace"}`)
	p.Send(`42["block"]`)
	p.ExpectClosed()
	wantClosed(t, srv, server.ReasonQueueFull, 1)
	close(hold)
	if reason := await(t, ends); reason != string(server.ReasonQueueFull) {
		t.Errorf("disconnected by %q", reason)
	}
	if n := len(handled); n != limit || srv.Stats().QueueFull != 1 {
		t.Errorf("%d events were handled, want %d; stats %+v", n, limit, srv.Stats())
	}
}

func TestRateLimit(t *testing.T) {
	const perSecond = 5
	srv, url := start(t, server.Config{Limits: server.Limits{EventsPerSecond: perSecond}}, func(*server.Server) {})
	p, _ := join(t, url, "/")
	p.Flood(500, `42["x"]`)
	p.ExpectClosed()
	wantClosed(t, srv, server.ReasonRateLimited, 1)
	if s := srv.Stats(); s.RateLimited != 1 || s.EventsIn < 2*perSecond-1 { // a burst, of which CONNECT is one
		t.Errorf("stats %+v", s)
	}
}

// A packet whose attachments do not come ends its session: by the timer, as it breaks no rule.
func TestAttachmentsThatNeverComeCloseTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 20 * time.Second
		srv, err := server.New(server.Config{
			Limits: server.Limits{AttachmentTimeout: timeout}, Transport: transport.Config{PingInterval: time.Hour},
		})
		if err != nil {
			t.Fatal(err)
		}
		ends := make(chan string, 1)
		srv.OnConnection(func(s *server.Socket) { s.OnDisconnect(func(why server.Disconnection) { ends <- string(why.Reason) }) })
		srv.On("x", func(*server.Event) { t.Error("a packet without its attachment came") })
		v := openVirtual(t, srv)
		v.post("40")
		v.poll()
		v.post(`451-["x",{"_placeholder":true,"num":0}]`)
		time.Sleep(timeout - time.Nanosecond)
		synctest.Wait()
		if n := srv.Engine().Sessions(); n != 1 {
			t.Errorf("%d sessions before the timeout", n)
		}
		if got := v.poll(); got != "1" {
			t.Errorf("poll %q, want CLOSE", got)
		}
		if reason := <-ends; reason != string(transport.ReasonForcedClose) {
			t.Errorf("ended by %q", reason)
		}
		if s := srv.Stats(); s.RefusedPackets != 0 {
			t.Errorf("a packet was refused: %+v", s)
		}
		_ = srv.Shutdown(t.Context())
	})
}

// A path is where it is meant to be, however its slashes are written.
func TestPathWithAndWithoutSlashes(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"": "/socket.io/", "socket.io": "/socket.io/", "/rt": "/rt/", "a/b/": "/a/b/", "/a/b/": "/a/b/", "/": "/",
	} {
		t.Run(fmt.Sprintf("%q", path), func(t *testing.T) {
			t.Parallel()
			srv, err := server.New(server.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close() // which waits for a client that does not come for its end
			mux := http.NewServeMux()
			mux.Handle(srv.Path(), srv)
			r := httptest.NewRequest(http.MethodGet, want+"?EIO=4&transport=polling", nil)
			w := httptest.NewRecorder()
			if mux.ServeHTTP(w, r); srv.Path() != want || w.Code != http.StatusOK {
				t.Errorf("at %q, %d", srv.Path(), w.Code)
			}
		})
	}
	for _, path := range []string{"/a?b", "/a#b", "/a b"} {
		if srv, err := server.New(server.Config{Path: path}); err == nil {
			t.Errorf("%q: no error", path)
			_ = srv.Close()
		}
	}
}

// In a middleware nobody can answer yet, which is not to have left.
func TestQuestionsInAMiddlewareAreTooEarly(t *testing.T) {
	failed := make(chan error, 3)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.Use(func(s *server.Socket) error {
			_, err := s.EmitWithAck(t.Context(), "q")
			failed <- err
			_, err = s.Timeout(patience).EmitWithAck(t.Context(), "q")
			failed <- err
			failed <- s.EmitFunc(func(server.Args, error) {}, "q")
			return nil
		})
	})
	join(t, url, "/")
	for range 3 {
		if err := await(t, failed); !errors.Is(err, server.ErrNotConnected) {
			t.Error(err)
		}
	}
}

// What a handler around the server puts into the context of the request that opens a session is the socket's, on both
// transports, and outlives the request.
func TestContextOfTheRequestReachesTheSocket(t *testing.T) {
	type user struct{}
	for _, name := range []client.Transport{client.Polling, client.WebSocket} {
		synctest.Test(t, func(t *testing.T) {
			io := servertest.Server(t, server.Config{Transport: transport.Config{KeepContext: true}})
			io.Use(func(s *server.Socket) error {
				if s.Handshake().Context().Value(user{}) != "ada" {
					return errors.New("log in first")
				}
				return nil
			})
			io.On("who", func(s *server.Socket) (any, error) {
				ctx := s.Handshake().Context()
				return ctx.Value(user{}), ctx.Err()
			})
			cfg := client.Config{Transports: []client.Transport{name}}
			known := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, end := context.WithCancel(context.WithValue(r.Context(), user{}, "ada"))
				defer end()
				io.ServeHTTP(w, r.WithContext(ctx))
			})
			if got := servertest.Ask[string](servertest.ConnectTo(t, known, "/", cfg), "who"); got != "ada" {
				t.Errorf("by %s it is %q", name, got)
			}
			if err := servertest.Refused(t, io, "/", cfg); err.Message != "log in first" {
				t.Errorf("by %s a stranger is told %v", name, err)
			}
		})
	}
}
