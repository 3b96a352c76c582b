package server_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// identified lets the clients in under the name in their auth payload.
func identified(s *server.Socket) error {
	var auth struct{ Name string }
	if err := s.Handshake().Auth(&auth); err != nil {
		return err
	}
	return s.SetIdentity(auth.Name)
}

// enter connects to a namespace under a name and returns the answer.
func (p *peer) enter(nsp, name string) string {
	p.T.Helper()
	p.Send("40" + nsp + `{"name":"` + name + `"}`)
	return p.Text()
}

// lines is a log that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), s)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestSessionsPerIdentity(t *testing.T) {
	log := &lines{}
	srv, url := start(t, server.Config{
		Limits: server.Limits{MaxSessionsPerIdentity: 2}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}, func(io *server.Server) {
		io.Use(identified)
		io.Of("/b").Use(identified)
		io.Of("/no").Use(func(s *server.Socket) error {
			if err := identified(s); err != nil {
				return err
			}
			return errors.New("no")
		})
	})
	const refused = `{"message":"too many sessions per identity","data":{"limit":"sessions per identity","max":2}}`
	a, b, c := dial(t, url), dial(t, url), dial(t, url)
	a.enter("", "ada")
	a.enter("/b,", "ada") // the same session
	b.enter("", "ada")
	for range 3 {
		if got := c.enter("", "ada"); got != "44"+refused {
			t.Errorf("a third session got %s", got)
		}
	}
	if got := c.enter("", "bob"); !strings.HasPrefix(got, "40") {
		t.Errorf("somebody else got %s", got)
	}
	a.Send("41")
	if got := c.enter("/b,", "ada"); got != "44/b,"+refused {
		t.Errorf("after one of two sockets of a session has left: %s", got)
	}
	a.Send("41/b,")
	eventually(t, "room for another", func() bool { return strings.HasPrefix(c.enter("/b,", "ada"), "40/b,") })

	// One that is refused for something else, or goes, leaves no trace.
	d := dial(t, url)
	for range 5 {
		if got := d.enter("/no,", "eve"); got != `44/no,{"message":"no"}` {
			t.Errorf("refused with %s", got)
		}
	}
	for range 5 {
		x := dial(t, url)
		if got := x.enter("", "eve"); !strings.HasPrefix(got, "40") {
			t.Errorf("got %s", got)
		}
		_ = x.Conn.Close()
		eventually(t, "its end", func() bool { return srv.Engine().Sessions() == 4 })
	}
	if n := srv.Stats().RefusedBy; n[server.RefusedIdentity] < 4 || n[server.RefusedMiddleware] != 5 {
		t.Errorf("refused: %v", n)
	}
	if n := log.count("a limit is reached"); n != 1 {
		t.Errorf("%d log lines of the limit, want one", n)
	}
}

func TestIdentityOfASocket(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	_, url := start(t, server.Config{Limits: server.Limits{MaxSessionsPerIdentity: 1}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p, _ := join(t, url, "/")
	s := await(t, sockets)
	if s.Identity() != "" {
		t.Errorf("identity %q before one was set", s.Identity())
	}
	for _, id := range []string{"ada", "bob", "", "ada", "ada"} {
		if err := s.SetIdentity(id); err != nil || s.Identity() != id {
			t.Errorf("SetIdentity(%q): %v, then %q", id, err, s.Identity())
		}
	}
	join(t, url, "/")
	other := await(t, sockets)
	var limited *server.LimitError
	if err := other.SetIdentity("ada"); !errors.As(err, &limited) || limited.Max != 1 {
		t.Errorf("got %v, want a LimitError", err)
	}
	if err := other.SetIdentity("bob"); err != nil {
		t.Errorf("an identity that was given up: %v", err)
	}
	p.Send("41")
	await(t, s.Context().Done())
	if err := s.SetIdentity("eve"); !errors.Is(err, server.ErrDisconnected) {
		t.Errorf("after its end: %v", err)
	}
	eventually(t, "room", func() bool { return other.SetIdentity("ada") == nil })
	if err := other.SetIdentity("eve"); err != nil {
		t.Errorf("a socket that had gone holds its identity: %v", err)
	}
}

func TestEventsPerIdentity(t *testing.T) {
	log := &lines{}
	srv, url := start(t, server.Config{
		Limits: server.Limits{EventsPerSecondPerIdentity: 5}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}, func(io *server.Server) {
		io.Use(identified)
		io.On("echo", func(n int) int { return n })
	})
	ada, also, bob := dial(t, url), dial(t, url), dial(t, url)
	ada.enter("", "ada")
	also.enter("", "ada")
	bob.enter("", "bob")
	for range 5 { // half of what may come at once
		ada.Send(`420["echo",1]`)
		ada.Expect(`430[1]`)
	}
	also.Flood(30, `42["echo",1]`)
	also.ExpectClosed()
	wantClosed(t, srv, server.ReasonRateLimited, 1)
	bob.Send(`420["echo",1]`)
	bob.Expect(`430[1]`)
	if s := srv.Stats(); s.RateLimited != 1 || s.RateLimitedIdentity != 1 || s.RateLimitedAddr != 0 {
		t.Errorf("stats %+v", s)
	}
	if n := log.count("a limit of events is reached"); n != 1 {
		t.Errorf("%d log lines of the limit, want one", n)
	}
}

// Events that come behind their CONNECT, when nobody knows whose they are, count as well.
func TestEarlyEventsCountForTheIdentity(t *testing.T) {
	var handled atomic.Int32
	pass := make(chan struct{})
	srv, url := start(t, server.Config{Limits: server.Limits{EventsPerSecondPerIdentity: 5}}, func(io *server.Server) {
		io.Use(func(s *server.Socket) error {
			<-pass // until all have come
			return identified(s)
		})
		io.On("echo", func() { handled.Add(1) })
	})
	p := dial(t, url)
	p.Send(`40{"name":"ada"}`)
	p.Flood(32, `42["echo"]`)
	eventually(t, "all have come", func() bool { return srv.Stats().EventsIn == 32 })
	close(pass)
	p.ExpectClosed()
	eventually(t, "the limit has closed the session", func() bool { return srv.Stats().RateLimitedIdentity == 1 })
	if n := handled.Load(); n > 15 {
		t.Errorf("%d of 32 events are handled", n)
	}
	if s := srv.Stats(); s.RateLimited != 1 {
		t.Errorf("stats %+v", s)
	}
}

// Who leaves before its events are handled is whom they are counted for all the same.
func TestEarlyEventsCountForWhoHasLeft(t *testing.T) {
	var handled atomic.Int32
	pass, hold, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
	srv, url := start(t, server.Config{Limits: server.Limits{EventsPerSecondPerIdentity: 5}}, func(io *server.Server) {
		io.Use(func(s *server.Socket) error {
			<-pass // until all have come
			return identified(s)
		})
		io.OnConnection(func(s *server.Socket) { s.OnDisconnect(func(server.Disconnection) { close(gone) }) })
		io.On("echo", func() { handled.Add(1); <-hold })
	})
	p := dial(t, url)
	p.Send(`40{"name":"ada"}`)
	p.Flood(31, `42["echo"]`)
	eventually(t, "all have come", func() bool { return srv.Stats().EventsIn == 31 })
	close(pass)
	eventually(t, "the first is handled", func() bool { return handled.Load() == 1 })
	p.Send("41")
	eventually(t, "it has left", func() bool { return srv.LocalCount() == 0 })
	close(hold)
	await(t, gone)
	if n := handled.Load(); n > 15 {
		t.Errorf("%d of 31 events are handled", n)
	}
}

func TestEventsPerAddress(t *testing.T) {
	srv, url := start(t, server.Config{Limits: server.Limits{EventsPerSecondPerAddr: 5}}, func(*server.Server) {})
	p, _ := join(t, url, "/")
	q, _ := join(t, url, "/")
	p.Flood(20, `42["x"]`)
	q.Flood(20, `42["x"]`)
	p.ExpectClosed()
	q.ExpectClosed()
	wantClosed(t, srv, server.ReasonRateLimited, 2)
	// Two of the ten that may come at once were CONNECTs.
	if s := srv.Stats(); s.RateLimitedAddr != 2 || s.EventsIn < 8 || s.EventsIn > 36 {
		t.Errorf("stats %+v", s)
	}
}

func TestLimitsAreChecked(t *testing.T) {
	for _, l := range []server.Limits{
		{MaxConnecting: -1}, {ConnectsPerSecond: -1}, {MaxAuthBytes: -1}, {MaxEarlyEvents: -1},
		{EventsPerSecondPerAddr: -1}, {EventsPerSecondPerIdentity: -1}, {MaxSessionsPerIdentity: -1},
	} {
		if _, err := server.New(server.Config{Limits: l}); err == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}

// Milliseconds of a configuration of Node's are nanoseconds here: that is said, instead of pinging 440 times a second.
func TestDurationsAreChecked(t *testing.T) {
	for name, cfg := range map[string]server.Config{
		"PingInterval":      {Transport: transport.Config{PingInterval: 25000}},
		"PingTimeout":       {Transport: transport.Config{PingTimeout: 20000}},
		"ConnectTimeout":    {ConnectTimeout: 45000},
		"AttachmentTimeout": {Limits: server.Limits{AttachmentTimeout: 10000}},
		"MaxDisconnection":  {Recovery: &server.Recovery{Recovery: adapter.Recovery{MaxDisconnection: 120000}}},
	} {
		if _, err := server.New(cfg); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "time.Millisecond") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Node's servers take these events of another server for their own, and end.
func TestServerSideEventsThatAreReserved(t *testing.T) {
	srv, _ := start(t, server.Config{}, func(*server.Server) {})
	for _, name := range []string{"connect", "connection", "new_namespace"} {
		if err := srv.ServerSideEmit(name, 1); !errors.Is(err, server.ErrReservedEvent) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := srv.ServerSideEmitWithAck(t.Context(), name); !errors.Is(err, server.ErrReservedEvent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
