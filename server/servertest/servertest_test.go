package servertest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
	"github.com/beanpole/beanpole/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is an application.
func shop(io *server.Server) {
	io.OnConnection(func(s *server.Socket) { _ = s.Emit("welcome", s.ID()) })
	io.On("say", func(s *server.Socket, text string) (int, error) {
		if text == "" {
			return 0, errors.New("say something")
		}
		return len(text), s.Broadcast().Emit("said", text, s.ID())
	})
	io.On("later", func(s *server.Socket, d int64) {
		time.AfterFunc(time.Duration(d)*time.Second, func() { _ = s.Emit("now", time.Now().Unix()) })
	})
}

func TestAskAndExpect(t *testing.T) {
	test := func(t *testing.T, cfg client.Config) {
		io := servertest.Server(t, server.Config{})
		shop(io)
		ada, bob := servertest.ConnectTo(t, io, "/", cfg), servertest.ConnectTo(t, io, "/", cfg)
		if n := servertest.Ask[int](ada, "say", "beans"); n != 5 {
			t.Errorf("answer %d", n)
		}
		if got := servertest.AskFails(ada, "say", ""); got != "say something" {
			t.Errorf("error %q", got)
		}
		var text, by string
		if err := bob.ExpectArgs("said").Scan(&text, &by); err != nil || text != "beans" || by != ada.ID() {
			t.Errorf("%q was said by %q, %v", text, by, err)
		}
		if got := servertest.Expect[string](bob, "welcome"); got != bob.ID() { // which came before
			t.Errorf("welcomed as %q, want %q", got, bob.ID())
		}
	}
	polling := client.Config{Transports: []client.Transport{client.Polling}}
	both := client.Config{Transports: []client.Transport{client.Polling, client.WebSocket}}
	for name, cfg := range map[string]client.Config{"websocket": {}, "polling": polling, "both": both} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, cfg) }) })
		t.Run(name+", without a bubble", func(t *testing.T) { test(t, cfg) })
	}
}

func TestTimePassesWhenNothingGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		shop(io)
		c := servertest.Connect(t, io)
		began := time.Now()
		if err := c.Emit("later", 20); err != nil {
			t.Fatal(err)
		}
		c.ExpectNothing("now")
		if at := servertest.Expect[int64](c, "now"); at != began.Unix()+20 {
			t.Errorf("at %d, want 20 s after %d", at, began.Unix())
		}
		time.Sleep(time.Hour) // of heartbeats
		synctest.Wait()
		if !c.Connected() || io.Stats().Connected != 1 {
			t.Errorf("an hour later: %+v", io.Stats())
		}
	})
}

func TestNamespacesAndRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		admin := io.Of("/admin")
		admin.Use(func(s *server.Socket) error {
			var auth struct{ Token string }
			if err := s.Handshake().Auth(&auth); err != nil || auth.Token != "secret" {
				return &server.Error{Message: "not authorized", Data: map[string]int{"tries": 1}}
			}
			return nil
		})
		admin.On("add", func(a, b int) int { return a + b })
		refusal := servertest.Refused(t, io, "/admin", client.Config{})
		if refusal.Message != "not authorized" || string(refusal.Data) != `{"tries":1}` {
			t.Errorf("refused with %q, %s", refusal.Message, refusal.Data)
		}
		c := servertest.ConnectTo(t, io, "/", client.Config{Auth: map[string]string{"token": "secret"}})
		if n := servertest.Ask[int](c.Of("/admin"), "add", 1, 2); n != 3 {
			t.Errorf("sum %d", n)
		}
		if n := io.Engine().Sessions(); n != 1 {
			t.Errorf("%d sessions, want one for both namespaces", n)
		}
	})
}

func TestServerAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		answers := make(chan string, 1)
		io.OnConnection(func(s *server.Socket) {
			go func() {
				answer, err := s.EmitWithAck(s.Context(), "who are you?")
				var name string
				if err == nil {
					err = answer.Decode(0, &name)
				}
				answers <- fmt.Sprint(name, " ", err)
			}()
		})
		c := servertest.NewClient(t, io, "/", client.Config{})
		c.On("who are you?", func() string { return "Ada" })
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := <-answers; got != "Ada <nil>" {
			t.Errorf("answer %q", got)
		}
	})
}

func TestCutAndBack(t *testing.T) {
	cut := func(way client.Transport, recovery *server.Recovery) {
		cfg := client.Config{Transports: []client.Transport{way}}
		synctest.Test(t, func(t *testing.T) {
			io := servertest.Server(t, server.Config{Recovery: recovery})
			shop(io)
			ends := make(chan transport.CloseReason, 2)
			io.OnConnection(func(s *server.Socket) { s.OnDisconnect(func(why server.Disconnection) { ends <- why.Reason }) })
			ada, bob := servertest.Connect(t, io), servertest.ConnectTo(t, io, "/", cfg)
			servertest.Ask[int](ada, "say", "one")
			servertest.Expect[string](bob, "said")
			bob.Cut()
			if why := <-ends; why != transport.ReasonTransportClose && why != transport.ReasonTransportError {
				t.Errorf("ended by %q", why)
			}
			servertest.Ask[int](ada, "say", "two")
			time.Sleep(time.Minute)
			if bob.Connected() {
				t.Error("connected over a line that is cut")
			}
			if got := bob.Back(); got != (recovery != nil) {
				t.Errorf("recovered: %v", got)
			}
			if recovery == nil {
				bob.ExpectNothing("said")
			} else if got := servertest.Expect[string](bob, "said"); got != "two" {
				t.Errorf("missed %q", got)
			}
		})
	}
	for _, way := range []client.Transport{client.Polling, client.WebSocket} {
		cut(way, nil)
		cut(way, &server.Recovery{})
	}
}

func TestClusterAndMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := servertest.Cluster(t, 3, server.Config{Recovery: &server.Recovery{}})
		for _, io := range nodes {
			shop(io)
		}
		ada, bob := servertest.Connect(t, nodes[0]), servertest.Connect(t, nodes[1])
		servertest.Ask[int](ada, "say", "one")
		if got := servertest.Expect[string](bob, "said"); got != "one" {
			t.Errorf("got %q", got)
		}
		if n, err := nodes[2].Count(t.Context()); n != 2 || err != nil {
			t.Errorf("%d sockets, %v", n, err)
		}
		id := bob.ID()
		if !bob.Move(nodes[2]) || bob.ID() != id {
			t.Error("not recovered on another server")
		}
		if here, there := nodes[1].LocalCount(), nodes[2].LocalCount(); here != 0 || there != 1 {
			t.Errorf("%d and %d sockets", here, there)
		}
		servertest.Ask[int](ada, "say", "two")
		if got := servertest.Expect[string](bob, "said"); got != "two" {
			t.Errorf("got %q", got)
		}
	})
}

func TestFrozenClientIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		events int
		thaw   bool
		want   transport.CloseReason
	}{
		"slow, and in time": {5, true, ""},
		"too slow":          {12, false, transport.ReasonSlowConsumer},
		"silent":            {0, false, transport.ReasonPingTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				io := servertest.Server(t, server.Config{})
				x := servertest.Connect(t, io)
				x.Freeze()
				for range c.events {
					if err := io.Emit("much", make([]byte, 500_000)); err != nil {
						t.Fatal(err)
					}
				}
				if c.thaw {
					x.Thaw()
					for range c.events {
						servertest.Expect[[]byte](x, "much")
					}
				} else {
					time.Sleep(2 * time.Minute)
				}
				synctest.Wait()
				if closed := io.Engine().Stats().Closed; c.want == "" && len(closed) > 0 || c.want != "" && closed[c.want] == 0 || closed[transport.ReasonTransportClose] > 0 {
					t.Errorf("sessions closed: %v", closed)
				}
			})
		})
	}
}

// A client that reads gets what is volatile, behind what is not, as over a socket; one that does not goes without.
func TestVolatile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		c := servertest.Connect(t, io)
		for i := range 3 {
			_ = io.Emit("news", i)
			_ = io.Volatile().Emit("tick", i)
		}
		for i := range 3 {
			if got := servertest.Expect[int](c, "tick"); got != i {
				t.Errorf("tick %d, want %d", got, i)
			}
		}
		c.Freeze()
		_ = io.Emit("much", strings.Repeat("x", 100_000))
		_ = io.Volatile().Emit("tick", 3)
		c.Thaw()
		servertest.Expect[string](c, "much")
		c.ExpectNothing("tick")
	})
}

func TestExpectDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		io.On("leave", func(s *server.Socket) { s.Disconnect(false) })
		c := servertest.Connect(t, io)
		if err := c.Emit("leave"); err != nil {
			t.Fatal(err)
		}
		if why := c.ExpectDisconnect(); why != client.ReasonServer {
			t.Errorf("why: %q", why)
		}
	})
}

// What middlewares of HTTP find, and what a client sends beside its events, reach the server as they do over a network.
func TestRequestsAreRealOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		io.On("where from", func(s *server.Socket) string {
			return s.Handshake().Header().Get("X-From") + " " + s.Handshake().Query().Get("q") + " " + s.Handshake().Addr()
		})
		front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-From", "front")
			io.ServeHTTP(w, r)
		})
		list := map[string]bool{}
		for range 2 {
			c := servertest.ConnectTo(t, front, "/", client.Config{Query: map[string][]string{"q": {"1"}}})
			got := servertest.Ask[string](c, "where from")
			if !strings.HasPrefix(got, "front 1 10.") {
				t.Errorf("got %q", got)
			}
			list[got] = true
		}
		if len(list) != 2 {
			t.Errorf("addresses are shared: %v", list)
		}
	})
}

// failing is a test that keeps why it has failed.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}
func (f *failing) Fatal(args ...any) {
	f.text = fmt.Sprint(args...)
	runtime.Goexit()
}
func (f *failing) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// fails returns what fn says when it fails the test.
func fails(t *testing.T, fn func(t testing.TB)) string {
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn(f)
	}()
	<-done
	return f.text
}

// A test that fails says what happened instead.
func TestFailuresSayWhatHappened(t *testing.T) {
	setup := func(io *server.Server) {
		shop(io)
		io.Of("/closed").Use(func(*server.Socket) error { return errors.New("go away") })
		io.On("nil", func() {})
		io.On("kick", func(s *server.Socket) { s.Disconnect(true) })
		io.On("slow", func(ctx context.Context) { <-ctx.Done() })
	}
	for _, c := range []struct {
		name string
		fn   func(t testing.TB, io *server.Server)
		want string
	}{
		{"another event", func(t testing.TB, io *server.Server) { servertest.Expect[string](servertest.Connect(t, io), "news") },
			`/: no event "news" came; there wait "welcome" ["`},
		{"another type", func(t testing.TB, io *server.Server) { servertest.Expect[int](servertest.Connect(t, io), "welcome") },
			`/: the argument of "welcome" is no int: argument 1: `},
		{"an error", func(t testing.TB, io *server.Server) { servertest.Ask[int](servertest.Connect(t, io), "say", "") },
			`/: "say" is answered with an error: say something`},
		{"no error", func(t testing.TB, io *server.Server) { servertest.AskFails(servertest.Connect(t, io), "say", "beans") },
			`/: "say" is answered, and not with an error: [5]`},
		{"another answer", func(t testing.TB, io *server.Server) { servertest.Ask[bool](servertest.Connect(t, io), "say", "x") },
			`/: the answer to "say" is no bool: argument 1: `},
		{"no handler", func(t testing.TB, io *server.Server) { servertest.Ask[bool](servertest.Connect(t, io), "sya") },
			`/: nothing answers "sya": is there a handler of that event, and does it return? there wait "welcome" ["`},
		{"gone", func(t testing.TB, io *server.Server) {
			c := servertest.Connect(t, io)
			_ = c.Emit("kick")
			servertest.Expect[string](c, "news")
		}, `; the client is not connected; a connection ended: io server disconnect`},
		{"let in", func(t testing.TB, io *server.Server) { servertest.Refused(t, io, "/", client.Config{}) },
			`/: the client is not refused: <nil>`},
		{"not let in", func(t testing.TB, io *server.Server) { servertest.ConnectTo(t, io, "/closed", client.Config{}) },
			`/closed: the client is not let in: client: refused: go away`},
		{"unwanted", func(t testing.TB, io *server.Server) { servertest.Connect(t, io).ExpectNothing() },
			`/: the event "welcome" ["`},
		{"connected", func(t testing.TB, io *server.Server) { servertest.Connect(t, io).ExpectDisconnect() },
			`/: the connection does not end; there wait "welcome" ["`},
		{"adapter", func(t testing.TB, io *server.Server) {
			servertest.Cluster(t, 2, server.Config{Adapter: adapter.Memory(nil)})
		}, `Cluster makes the adapters`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				io := servertest.Server(t, server.Config{})
				setup(io)
				if got := fails(t, func(t testing.TB) { c.fn(t, io) }); !strings.Contains(got, c.want) {
					t.Errorf("the test says %q, want %q in it", got, c.want)
				}
			})
		})
	}
	io := servertest.Server(t, server.Config{})
	if got := fails(t, func(t testing.TB) { servertest.Connect(t, io).ExpectNothing() }); !strings.Contains(got, "inside synctest.Test") {
		t.Errorf("outside: %q", got)
	}
}

// A day in a bubble is what a test waits for an event.
func TestExpectWaitsForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		c := servertest.Connect(t, io)
		time.AfterFunc(24*time.Hour-time.Second, func() { _ = io.Emit("news", 1) })
		if n := servertest.Expect[int](c, "news"); n != 1 {
			t.Errorf("news: %d", n)
		}
		since := time.Now()
		fails(t, func(t testing.TB) { servertest.Connect(t, io).ExpectArgs("news") })
		if waited := time.Since(since); waited != 24*time.Hour {
			t.Errorf("given up after %v", waited)
		}
	})
}
