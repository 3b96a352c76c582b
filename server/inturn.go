package server

import (
	"sync"
	"time"
)

// turns calls functions one at a time, in the order they come, off the goroutine that brings them. It borrows a goroutine
// only while there is work.
type turns struct {
	mu   sync.Mutex
	list []func() // guarded by mu
	busy bool     // guarded by mu; somebody calls them
}

// manyWait is how many events of other servers wait in a namespace when the log says so.
const manyWait = 1000

// inTurn has fn called in its turn.
func (n *Namespace) inTurn(fn func()) {
	t, srv := &n.turns, n.server
	t.mu.Lock()
	t.list = append(t.list, fn)
	waiting, busy := len(t.list), t.busy
	t.busy = true
	t.mu.Unlock()
	if !busy {
		srv.wg.Go(n.takeTurns)
	} else if waiting > manyWait && srv.bounds.notice.News("server-side events of "+n.name, time.Now()) {
		srv.cfg.Logger.Warn("server-side events wait: a handler of OnServerSide takes long, and they are handled one at a time",
			"namespace", n.name, "waiting", waiting, "advice", "do on a goroutine what takes long or waits")
	}
}

func (n *Namespace) takeTurns() {
	t, done := &n.turns, false
	defer func() {
		if !done { // fn has ended the goroutine
			n.server.wg.Go(n.takeTurns)
		}
	}()
	for {
		t.mu.Lock()
		if done = len(t.list) == 0; done {
			t.list, t.busy = nil, false
			t.mu.Unlock()
			return
		}
		fn := t.list[0]
		t.list[0] = nil
		t.list = t.list[1:]
		t.mu.Unlock()
		fn()
	}
}
