package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// A middleware that blocks until the test lets it go on, and counts how many are in it.
type gate struct {
	open             chan struct{}
	in, most, passed atomic.Int32
}

func newGate(t testing.TB) *gate {
	g := &gate{open: make(chan struct{})}
	t.Cleanup(g.release)
	return g
}

func (g *gate) release() {
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) pass(*server.Socket) error {
	n := g.in.Add(1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
	}
	<-g.open
	g.in.Add(-1)
	g.passed.Add(1)
	return nil
}

// The bytes that wait are the session's, however many namespaces they are for.
func TestQueuedBytesAreTheSessions(t *testing.T) {
	hold := make(chan struct{})
	srv, url := start(t, server.Config{Limits: server.Limits{MaxQueuedBytes: 1 << 20}}, func(io *server.Server) {
		for i := range 20 {
			io.Of(fmt.Sprint("/", i)).On("block", func() { <-hold })
		}
	})
	defer close(hold)
	p := dial(t, url)
	text := strings.Repeat("x", 100_000)
	for i := range 20 {
		p.Connect(fmt.Sprint("/", i), "")
	}
	for i := range 20 { // each is far below the limit
		_, _ = p.Conn.Write(frames(fmt.Sprintf(`42/%d,["block","%s"]`, i, text)))
	}
	p.ExpectClosed()
	wantClosed(t, srv, server.ReasonQueueFull, 1)
	if n := srv.Stats().QueueFull; n != 1 {
		t.Errorf("%d sessions closed for a full queue, want one", n)
	}
}

// A session that was never let in holds what a few events are, for all its namespaces together.
func TestEventsBeforeTheAnswerToConnectAreFew(t *testing.T) {
	g := newGate(t)
	srv, url := start(t, server.Config{Limits: server.Limits{MaxEarlyEvents: 4}}, func(io *server.Server) {
		for i := range 3 {
			nsp := io.Of(fmt.Sprint("/", i))
			nsp.Use(g.pass)
			nsp.On("echo", func(n int) int { return n })
		}
	})
	p := dial(t, url)
	p.Send("40/0,", "40/1,")
	eventually(t, "both are in the middleware", func() bool { return g.in.Load() == 2 })
	p.Send(`42/0,0["echo",0]`, `42/1,1["echo",1]`, `42/0,2["echo",2]`, `42/1,3["echo",3]`)
	g.release()
	got := map[string]bool{}
	for range 6 {
		text := p.Text()
		got[text] = true
	}
	for _, want := range []string{`43/0,0[0]`, `43/1,1[1]`, `43/0,2[2]`, `43/1,3[3]`} {
		if !got[want] {
			t.Errorf("%s did not come among %v", want, got)
		}
	}

	g2 := newGate(t)
	srv.Of("/0").Use(g2.pass)
	srv.Of("/1").Use(g2.pass)
	q := dial(t, url)
	q.Send("40/0,", "40/1,")
	q.Send(`42/0,["echo",0]`, `42/1,["echo",1]`, `42/0,["echo",2]`, `42/1,["echo",3]`, `42/0,["echo",4]`)
	q.ExpectClosed()
	wantClosed(t, srv, transport.ReasonForcedServerClose, 1)
}

// One legal body of the smallest events is worked off, and the client stays.
func TestBodyOfTheSmallestEvents(t *testing.T) {
	const events = 160_000
	var n atomic.Int32
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("0", func() { n.Add(1) })
		io.On("done", func() int32 { return n.Load() })
	})
	p := dialPolling(t, url)
	p.post("40")
	p.get()
	p.post(strings.Repeat("42[0]\x1e", events) + `427["done"]`)
	if got, want := p.get(), fmt.Sprintf(`437[%d]`, events); got != want {
		t.Errorf("got %.80q, want %q", got, want)
	}
	if s := srv.Stats(); s.QueueFull != 0 || s.RefusedPackets != 0 {
		t.Errorf("stats %+v", s)
	}
}

// The same while the handlers do not get on at all: it waits.
func TestBodyOfTheSmallestEventsWaitsForItsHandlers(t *testing.T) {
	const events = 40_000
	var n atomic.Int32
	hold := make(chan struct{})
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("0", func() { <-hold; n.Add(1) })
		io.On("done", func() int32 { return n.Load() })
	})
	p := dialPolling(t, url)
	p.post("40")
	p.get()
	p.post(strings.Repeat("42[0]\x1e", events) + `427["done"]`)
	if n := srv.Engine().Sessions(); n != 1 {
		t.Errorf("%d sessions, want one", n)
	}
	close(hold)
	if got, want := p.get(), fmt.Sprintf(`437[%d]`, events); got != want {
		t.Errorf("got %.80q, want %q", got, want)
	}
}

// A client that sends faster than its handlers work is slowed down, not closed.
func TestFastClientIsSlowedDown(t *testing.T) {
	const events = 20_000
	next := make(chan struct{})
	srv, url := start(t, server.Config{Limits: server.Limits{MaxQueuedEvents: 1000}}, func(io *server.Server) {
		io.On("work", func(int) { <-next })
		io.On("done", func() string { return "done" })
	})
	p, _ := join(t, url, "/")
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Flood(events, `42["work",1]`)
		p.Send(`421["done"]`)
	}()
	eventually(t, "the server reads no more", func() bool { return srv.Stats().ReadsHeld > 0 })
	close(next)
	await(t, done)
	p.Expect(`431["done"]`)
	if s := srv.Stats(); s.QueueFull != 0 {
		t.Errorf("stats %+v", s)
	}
}

// It waits for handlers that work, not for one that is stuck: that one may need what is not read yet.
func TestReaderDoesNotWaitForAHandlerThatIsStuck(t *testing.T) {
	_, url := start(t, server.Config{Limits: server.Limits{MaxQueuedEvents: 100}}, func(io *server.Server) {
		io.On("ask", func(s *server.Socket) (string, error) {
			answer, err := s.EmitWithAck(s.Context(), "question")
			if err != nil {
				return "", err
			}
			var text string
			err = answer.Scan(&text)
			return text, err
		})
		io.On("more", func() {})
	})
	p, _ := join(t, url, "/")
	p.Send(`421["ask"]`)
	question := p.Text()
	p.Flood(80, `42["more"]`)
	p.Send("43" + strings.TrimSuffix(strings.TrimPrefix(question, "42"), `["question"]`) + `["yes"]`)
	p.Expect(`431["yes"]`)
}

func TestOneReadDoesNotStartAllMiddlewares(t *testing.T) {
	g := newGate(t)
	srv, url := start(t, server.Config{Limits: server.Limits{MaxConnecting: 5}}, func(io *server.Server) {
		for i := range 100 {
			io.Of(fmt.Sprint("/", i)).Use(g.pass)
		}
	})
	p := dialPolling(t, url)
	connects := make([]string, 100)
	for i := range connects {
		connects[i] = fmt.Sprintf("40/%d,", i)
	}
	p.post(strings.Join(connects, "\x1e"))
	eventually(t, "the rest waits", func() bool { return g.in.Load() == 5 && srv.Stats().ConnectsDelayed == 95 })
	g.release()
	for n := 0; n < 100; {
		n += strings.Count(p.get(), "40/")
	}
	if n := g.most.Load(); n != 5 {
		t.Errorf("%d middlewares ran at once, want 5", n)
	}
}

// Passwords are tried no faster than the limit.
func TestConnectsPerSecond(t *testing.T) {
	srv, url := start(t, server.Config{Limits: server.Limits{ConnectsPerSecond: 1}}, func(io *server.Server) {
		io.Use(func(*server.Socket) error { return errors.New("no") })
	})
	p := dial(t, url)
	begin := time.Now()
	for range 16 + 10 { // those that are not counted, and a burst
		p.Send("40")
		p.Expect(`44{"message":"no"}`)
	}
	refused := srv.Stats().ConnectsDelayed
	p.Send("40")
	p.Expect(`44{"message":"no"}`)
	p.Send("40")
	p.Expect(`44{"message":"no"}`)
	took := time.Since(begin)
	if n := srv.Stats().ConnectsDelayed; took < time.Second || n == 0 || n < refused {
		t.Errorf("28 tries in %v, %d delayed", took, n)
	}
}

func TestConnectsCountAsEvents(t *testing.T) {
	for name, limits := range map[string]server.Limits{
		"session": {EventsPerSecond: 5}, "address": {EventsPerSecondPerAddr: 5},
	} {
		t.Run(name, func(t *testing.T) {
			srv, url := start(t, server.Config{Limits: limits}, func(io *server.Server) {
				io.Use(func(*server.Socket) error { return errors.New("no") })
			})
			p := dial(t, url)
			p.Flood(30, "40")
			p.ExpectClosed()
			wantClosed(t, srv, server.ReasonRateLimited, 1)
			if s := srv.Stats(); s.RateLimited != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
	t.Run("identity", func(t *testing.T) {
		srv, url := start(t, server.Config{Limits: server.Limits{EventsPerSecondPerIdentity: 1}}, func(io *server.Server) {
			io.Use(identified)
		})
		for range 2 {
			if got := dial(t, url).enter("", "ada"); !strings.HasPrefix(got, "40") {
				t.Errorf("got %s", got)
			}
		}
		want := `44{"message":"too many events per second of one identity","data":{"limit":"events per second of one identity","max":1}}`
		if got := dial(t, url).enter("", "ada"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if n := srv.Stats().RefusedBy[server.RefusedRate]; n != 1 {
			t.Errorf("refused %v", srv.Stats().RefusedBy)
		}
	})
}

// Names that clients choose are short; those of the application may be as long as it likes.
func TestNamesOfDynamicNamespacesAreBounded(t *testing.T) {
	long := "/" + strings.Repeat("n", 512)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OfPattern(regexp.MustCompile("^/n+$")).OnConnection(func(*server.Socket) {})
		io.OfFunc(func(context.Context, string, json.RawMessage) bool { return true })
		io.Of("/own" + long).OnConnection(func(*server.Socket) {})
	})
	p := dial(t, url)
	p.Connect(long[:512], "")
	p.Connect("/own"+long, "")
	const refused = `,{"message":"too many bytes of the name of a namespace","data":{"limit":"bytes of the name of a namespace","max":512}}`
	for _, name := range []string{long, "/x" + long} {
		p.Send("40" + name + ",")
		p.Expect("44" + name + refused)
	}
	if n := srv.Stats().RefusedBy[server.RefusedNamespace]; n != 2 {
		t.Errorf("refused %v", srv.Stats().RefusedBy)
	}
}

func TestAuthPayloadsAreBounded(t *testing.T) {
	sockets := make(chan *server.Socket, 10)
	srv, url := start(t, server.Config{Limits: server.Limits{MaxAuthBytes: 1000}}, func(io *server.Server) {
		for i := range 5 {
			io.Of(fmt.Sprint("/", i)).OnConnection(func(s *server.Socket) { sockets <- s })
		}
	})
	p := dial(t, url)
	auth := `{"token":"` + strings.Repeat("t", 400) + `"}`
	p.Connect("/0", auth)
	p.Connect("/1", auth)
	const refused = `{"message":"too many bytes of auth payloads","data":{"limit":"bytes of auth payloads","max":1000}}`
	p.Send("40/2," + auth)
	p.Expect("44/2," + refused)
	p.Send("41/0,")
	eventually(t, "room after one has left", func() bool {
		p.Send("40/2," + auth)
		return strings.HasPrefix(p.Text(), "40/2,")
	})
	await(t, sockets)
	var got struct{ Token string }
	if s := await(t, sockets); s.Handshake().Auth(&got) != nil || len(got.Token) != 400 {
		t.Errorf("the token is %q after the socket was let in", got.Token)
	}
	q := dial(t, url)
	q.Send(`40/0,{"token":"` + strings.Repeat("t", 900_000) + `"}`)
	q.Expect("44/0," + refused)
	q.Connect("/0", "")
	if n := srv.Stats().RefusedBy[server.RefusedAuth]; n < 2 {
		t.Errorf("refused %v", srv.Stats().RefusedBy)
	}
}

// A second CONNECT while the first is in a middleware is no breach: client.connect().disconnect().connect()
// sends two. It is tried if the first is refused.
func TestSecondConnectWaitsForTheFirst(t *testing.T) {
	for _, good := range []string{"first", "second"} {
		t.Run(good, func(t *testing.T) {
			g := newGate(t)
			srv, url := start(t, server.Config{}, func(io *server.Server) {
				io.Use(func(s *server.Socket) error {
					if err := g.pass(s); err != nil {
						return err
					}
					var auth struct{ Token string }
					if err := s.Handshake().Auth(&auth); err != nil {
						return err
					}
					if auth.Token != good {
						return errors.New("bad token")
					}
					return nil
				})
				io.On("echo", func(s string) string { return s })
			})
			p := dial(t, url)
			p.Send(`40{"token":"first"}`)
			eventually(t, "it is in the middleware", func() bool { return g.in.Load() == 1 })
			p.Send(`40{"token":"forgotten"}`, `40{"token":"second"}`)
			p.Send("41/elsewhere,") // nothing was sent for it
			p.ExpectClosed()
			wantClosed(t, srv, transport.ReasonForcedClose, 1)

			q := dial(t, url)
			q.Send(`40{"token":"first"}`, `40{"token":"forgotten"}`, `40{"token":"second"}`)
			eventually(t, "it is in the middleware", func() bool { return g.in.Load() == 2 })
			eventually(t, "the others wait", func() bool { return srv.Stats().ConnectsDelayed == 4 }) // two of p's
			g.release()
			if good == "second" {
				q.Expect(`44{"message":"bad token"}`)
			}
			if got := q.Text(); !strings.HasPrefix(got, `40{"sid":`) {
				t.Errorf("got %s", got)
			}
			q.Send(`421["echo","x"]`)
			q.Expect(`431["x"]`)
		})
	}
}

// A CONNECT that waits can be taken back.
func TestDisconnectTakesBackAConnectThatWaits(t *testing.T) {
	g := newGate(t)
	srv, url := start(t, server.Config{Limits: server.Limits{MaxConnecting: 1}}, func(io *server.Server) {
		io.Use(g.pass)
		io.Of("/b").Use(g.pass)
		io.Of("/c")
		io.Of("/d")
	})
	p := dial(t, url)
	p.Send("40", "40/b,", "40/c,", "41/b,", "40/d,")
	eventually(t, "three have had to wait", func() bool { return srv.Stats().ConnectsDelayed == 3 })
	g.release()
	got := []string{p.Text(), p.Text(), p.Text()}
	slices.Sort(got) // answers of different namespaces have no order
	for i, want := range []string{"40/c,", "40/d,", "40{"} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("got %s, want %s", got[i], want)
		}
	}
	if n := g.passed.Load(); n != 1 {
		t.Errorf("%d middlewares ran, want one", n)
	}
}

// A socket that has left keeps nothing alive but its name while the session goes on.
func TestSocketThatHasLeftIsForgotten(t *testing.T) {
	freed := make(chan struct{})
	left := make(chan struct{})
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("echo", func(s string) string { return s })
		io.Of("/a").OnConnection(func(s *server.Socket) {
			big := new([1 << 20]byte)
			runtime.AddCleanup(big, func(struct{}) { close(freed) }, struct{}{})
			s.On("big", func() { big[0]++ })
			s.OnDisconnect(func(server.Disconnection) { close(left) })
		})
	})
	p, _ := join(t, url, "/")
	p.Connect("/a", "")
	p.Send("41/a,")
	await(t, left)
	p.Send(`42/a,["late"]`, `421["echo","x"]`) // on its way: no breach
	p.Expect(`431["x"]`)
	eventually(t, "what its handlers held is freed", func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	})
	p.Send(`422["echo","y"]`)
	p.Expect(`432["y"]`)
}

// Of the states that wait for their clients the newest are kept, and a client that comes too late is told why.
func TestSavedStatesAreBounded(t *testing.T) {
	sockets, gone := make(chan *server.Socket, 4), make(chan string, 4)
	r := &server.Recovery{Recovery: adapter.Recovery{MaxSessions: 1}}
	srv, url := start(t, server.Config{Recovery: r}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(why server.Disconnection) { gone <- string(why.Reason) })
			sockets <- s
		})
	})
	auth := make([]string, 2)
	for i := range auth {
		p := dial(t, url)
		pid := p.connect("").PID
		s := await(t, sockets)
		if err := s.Emit("seen"); err != nil {
			t.Fatal(err)
		}
		auth[i] = `{"pid":"` + pid + `","offset":"` + offset(t, p.Text()) + `"}`
		p.HangUp()
		await(t, gone)
	}
	dial(t, url).connect(auth[0])
	if s := await(t, sockets); s.Recovered() || !errors.Is(s.RecoveryError(), adapter.ErrSessionsFull) {
		t.Errorf("the older: recovered %v, %v", s.Recovered(), s.RecoveryError())
	}
	dial(t, url).connect(auth[1])
	if s := await(t, sockets); !s.Recovered() {
		t.Errorf("the newer: %v", s.RecoveryError())
	}
	if s := srv.Stats(); s.NotRecovered != 1 || s.NotRecoveredBy[server.NotRecoveredFull] != 1 {
		t.Errorf("stats %+v", s)
	}
}

// polling is a client of the polling transport.
type polling struct {
	t   testing.TB
	url string
}

func dialPolling(t testing.TB, url string) *polling {
	t.Helper()
	p := &polling{t, url + "/socket.io/?EIO=4&transport=polling"}
	var hello struct{ SID string }
	if err := json.Unmarshal([]byte(p.get()[1:]), &hello); err != nil {
		t.Fatal(err)
	}
	p.url += "&sid=" + hello.SID
	t.Cleanup(func() { // the session may have ended
		if resp, err := http.Post(p.url, "text/plain", strings.NewReader("1")); err == nil {
			_ = resp.Body.Close()
		}
	})
	return p
}

// get returns the messages of the next poll that has any, without their packet type, each as a line.
func (p *polling) get() string {
	p.t.Helper()
	for {
		resp, err := http.Get(p.url)
		if err != nil {
			p.t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			p.t.Fatalf("a poll is answered %s %q, %v", resp.Status, b, err)
		}
		var lines []string
		for _, packet := range strings.Split(string(b), "\x1e") {
			switch {
			case packet == "2":
				p.post("3")
			case strings.HasPrefix(packet, "0"):
				return packet
			case strings.HasPrefix(packet, "4"):
				lines = append(lines, packet)
			}
		}
		if len(lines) > 0 {
			return strings.Join(lines, "\n")
		}
	}
}

func (p *polling) post(body string) {
	p.t.Helper()
	resp, err := http.Post(p.url, "text/plain;charset=UTF-8", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p.t.Fatalf("a body is answered %s", resp.Status)
	}
}
