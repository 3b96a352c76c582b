package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
)

// A connection that breaks is made again, what was emitted meanwhile is sent, and handlers are called once.
func TestReconnects(t *testing.T) {
	each(t, func(t *testing.T, cfg client.Config) {
		s := start(t, server.Config{})
		s.io.OnConnection(func(x *server.Socket) { x.On("echo", func(n int) int { return n }) })
		c := open(t, s.url, cfg)
		x, other := c.Socket(), c.Of("/other")
		s.io.Of("/other").On("echo", func(n int) int { return -n })
		ups, ends := make(chan string, 10), make(chan client.Reason, 10)
		x.OnConnect(func() { ups <- x.ID() })
		x.OnDisconnect(func(r client.Reason, err error) {
			if err == nil && r == client.ReasonTransportError {
				t.Error("no cause")
			}
			ends <- r
		})
		connect(t, x)
		connect(t, other)
		first := get(t, ups)
		for round := range 3 {
			s.cut(true)
			r := get(t, ends)
			if r != client.ReasonTransportClose && r != client.ReasonTransportError || x.ID() != "" || x.Recovered() {
				t.Errorf("reason %q", r)
			}
			answers := make(chan int, 1)
			go func() { // waits for the connection, as Emit does
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				n, err := client.Ask[int](ctx, x, "echo", round)
				if err != nil {
					t.Error(err)
				}
				answers <- n
			}()
			s.cut(false)
			if id := get(t, ups); id == "" || id == first {
				t.Errorf("id %q, before %q", id, first)
			}
			if n := get(t, answers); n != round {
				t.Errorf("answer %d, want %d", n, round)
			}
			if n := ask[int](t, other, "echo", 5); n != -5 {
				t.Errorf("answer %d in the other namespace", n)
			}
		}
	})
}

// The server is not there at first: the client tries until it is.
func TestConnectsLater(t *testing.T) {
	each(t, func(t *testing.T, cfg client.Config) {
		s := start(t, server.Config{})
		s.cut(true)
		c := open(t, s.url, cfg)
		tries := make(chan int, 100)
		c.OnReconnectAttempt(func(n int) { tries <- n })
		failures := make(chan error, 100)
		x := c.Socket()
		x.OnConnectError(func(err error) { failures <- err })
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := x.Connect(short); !errors.Is(err, context.DeadlineExceeded) || !x.Active() {
			t.Errorf("Connect: %v", err)
		}
		if err := get(t, failures); err == nil {
			t.Error("no error")
		}
		for want := 1; want <= 3; want++ {
			if n := get(t, tries); n != want {
				t.Errorf("attempt %d, want %d", n, want)
			}
		}
		s.cut(false)
		connect(t, x)
	})
}

// Attempts end when there have been enough, when there are to be none, and when nobody wants them.
func TestGivesUp(t *testing.T) {
	s := start(t, server.Config{})
	s.cut(true)
	c := open(t, s.url, client.Config{ReconnectionAttempts: 2})
	var tries atomic.Int64
	failed := make(chan error, 1)
	c.OnReconnectAttempt(func(int) { tries.Add(1) })
	c.OnReconnectFailed(func(err error) { failed <- err })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Socket().Connect(ctx); err == nil || ctx.Err() != nil || tries.Load() != 2 || c.Socket().Active() {
		t.Errorf("Connect: %v after %d attempts", err, tries.Load())
	}
	if err := get(t, failed); err == nil {
		t.Error("no error")
	}
	none := open(t, s.url, client.Config{NoReconnection: true})
	none.OnReconnectAttempt(func(int) { t.Error("an attempt") })
	if err := none.Socket().Connect(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("Connect: %v", err)
	}
	slow := open(t, s.url, client.Config{ReconnectionDelay: time.Hour, ReconnectionDelayMax: time.Hour})
	done := make(chan error, 1)
	go func() { done <- slow.Socket().Connect(ctx) }()
	eventually(t, func() error {
		if !slow.Socket().Active() {
			return errors.New("not active")
		}
		return nil
	})
	slow.Socket().Disconnect()
	if err := get(t, done); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("Connect: %v", err)
	}
	// By hand it connects again at once.
	s.cut(false)
	connect(t, slow.Socket())
	connect(t, c.Socket())
}

// After Close nothing goes on, whatever was going on.
func TestClose(t *testing.T) {
	s := start(t, server.Config{})
	got := make(chan string, 10)
	s.io.OnConnection(func(x *server.Socket) {
		x.On("last", func(text string) { got <- text })
		x.OnDisconnect(func(d server.Disconnection) { got <- string(d.Reason) })
	})
	each(t, func(t *testing.T, cfg client.Config) {
		c := open(t, s.url, cfg)
		x := connect(t, c.Socket())
		ended := make(chan client.Reason, 1)
		x.OnDisconnect(func(r client.Reason, _ error) { ended <- r })
		if err := x.Emit("last", "words"); err != nil {
			t.Fatal(err)
		}
		shut(t, c)
		if a, b, r := get(t, got), get(t, got), get(t, ended); a != "words" || b != "client namespace disconnect" || r != client.ReasonClient {
			t.Errorf("the server got %q, and %q; here %q", a, b, r)
		}
		if err := x.Open(); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Open: %v", err)
		}
		if err := x.Emit("x"); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Emit: %v", err)
		}
		if _, err := x.EmitWithAck(t.Context(), "x"); !errors.Is(err, client.ErrClosed) {
			t.Errorf("EmitWithAck: %v", err)
		}
	})
	// Who waits is told.
	c := open(t, s.url, client.Config{})
	x := connect(t, c.Socket())
	done := make(chan error, 1)
	go func() { _, err := x.EmitWithAck(t.Context(), "nobody"); done <- err }()
	asked := make(chan struct{})
	if err := x.EmitFunc(func(client.Args, error) { close(asked) }, "nobody"); err != nil {
		t.Fatal(err)
	}
	shut(t, c)
	if err := get(t, done); !errors.Is(err, client.ErrDisconnected) && !errors.Is(err, client.ErrClosed) {
		t.Errorf("EmitWithAck: %v", err)
	}
	get(t, asked)
}

// Timeouts, and ends of connections, end waits; what has not left by then does not leave.
func TestAcknowledgementsThatDoNotCome(t *testing.T) {
	s := start(t, server.Config{})
	got := make(chan string, 10)
	s.io.OnConnection(func(x *server.Socket) {
		x.On("silent", func(server.Ack) { got <- "silent" })
		x.On("buffered", func() { got <- "buffered" })
		x.On("drop", func(server.Ack) { x.Session().Close("forced close") })
	})
	c := open(t, s.url, client.Config{AckTimeout: 100 * time.Millisecond})
	x := c.Socket()
	if _, err := x.EmitWithAck(t.Context(), "buffered"); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("without a connection: %v", err)
	}
	if err := x.Volatile().Emit("buffered"); err != nil {
		t.Error(err)
	}
	connect(t, x)
	if _, err := x.EmitWithAck(t.Context(), "silent"); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("unanswered: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Timeout(0).EmitWithAck(ctx, "silent"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for range 2 {
		if what := get(t, got); what != "silent" {
			t.Errorf("the server got %q", what)
		}
	}
	if _, err := x.Timeout(patience).EmitWithAck(t.Context(), "drop"); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("dropped: %v", err)
	}
}

// Retried events come one after the other, and until they are acknowledged.
func TestRetries(t *testing.T) {
	s := start(t, server.Config{})
	var mu sync.Mutex
	var got []string
	s.io.OnConnection(func(x *server.Socket) {
		tries := 0
		x.On("n", func(n int, ack server.Ack) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint(n))
			if tries++; n == 1 && tries < 3 || n == 2 {
				return // no answer
			}
			_ = ack(n)
		})
	})
	c := open(t, s.url, client.Config{AckTimeout: 100 * time.Millisecond, Retries: 2})
	x := c.Socket()
	if err := x.Emit("n", 0); err != nil { // before the connection
		t.Fatal(err)
	}
	connect(t, x)
	if err := x.Emit("n", 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := x.EmitWithAck(ctx, "n", 2); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("given up: %v", err)
	}
	if n := ask[int](t, x, "n", 3); n != 3 {
		t.Errorf("answer %d", n)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"0", "1", "1", "2", "2", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("the server got %q, want %q", got, want)
	}
}

// A client that comes back has missed nothing.
func TestRecovery(t *testing.T) {
	each(t, func(t *testing.T, cfg client.Config) {
		s := start(t, recovery())
		s.io.OnConnection(func(x *server.Socket) { x.Join("room") })
		cfg.Auth = map[string]string{"name": "Ada"}
		c := open(t, s.url, cfg)
		x := c.Socket()
		got, ups := make(chan int, 100), make(chan bool, 10)
		x.On("n", func(n int) { got <- n })
		x.OnConnect(func() { ups <- x.Recovered() })
		connect(t, x)
		if get(t, ups) {
			t.Error("recovered at first")
		}
		id := x.ID()
		want := 0
		for range 3 {
			for range 5 {
				if err := s.io.To("room").Emit("n", want); err != nil {
					t.Fatal(err)
				}
				if n := get(t, got); n != want {
					t.Fatalf("got %d, want %d", n, want)
				}
				want++
			}
			s.cut(true)
			eventually(t, func() error {
				if x.Connected() { // the server may notice later
					return errors.New("the end is not noticed yet")
				}
				return nil
			})
			for n := range 5 {
				if err := s.io.To("room").Emit("n", want+n); err != nil {
					t.Fatal(err)
				}
			}
			s.cut(false)
			if !get(t, ups) || x.ID() != id {
				t.Errorf("not recovered: %s, before %s", x.ID(), id)
			}
			for range 5 {
				if n := get(t, got); n != want {
					t.Fatalf("got %d, want %d", n, want)
				}
				want++
			}
		}
	})
}

// A server that says nothing is given up; one that is not Socket.IO is told apart.
func TestServersThatAreNone(t *testing.T) {
	each(t, func(t *testing.T, cfg client.Config) {
		cfg.ConnectTimeout = 200 * time.Millisecond
		cfg.NoReconnection = true
		release := make(chan struct{})
		silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
		none := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(func() { close(release); silent.Close(); web.Close(); none.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for _, x := range []struct{ url, want string }{{silent.URL, "timed out"}, {web.URL, ""}, {none.URL, "404"}} {
			c := open(t, x.url, cfg)
			if err := c.Socket().Connect(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
			shut(t, c)
		}
	})
}

// A server that sends no heartbeat any more is given up.
func TestHeartbeat(t *testing.T) {
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sid") == "" {
			fmt.Fprint(w, `0{"sid":"x","upgrades":[],"pingInterval":50,"pingTimeout":50,"maxPayload":1000}`)
		} else if r.Method == http.MethodPost {
			fmt.Fprint(w, "ok")
		} else {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(l.Close)
	c := open(t, l.URL, client.Config{})
	tries := make(chan int, 10)
	c.OnReconnectAttempt(func(n int) {
		select {
		case tries <- n:
		default:
		}
	})
	if err := c.Socket().Open(); err != nil {
		t.Fatal(err)
	}
	get(t, tries)
	get(t, tries)
}

// Pauses grow, with some of it at random, and end.
func TestPauses(t *testing.T) {
	for range 100 {
		for n, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			cfg := client.Config{ReconnectionDelay: 100 * time.Millisecond, ReconnectionDelayMax: time.Second, Randomization: 0.5}
			got := client.Pause(&cfg, n)
			want *= time.Millisecond
			if got < want/2 || got > min(want*3/2, time.Second) {
				t.Errorf("pause %d is %v, about %v", n, got, want)
			}
		}
	}
}

// Events that handlers do not get on with end the connection, and not the memory.
func TestSlowHandlers(t *testing.T) {
	s := start(t, server.Config{})
	s.io.OnConnection(func(x *server.Socket) {
		for n := range 100 {
			_ = x.Emit("n", n)
		}
	})
	c := open(t, s.url, client.Config{MaxQueuedEvents: 10, NoReconnection: true})
	x := c.Socket()
	release := make(chan struct{})
	ends := make(chan client.Reason, 1)
	x.On("n", func(n int) { <-release })
	x.OnDisconnect(func(r client.Reason, _ error) { ends <- r })
	connect(t, x)
	eventually(t, func() error {
		if x.Connected() {
			return errors.New("still connected")
		}
		return nil
	})
	close(release)
	if r := get(t, ends); r != client.ReasonQueueFull {
		t.Errorf("reason %q", r)
	}
}

// What waits for a connection is bounded.
func TestBufferIsBounded(t *testing.T) {
	x := open(t, "http://127.0.0.1:1", client.Config{MaxBufferBytes: 1000}).Socket()
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = x.Emit("x", strings.Repeat("x", 80))
	}
	if !errors.Is(err, client.ErrBufferFull) || n > 20 {
		t.Errorf("%v after %d events", err, n)
	}
}

// Node sends what a recovered client has missed before it answers CONNECT.
func TestEventsBeforeTheAnswer(t *testing.T) {
	polls := make(chan string, 10)
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Query().Get("sid") == "":
			fmt.Fprint(w, `0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`)
		case r.Method == http.MethodPost:
			if string(body) == "40" {
				polls <- "42[\"n\",1,\"offset\"]\x1e40{\"sid\":\"y\",\"pid\":\"p\"}\x1e42[\"n\",2]"
			}
			fmt.Fprint(w, "ok")
		default:
			select {
			case p := <-polls:
				fmt.Fprint(w, p)
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(l.Close)
	x := open(t, l.URL, client.Config{}).Socket()
	got := make(chan int, 10)
	x.OnConnect(func() { got <- 0 })
	x.On("n", func(n int) { got <- n })
	connect(t, x)
	for want := range 3 {
		if n := get(t, got); n != want {
			t.Errorf("got %d, want %d", n, want)
		}
	}
	shut(t, x.Client())
}

// Who leaves before the server has let it in is not in at the server either.
func TestDisconnectBeforeTheAnswer(t *testing.T) {
	s := start(t, server.Config{})
	entered, release, in := make(chan struct{}), make(chan struct{}), make(chan struct{})
	slow := s.io.Of("/slow")
	slow.Use(func(*server.Socket) error { close(entered); <-release; return nil })
	slow.OnConnection(func(*server.Socket) { close(in) })
	c := open(t, s.url, client.Config{})
	connect(t, c.Of("/")) // keeps the connection
	x := c.Of("/slow")
	done := make(chan error, 1)
	go func() { done <- x.Connect(t.Context()) }()
	get(t, entered)
	x.Disconnect()
	if err := get(t, done); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("Connect: %v", err)
	}
	close(release)
	get(t, in)
	eventually(t, func() error {
		if n := slow.LocalCount(); n > 0 || x.Connected() {
			return fmt.Errorf("%d sockets at the server", n)
		}
		return nil
	})
}

// An answer that is lost with its connection may have had events in it: to poll again would go on without them.
func TestBrokenPollIsTheEnd(t *testing.T) {
	var sessions, polls atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, "ok")
		case !r.URL.Query().Has("sid"):
			polls.Store(0)
			_, _ = fmt.Fprintf(w, `0{"sid":"%d","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}`, sessions.Add(1))
		case polls.Add(1) == 1:
			_, _ = io.WriteString(w, `40{"sid":"a"}`)
		case sessions.Load() > 1:
			<-r.Context().Done()
		default: // the answer, with an event in it, does not arrive
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
		}
	}))
	defer web.Close()
	// Redirects are followed all the same.
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, web.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	defer moved.Close()
	c := open(t, moved.URL, client.Config{Transports: []client.Transport{client.Polling}})
	ends := make(chan client.Reason, 10)
	c.Socket().OnDisconnect(func(r client.Reason, _ error) { ends <- r })
	connect(t, c.Socket())
	if r := get(t, ends); r != client.ReasonTransportError || polls.Load() > 2 && sessions.Load() == 1 {
		t.Errorf("%s after %d polls", r, polls.Load())
	}
	connect(t, c.Socket())
	if n := sessions.Load(); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

// Who waits for an answer to what cannot leave is told when nobody tries to connect any more, and it does not leave later.
func TestWaitsEndWhenNobodyTriesToConnect(t *testing.T) {
	s := start(t, server.Config{})
	got := make(chan string, 10)
	s.io.Of("/refused").Use(func(*server.Socket) error { return errors.New("not you") })
	s.io.OnConnection(func(x *server.Socket) {
		x.On("late", func(server.Ack) { got <- "late" })
		x.On("after", func() { got <- "after" })
		x.On("leave", func() { x.Disconnect(false) })
	})
	c := open(t, s.url, client.Config{})
	wait := func(x *client.Socket) chan error {
		t.Helper()
		told := make(chan error, 1)
		if err := x.EmitFunc(func(_ client.Args, err error) { told <- err }, "late"); err != nil {
			t.Fatal(err)
		}
		return told
	}
	x := c.Of("/refused")
	told := wait(x)
	_ = x.Connect(t.Context())
	var refused *client.ConnectError
	if err := get(t, told); !errors.As(err, &refused) || refused.Message != "not you" {
		t.Errorf("refused: %v", err)
	}
	x = c.Socket()
	told = wait(x)
	x.Disconnect()
	if err := get(t, told); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("disconnected: %v", err)
	}
	if _, err := x.Volatile().EmitWithAck(t.Context(), "late"); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("volatile: %v", err)
	}
	connect(t, x)
	if err := x.Emit("after"); err != nil {
		t.Error(err)
	}
	if what := get(t, got); what != "after" {
		t.Errorf("the server got %q", what)
	}
	nowhere := open(t, "http://127.0.0.1:1", client.Config{NoReconnection: true}).Socket()
	told = wait(nowhere)
	if err := nowhere.Connect(t.Context()); err == nil {
		t.Error("connected")
	}
	if err := get(t, told); err == nil {
		t.Error("nobody answers, and no error")
	}
}
