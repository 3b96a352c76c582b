package server

import (
	"sync"
	"time"

	"github.com/beanpole/beanpole/internal/shrink"
)

// turns calls functions one at a time, in the order they come, off the goroutine that brings them. It borrows a goroutine
// only while there is work.
type turns struct {
	mu    sync.Mutex
	list  []turn // guarded by mu
	bytes int    // guarded by mu; of list
	busy  bool   // guarded by mu; somebody calls them
}

// turn is a function that waits for its turn, and what it holds, in bytes.
type turn struct {
	fn   func()
	size int
}

const (
	// manyWait is how many events of other servers wait in a namespace when the log says so.
	manyWait = 1000
	// maxTurnBytes bounds what waits in a namespace, and turnCost is about what one costs beside its text, in bytes.
	maxTurnBytes = 64 << 20
	turnCost     = 256
)

// inTurn has fn, which holds so many bytes, called in its turn, or drops it when too much waits already.
func (n *Namespace) inTurn(size int, fn func()) {
	waiting, full := n.turns.take(n.server, size, fn)
	srv := n.server
	if (full || waiting > manyWait) && srv.bounds.notice.News("server-side events of "+n.name, time.Now()) {
		srv.cfg.Logger.Warn("server-side events wait: a handler of OnServerSide takes long, and they are handled one at a time",
			"namespace", n.name, "waiting", waiting, "dropped", full, "advice", "do on a goroutine what takes long or waits")
	}
}

// take has fn called in its turn, unless too much waits already. It returns how many wait when others are being called.
func (t *turns) take(srv *Server, size int, fn func()) (behind int, full bool) {
	size += turnCost
	t.mu.Lock()
	full = t.bytes > 0 && t.bytes+size > maxTurnBytes
	if !full {
		t.list, t.bytes = append(t.list, turn{fn, size}), t.bytes+size
	}
	waiting, busy := len(t.list), t.busy
	t.busy = true
	t.mu.Unlock()
	if full {
		srv.stats.eventsDropped.Add(1)
	}
	if !busy {
		srv.wg.Go(func() { t.call(srv) })
		return 0, false
	}
	return waiting, full
}

// atOnce is how long a handler that answers may take before the next begins.
const atOnce = time.Millisecond

// begin runs fn, and does not wait for its end where it waits itself: perhaps for what another server has to say first.
func (s *Server) begin(fn func()) {
	done := make(chan struct{})
	s.wg.Go(func() {
		defer close(done)
		fn()
	})
	t := time.NewTimer(atOnce)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// call calls what waits, until nothing does.
func (t *turns) call(srv *Server) {
	done := false
	defer func() {
		if !done { // fn has ended the goroutine
			srv.wg.Go(func() { t.call(srv) })
		}
	}()
	for {
		t.mu.Lock()
		if done = len(t.list) == 0; done {
			t.list, t.busy = nil, false
			t.mu.Unlock()
			return
		}
		next := shrink.First(&t.list)
		t.bytes -= next.size
		t.mu.Unlock()
		next.fn()
	}
}
