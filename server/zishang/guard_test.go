package zishang_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"
	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/engine.io/v2/utils"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
	"github.com/beanpole/beanpole/transport"
)

// The tests of this file belong to the table of defects in doc.go.

func TestMalformedPacketsAreRefused(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	for _, packet := range []string{
		"42", "43", "431", "42[]", "42{}", "42[null]", `42["disconnect"]`, `42["connect"]`, "45", "451-", `451-["x"`, "46",
		`451-["x",{"_placeholder":true,"num":1}]`, "4", "49", `43{"a":1}`, "42\"x\"", "40[]", "44{}", "4299999999999999999999[\"x\"]",
		`42/nowhere,["x"]`, "41/nowhere,", "40",
	} {
		p, _ := join(t, n.url, "/")
		p.send(packet)
		p.expectClosed()
	}
	p, _ := join(t, n.url, "/")
	p.send(`451-["x",{"_placeholder":true,"num":0}]`, `42["x"]`) // a text instead of the binary
	p.expectClosed()
	p, _ = join(t, n.url, "/")
	p.sendBinary([]byte("nobody announced it"))
	p.expectClosed()
	p, _ = join(t, n.url, "/")
	p.send(`42["echo","alive"]`)
	p.expect(`42["echo","alive"]`)
}

func TestPongBeforePingIsHarmless(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	for range 20 {
		p := dial(t, n.url)
		p.send("3", "3")
		p.connect("/", "")
		p.send("3", `42["echo",1]`)
		p.expect(`42["echo",1]`)
	}
}

func TestAttachmentsAreBounded(t *testing.T) {
	cfg := zishang.Config{}
	cfg.Limits.MaxAttachments, cfg.Limits.MaxAttachmentBytes, cfg.Limits.AttachmentTimeout = 3, 1000, 50*time.Millisecond
	n := start(t, cfg, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	p, _ := join(t, n.url, "/")
	p.send(`454-["x"]`)
	p.expectClosed()
	p, _ = join(t, n.url, "/")
	p.send(`452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	p.sendBinary(make([]byte, 600))
	p.sendBinary(make([]byte, 600))
	p.expectClosed()
	p, _ = join(t, n.url, "/")
	p.send(`451-["x",{"_placeholder":true,"num":0}]`) // and then nothing
	p.expectClosed()
}

func TestPostBodyIsBounded(t *testing.T) {
	options := socket.DefaultServerOptions()
	options.SetMaxHttpBufferSize(100_000)
	n := start(t, zishang.Config{Options: options}, nil)
	p := poll(t, n.url)
	// Without a length, so that only reading can find out.
	body := io.MultiReader(strings.NewReader("4"), strings.NewReader(strings.Repeat("x", 1_000_000)))
	if status, _ := p.post(body); status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", status)
	}
}

func TestAddressComesFromTheTransport(t *testing.T) {
	got := make(chan *socket.Handshake, 1)
	n := start(t, zishang.Config{Transport: transport.Config{
		ClientAddr: func(r *http.Request) (string, bool) { return "203.0.113.9", true },
	}}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { got <- s.Handshake() })
	})
	join(t, n.url, "/")
	if h := await(t, got); h.Address != "203.0.113.9" || !h.Secure {
		t.Errorf("address %s, secure %v", h.Address, h.Secure)
	}
}

func TestEveryBroadcastArrives(t *testing.T) {
	n := start(t, zishang.Config{}, nil)
	p, _ := join(t, n.url, "/")
	const many = 1000
	go func() {
		for i := range many {
			n.io.Emit("n", i)
		}
	}()
	for i := range many {
		p.expect(fmt.Sprintf(`42["n",%d]`, i))
	}
}

func TestLargePacketsInPolling(t *testing.T) {
	got := make(chan int, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("big", func(args ...any) { got <- len(args[0].(string)) })
		})
	})
	p := poll(t, n.url)
	if status, answer := p.post(strings.NewReader("40")); status != 200 || answer != "ok" {
		t.Fatalf("%d %s", status, answer)
	}
	p.post(strings.NewReader(`42["big","` + strings.Repeat("x", 300_000) + `"]`))
	if got := await(t, got); got != 300_000 {
		t.Errorf("got %d characters", got)
	}
}

func TestBinaryPostIsAnswered(t *testing.T) {
	n := start(t, zishang.Config{}, nil)
	p := poll(t, n.url)
	p.contentType = "application/octet-stream"
	if status, _ := p.post(strings.NewReader("x")); status == 0 || status == http.StatusOK {
		t.Errorf("status %d", status)
	}
}

func TestEventsKeepTheirOrder(t *testing.T) {
	const many = 5000
	var got []int
	done := make(chan []int)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("n", func(args ...any) { got = append(got, int(args[0].(float64))) }) // one at a time, so no lock
			_ = s.On("disconnect", func(...any) { done <- got })
		})
	})
	p, _ := join(t, n.url, "/")
	for i := range many {
		p.send(fmt.Sprintf(`42["n",%d]`, i))
	}
	p.send("41")
	list := await(t, done)
	if len(list) != many || !slices.IsSorted(list) {
		t.Errorf("%d of %d events, in order: %v", len(list), many, slices.IsSorted(list))
	}
}

func TestEventsBeforeCloseAreHandled(t *testing.T) {
	const many = 2000
	got := 0
	done := make(chan int)
	hold := make(chan struct{})
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("n", func(...any) {
				if got++; got == 1 {
					<-hold
				}
			})
			_ = s.On("disconnect", func(...any) { done <- got })
		})
	})
	p, _ := join(t, n.url, "/")
	for range many {
		p.send(`42["n"]`)
	}
	eventually(t, "all received", func() bool { return n.handler.Stats().EventsIn == many })
	p.hangUp()
	eventually(t, "closed", func() bool { return n.handler.Engine().Sessions() == 0 })
	close(hold)
	if got := await(t, done); got != many {
		t.Errorf("%d of %d events", got, many)
	}
}

func TestFirstEventIsNotLost(t *testing.T) {
	got := make(chan string, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			runtime.Gosched()
			_ = s.On("first", func(...any) { got <- string(s.Id()) })
		})
	})
	for range 200 {
		p := dial(t, n.url)
		p.send("40", `42["first"]`)
		await(t, got)
		p.hangUp()
	}
}

func TestLastEventBeforeDisconnectArrives(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.Emit("last")
			s.Disconnect(true)
		})
	})
	for range 100 {
		p, _ := join(t, n.url, "/")
		p.expect(`42["last"]`, "41")
		p.expectClosed()
	}
}

func TestNoGhostSockets(t *testing.T) {
	var connected, disconnected atomic.Int64
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		io.Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
			go next(nil)
		})
		onConnection(io.Sockets(), func(s *socket.Socket) {
			connected.Add(1)
			s.Join("ghosts")
			_ = s.On("disconnect", func(...any) { disconnected.Add(1) })
		})
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				p := dial(t, n.url)
				p.send("40")
				if i%3 == 0 {
					p.send("41")
				}
				for range i % 7 {
					runtime.Gosched()
				}
				p.hangUp()
			}
		})
	}
	wg.Wait()
	eventually(t, "all sessions closed", func() bool { return n.handler.Engine().Sessions() == 0 })
	eventually(t, "all told", func() bool { return connected.Load() == disconnected.Load() })
	eventually(t, "no socket left", func() bool { return n.io.Sockets().Sockets().Len() == 0 })
	eventually(t, "no member left", func() bool { return n.io.Sockets().Adapter().Sids().Len() == 0 })
	if s := n.handler.Stats(); s.Connected != s.Disconnected {
		t.Errorf("stats %+v", s)
	}
}

func TestSlowConsumerIsClosed(t *testing.T) {
	reason := make(chan string, 1)
	n := start(t, zishang.Config{Transport: transport.Config{MaxBacklogBytes: 64 << 10}}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("disconnect", func(args ...any) { reason <- args[0].(string) })
		})
	})
	join(t, n.url, "/") // and never read
	text := strings.Repeat("x", 10_000)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		n.io.Emit("flood", text)
		select {
		case got := <-reason:
			if got != "slow consumer" {
				t.Errorf("reason %q", got)
			}
			return
		default:
		}
	}
	t.Error("never closed")
}

func TestRoomsSurviveJoinLeaveRace(t *testing.T) {
	sockets := make(chan *socket.Socket, 2)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { sockets <- s })
	})
	join(t, n.url, "/")
	join(t, n.url, "/")
	a, b := await(t, sockets), await(t, sockets)
	for range 5000 {
		a.Join("room")
		var wg sync.WaitGroup
		wg.Go(func() { a.Leave("room") })
		wg.Go(func() { b.Join("room") })
		wg.Wait()
		if set, ok := n.io.Sockets().Adapter().Rooms().Load("room"); !ok || !set.Has(b.Id()) || set.Has(a.Id()) {
			t.Fatal("a member was lost")
		}
		b.Leave("room")
	}
}

func TestJoinAfterDisconnectLeavesNothing(t *testing.T) {
	sockets := make(chan *socket.Socket, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { sockets <- s })
	})
	for range 200 {
		p, _ := join(t, n.url, "/")
		s := await(t, sockets)
		var wg sync.WaitGroup
		wg.Go(func() { s.Disconnect(true) })
		for range 3 {
			wg.Go(func() { s.Join("room") })
		}
		wg.Wait()
		p.hangUp()
	}
	eventually(t, "all gone", func() bool { return n.handler.Engine().Sessions() == 0 })
	if left := n.io.Sockets().Adapter().Rooms().Keys(); len(left) != 0 {
		t.Errorf("rooms %v are left", left)
	}
}

func TestListenersAreTheirOwn(t *testing.T) {
	var calls []string
	sockets := make(chan *socket.Socket, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			made := make([]events.Listener, 3) // closures of one literal
			for i := range made {
				made[i] = func(...any) { calls = append(calls, fmt.Sprint(i)) }
				_ = s.On("x", made[i])
			}
			s.RemoveListener("x", made[1])
			_ = s.Once("once", func(...any) {
				calls = append(calls, "once")
				s.EmitUntyped("once") // again from within: the library would wait for itself
			})
			sockets <- s
		})
	})
	join(t, n.url, "/")
	s := await(t, sockets)
	s.EmitUntyped("x")
	s.EmitUntyped("once")
	if got := strings.Join(calls, " "); got != "0 2 once" {
		t.Errorf("called %q", got)
	}
}

func TestIdleConnectionIsSmall(t *testing.T) {
	ready := make(chan *socket.Socket, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { ready <- s })
	})
	const many = 100
	before := runtime.NumGoroutine()
	for range many {
		join(t, n.url, "/")
		s := await(t, ready)
		eventually(t, "the request is not kept", func() bool { return s.Request() != s.Request() }) //nolint:staticcheck // made anew each time
	}
	// At most the reader of each connection; the test's own clients have none.
	eventually(t, "few goroutines", func() bool { return runtime.NumGoroutine()-before <= many+20 })
}

func TestDisconnectComesOnceAndLast(t *testing.T) {
	type end struct {
		events, disconnecting, disconnect int
		rooms                             []string
		late                              bool
	}
	var mu sync.Mutex
	ends := map[socket.SocketId]*end{}
	ready := make(chan struct{}, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			e := &end{}
			mu.Lock()
			ends[s.Id()] = e
			mu.Unlock()
			s.Join("club")
			defer func() { ready <- struct{}{} }()
			_ = s.On("x", func(...any) {
				mu.Lock()
				defer mu.Unlock()
				e.events++
				e.late = e.late || e.disconnect > 0
			})
			_ = s.On("disconnecting", func(...any) {
				mu.Lock()
				defer mu.Unlock()
				e.disconnecting++
				for _, room := range s.Rooms().Keys() {
					e.rooms = append(e.rooms, string(room))
				}
			})
			_ = s.On("disconnect", func(...any) {
				mu.Lock()
				defer mu.Unlock()
				e.disconnect++
			})
		})
	})
	for i := range 200 {
		p, id := join(t, n.url, "/")
		await(t, ready)
		s, _ := n.io.Sockets().Sockets().Load(socket.SocketId(id))
		p.send(`42["x"]`, `42["x"]`)
		var wg sync.WaitGroup
		if i%2 == 0 {
			wg.Go(func() { _ = wsutil.WriteClientText(p.conn, []byte("41")) }) // if it still can
		}
		wg.Go(func() { s.Disconnect(i%3 == 0) })
		wg.Go(func() { s.Disconnect(false) })
		wg.Go(p.hangUp)
		wg.Wait()
	}
	eventually(t, "all told", func() bool { s := n.handler.Stats(); return s.Connected == 200 && s.Disconnected == 200 })
	mu.Lock()
	defer mu.Unlock()
	for id, e := range ends {
		slices.Sort(e.rooms)
		if e.disconnecting != 1 || e.disconnect != 1 || e.late || len(e.rooms) != 2 {
			t.Errorf("%s: %+v", id, *e)
		}
	}
}

func TestPanicsEndNothing(t *testing.T) {
	var panicking atomic.Bool
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		io.Of("/guarded", nil).Use(func(*socket.Socket, func(*socket.ExtendedError)) {
			if panicking.Load() {
				panic("middleware")
			}
		})
		onConnection(io.Sockets(), func(s *socket.Socket) {
			echo(s)
			s.OnAny(func(args ...any) {
				if args[0] == "any" {
					panic("any")
				}
			})
			s.Use(func(args []any, next func(error)) {
				if args[0] == "use" {
					panic("use")
				}
				next(nil)
			})
			_ = s.On("handler", func(args ...any) { _ = args[7] })
			_ = s.On("ack", func(...any) { _ = s.Emit("q", func([]any, error) { panic("ack") }) })
			s.OnAnyOutgoing(func(args ...any) {
				if args[0] == "outgoing" {
					panic("outgoing")
				}
			})
			_ = s.On("disconnecting", func(...any) { panic("disconnecting") })
			_ = s.On("disconnect", func(...any) { panic("disconnect") })
			panic("connection")
		})
	})
	p, _ := join(t, n.url, "/")
	p.send(`42["any"]`, `42["use"]`, `42["handler"]`, `42["ack"]`)
	p.expect(`421["q"]`)
	p.send(`431[]`)
	n.io.Emit("outgoing")
	p.expect(`42["outgoing"]`)
	panicking.Store(true)
	p.send("40/guarded,")
	p.expect(`44/guarded,{"message":"internal server error"}`)
	p.send(`42["echo","alive"]`)
	p.expect(`42["echo","alive"]`)
	p.hangUp()
	eventually(t, "all panics counted", func() bool { return n.handler.Stats().Panics == 9 })
}

func TestCookieCarriesSession(t *testing.T) {
	options := socket.DefaultServerOptions()
	options.SetCookie(&http.Cookie{Name: "io", Path: "/"})
	n := start(t, zishang.Config{Options: options}, nil)
	p := poll(t, n.url)
	if got := p.header.Get("Set-Cookie"); got != "io="+p.sid+"; Path=/; HttpOnly; SameSite=Lax" {
		t.Errorf("cookie %q", got)
	}
}

func TestCompressionApplies(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { _ = s.Emit("big", strings.Repeat("x", 5000)) })
	})
	p := poll(t, n.url)
	p.encoding = "gzip"
	p.post(strings.NewReader("40"))
	for range 10 {
		if p.get(); p.header.Get("Content-Encoding") == "gzip" {
			return
		}
	}
	t.Error("nothing was compressed")
}

func TestErrorCodesAreNodes(t *testing.T) {
	told := make(chan int, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		_ = io.Engine().On("connection_error", func(args ...any) { told <- args[0].(*types.ErrorMessage).Code })
	})
	res, err := http.Get(n.url + "/socket.io/?EIO=3&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if string(body) != `{"code":5,"message":"Unsupported protocol version"}` || await(t, told) != 5 {
		t.Errorf("answer %s", body)
	}
}

func TestHeadersOfOthersSurvive(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		_ = io.Engine().On("initial_headers", func(args ...any) {
			args[0].(*utils.ParameterBag).Set("X-App", "yes")
		})
		io.Engine().Use(func(ctx *types.HttpContext, next func(error)) {
			ctx.ResponseHeaders.Add("X-Used", "a")
			next(nil)
		})
	})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		n.handler.ServeHTTP(w, r)
	})
	w := recorded(t, h, "/socket.io/?EIO=4&transport=polling")
	if got := w.Header().Values("Set-Cookie"); len(got) != 2 || w.Header().Get("X-App") != "yes" || w.Header().Get("X-Used") != "a" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestBlockedHandlersDelayNobody(t *testing.T) {
	hold := make(chan struct{})
	options := socket.DefaultServerOptions()
	options.SetPingInterval(50 * time.Millisecond)
	options.SetPingTimeout(2 * time.Second)
	n := start(t, zishang.Config{Options: options}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			echo(s)
			_ = s.On("block", func(...any) { <-hold })
		})
		io.Of("/slow", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) { <-hold; next(nil) })
		onConnection(io.Of("/quick", nil), echo)
	})
	p, _ := join(t, n.url, "/")
	q, _ := join(t, n.url, "/")
	p.send("40/slow,", `42["block"]`)
	p.connect("/quick", "")
	for i := range 5 { // pings are answered between, by peer.read
		p.send(fmt.Sprintf(`42/quick,["echo",%d]`, i))
		p.expect(fmt.Sprintf(`42/quick,["echo",%d]`, i))
		q.send(`42["echo","q"]`)
		q.expect(`42["echo","q"]`)
	}
	close(hold)
	if got := p.text(); !strings.HasPrefix(got, "40/slow,") {
		t.Errorf("got %q", got)
	}
}

func TestDynamicNamespaceIsMadeOnce(t *testing.T) {
	var made atomic.Int64
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		_ = io.On("new_namespace", func(...any) { made.Add(1) })
		parent := io.Of(regexp.MustCompile(`^/room-\d+$`), nil)
		parent.Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) { next(nil) })
		_ = parent.On("connection", func(args ...any) { echo(args[0].(*socket.Socket)) })
	})
	const names, each = 10, 8
	var wg sync.WaitGroup
	peers := make([]*peer, names*each)
	for i := range peers {
		peers[i] = dial(t, n.url)
	}
	for i, p := range peers {
		wg.Go(func() {
			nsp := fmt.Sprintf("/room-%d", i/each)
			p.send("40" + nsp + ",")
			if got := p.text(); !strings.HasPrefix(got, "40"+nsp+`,{"sid":"`) || len(got) != len("40"+nsp+`,{"sid":""}`)+20 {
				t.Errorf("got %q", got)
			}
			p.send("42" + nsp + `,["echo",1]`)
			p.expect("42" + nsp + `,["echo",1]`)
		})
	}
	wg.Wait()
	if made.Load() != names {
		t.Errorf("%d namespaces made, want %d", made.Load(), names)
	}
	for i := range names {
		n.io.Of(fmt.Sprintf("/room-%d", i), nil).Emit("all")
	}
	for i, p := range peers {
		p.expect(fmt.Sprintf(`42/room-%d,["all"]`, i/each))
	}
}

func TestCloseRefusesHandshakes(t *testing.T) {
	n := start(t, zishang.Config{}, nil)
	n.io.Close(nil)
	if w := recorded(t, n.handler, "/socket.io/?EIO=4&transport=polling"); w.Code == http.StatusOK {
		t.Errorf("status %d after Close", w.Code)
	}
}

func TestNumericEventName(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("7", func(args ...any) { _ = s.Emit("seven", args...) })
		})
	})
	p, _ := join(t, n.url, "/")
	p.send(`42[7,"x"]`)
	p.expect(`42["seven","x"]`)
}

func TestServeHandlerFailsClosed(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	wrong := newWeb(t, n.io.ServeHandler(nil))
	p := dial(t, wrong)
	p.send("40")
	p.expectClosed()
}

func TestOptionsAreChecked(t *testing.T) {
	adapter := socket.DefaultServerOptions()
	adapter.SetAdapter(&socket.AdapterBuilder{})
	cors := socket.DefaultServerOptions()
	cors.SetCors(&types.Cors{Origin: 7})
	for want, cfg := range map[string]zishang.Config{
		"Config.Adapter":  {Options: adapter},
		"origin is a int": {Options: cors},
		"MaxNamespaces":   {Limits: server.Limits{MaxNamespaces: -1}},
		"Accept":          {Transport: transport.Config{Accept: func(*transport.Session) transport.Receiver { return nil }}},
	} {
		if _, _, err := zishang.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s in it", err, want)
		}
	}
}
