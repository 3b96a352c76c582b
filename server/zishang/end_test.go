package zishang_test

import (
	"fmt"
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
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
	"github.com/beanpole/beanpole/transport"
)

// The tests of this file, of sockets, rooms and namespaces that come and go, belong to the table of defects in doc.go.

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
				p.Send("40")
				if i%3 == 0 {
					p.Send("41")
				}
				for range i % 7 {
					runtime.Gosched()
				}
				p.HangUp()
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
		p.HangUp()
	}
	eventually(t, "all gone", func() bool { return n.handler.Engine().Sessions() == 0 })
	if left := n.io.Sockets().Adapter().Rooms().Keys(); len(left) != 0 {
		t.Errorf("rooms %v are left", left)
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
		p.Send(`42["x"]`, `42["x"]`)
		var wg sync.WaitGroup
		if i%2 == 0 {
			wg.Go(func() { _ = wsutil.WriteClientText(p.Conn, []byte("41")) }) // if it still can
		}
		wg.Go(func() { s.Disconnect(i%3 == 0) })
		wg.Go(func() { s.Disconnect(false) })
		wg.Go(p.HangUp)
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
			p.Send("40" + nsp + ",")
			if got := p.Text(); !strings.HasPrefix(got, "40"+nsp+`,{"sid":"`) || len(got) != len("40"+nsp+`,{"sid":""}`)+20 {
				t.Errorf("got %q", got)
			}
			p.Send("42" + nsp + `,["echo",1]`)
			p.Expect("42" + nsp + `,["echo",1]`)
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
		p.Expect(fmt.Sprintf(`42/room-%d,["all"]`, i/each))
	}
}

func TestCloseRefusesHandshakes(t *testing.T) {
	n := start(t, zishang.Config{}, nil)
	n.io.Close(nil)
	if w := recorded(t, n.handler, "/socket.io/?EIO=4&transport=polling"); w.Code == http.StatusOK {
		t.Errorf("status %d after Close", w.Code)
	}
}
