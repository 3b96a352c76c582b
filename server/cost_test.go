package server_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/beanpole/beanpole/server"
)

// heapGrowth returns what is held more than before, in bytes.
func heapGrowth(before *runtime.MemStats) int {
	var after runtime.MemStats
	runtime.GC()
	runtime.GC() // the first keeps what was allocated while it ran
	runtime.ReadMemStats(&after)
	return int(after.HeapAlloc) - int(before.HeapAlloc)
}

// What is made of events for their handlers counts, and not only their text: those of one session that are dear wait
// for each other, whatever its sockets are.
func TestDecodedArgumentsCount(t *testing.T) {
	const sockets, most = 12, 1 << 20
	body := strings.Repeat(",1", 25_000)
	for name, h := range map[string]func(wait func()) any{
		"variadic": func(wait func()) any { return func(...any) { wait() } },
		"any":      func(wait func()) any { return func(any) { wait() } },
		"event":    func(wait func()) any { return func(e *server.Event) { _ = e.Values(); wait() } },
		"no":       func(wait func()) any { return func() { wait() } },
	} {
		t.Run(name, func(t *testing.T) {
			var in, done atomic.Int32
			hold := make(chan struct{})
			srv, url := start(t, server.Config{Limits: server.Limits{MaxQueuedBytes: most}}, func(io *server.Server) {
				for i := range sockets {
					io.Of(fmt.Sprint("/", i)).On("x", h(func() { in.Add(1); <-hold; done.Add(1) }))
				}
			})
			p := dial(t, url)
			for i := range sockets {
				p.Connect(fmt.Sprint("/", i), "")
			}
			args := body
			if name == "any" {
				args = ",[0" + body + "]"
			}
			var before runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range sockets {
				p.Send(fmt.Sprintf(`42/%d,["x"%s]`, i, args))
			}
			eventually(t, "all have come", func() bool { return srv.Stats().EventsIn == sockets })
			want := int32(sockets)
			if name != "no" {
				want = 1
			}
			eventually(t, "what may run does", func() bool { return in.Load() >= want })
			if n := heapGrowth(&before); n > 4*most { // all of them hold 15 MB
				t.Errorf("%d handlers, of %d events, hold %d bytes", in.Load(), sockets, n)
			}
			if n := in.Load(); name != "no" && n > 3 {
				t.Errorf("%d dear events are with their handlers", n)
			}
			close(hold)
			eventually(t, "all are handled", func() bool {
				if n := srv.Stats().QueueFull; n > 0 {
					t.Fatalf("the session has been closed: %d of its events have waited for the first for ten seconds", n)
				}
				return done.Load() == sockets
			})
			if s := srv.Stats(); s.QueueFull > 0 || s.EventsDropped > 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// Short texts count as well when what is made of them is large.
func TestShortTextsCountByWhatIsMadeOfThem(t *testing.T) {
	type large struct{ Rest [128]int64 }
	const sockets, most = 40, 1 << 20
	var in, done atomic.Int32
	hold := make(chan struct{})
	srv, url := start(t, server.Config{Limits: server.Limits{MaxQueuedBytes: most}}, func(io *server.Server) {
		for i := range sockets {
			io.Of(fmt.Sprint("/", i)).On("x", func([]large) { in.Add(1); <-hold; done.Add(1) })
		}
	})
	p := dial(t, url)
	for i := range sockets {
		p.Connect(fmt.Sprint("/", i), "")
	}
	for i := range sockets {
		p.Send(fmt.Sprintf(`42/%d,["x",[{}%s]]`, i, strings.Repeat(",{}", 299)))
	}
	eventually(t, "all have come", func() bool { return srv.Stats().EventsIn == sockets })
	eventually(t, "what may run does", func() bool { return in.Load() > 0 })
	if n := in.Load(); n > 5 {
		t.Errorf("%d handlers hold 300 KB each", n)
	}
	close(hold)
	eventually(t, "all are handled", func() bool { return done.Load() == sockets })
}
