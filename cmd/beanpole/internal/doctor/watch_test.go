package doctor

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/transport"
)

// watches returns a doctor for the watch of an environment alone.
func watches(t *testing.T, e *environment, o Options) (*doctor, context.Context) {
	t.Helper()
	o.URL = e.front.URL
	d, err := newDoctor(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	d.stop = stop
	t.Cleanup(func() { stop(nil); d.http.CloseIdleConnections() })
	d.clients = []*client{{doctor: d, open: &opened{Upgrades: []string{}}}}
	return d, ctx
}

// ticks has every instance emit often, until the test ends.
func ticks(t *testing.T, e *environment) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			for _, n := range e.nodes {
				_ = n.IO().Of("/").Emit("tick")
			}
			<-tick.C
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}

// A poll that an event has answered says nothing of how long polls may wait.
func TestPollsAmongManyEventsHaveNotWaited(t *testing.T) {
	t.Parallel()
	e := start(t, world{count: 1, config: func(_ int, c *host.Config) { c.PingInterval = 25 * time.Second }})
	d, ctx := watches(t, e, Options{})
	ticks(t, e)
	if r := d.clients[0].idlePoll(ctx); r.Verdict != NotApplicable || !strings.Contains(r.Seen, "none waited for a ping") {
		t.Errorf("%+v", r)
	}
}

// Where a poll is answered at once, and the next one too, a watch lasts for its time all the same, and asks no more often than it says.
func TestWatchLastsItsTimeAmongManyEvents(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	e := start(t, world{before: func(http.ResponseWriter, *http.Request) bool {
		asked.Add(1)
		return false
	}})
	d, ctx := watches(t, e, Options{Watch: 4 * time.Second, requests: 1})
	ticks(t, e)
	began := time.Now()
	r := d.checkWatch(ctx)[0]
	if ctx.Err() != nil || r.Verdict != OK || !strings.HasPrefix(r.Seen, "10 clients stayed connected for 4") {
		t.Errorf("%+v, %v", r, context.Cause(ctx))
	}
	most := watchedPerSecond*int64(time.Since(began).Seconds()+2) + watchClients
	if n := asked.Load(); n < watchedPerSecond || n > most {
		t.Errorf("%d requests, want from %d to %d", n, watchedPerSecond, most)
	}
}

// An instance that stands still ends no connection. Clients do, when no ping comes.
func TestWatchGivesUpWhatDoesNotPing(t *testing.T) {
	for name, transports := range map[string][]transport.Name{"half on polling": nil, "WebSocket alone": {transport.WebSocket}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var instance still
			var frozen atomic.Bool
			freeze := sync.OnceFunc(func() { instance.Lock(); frozen.Store(true) })
			thaw := sync.OnceFunc(func() { freeze(); instance.Unlock() })
			polling := int64(watchClients / 2)
			if transports != nil {
				polling = 0
			}
			var came, polled, tried atomic.Int64
			var sessions sync.Map
			all := func() { // are connected, and know it
				if came.Load() >= watchClients && polled.Load() >= polling {
					freeze()
				}
			}
			e := start(t, world{count: 1, all: nginx{still: &instance}, config: func(_ int, c *host.Config) {
				c.PingInterval, c.PingTimeout, c.Transports = 300*time.Millisecond, 700*time.Millisecond, transports
			}, before: func(_ http.ResponseWriter, r *http.Request) bool {
				sid := r.URL.Query().Get("sid")
				if frozen.Load() && sid == "" && tried.Add(1) == watchClients { // all have given it up
					thaw()
				}
				if r.Method == http.MethodGet && sid != "" {
					if _, again := sessions.LoadOrStore(sid, true); !again {
						polled.Add(1)
						all()
					}
				}
				return false
			}})
			t.Cleanup(thaw)
			e.nodes[0].IO().Of("/").OnConnection(func(*server.Socket) { came.Add(1); all() })
			d, ctx := watches(t, e, Options{Watch: time.Minute, Timeout: time.Minute})
			if transports != nil {
				d.clients[0].open.Upgrades = nil
			}
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			w := newWatched()
			end := make(chan struct{})
			go func() { defer close(end); d.watchAll(ctx, w) }()
			for back := 0; back < watchClients && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
				w.mu.Lock()
				back = len(w.gaps)
				w.mu.Unlock()
				select {
				case <-end:
					t.Fatalf("not all came back: %+v", w.result())
				default:
				}
			}
			stop()
			<-end
			if r := w.result(); r.Verdict != Failure || !strings.Contains(r.Seen, "10× ping timeout") || !strings.Contains(r.Seen, "10 came back") || !strings.Contains(r.Means, "stood still") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Who never came has not stayed.
func TestWatchOfNobodyIsNotOK(t *testing.T) {
	for name, n := range map[string]nginx{"down": {down: true}, "frozen": {frozen: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, world{count: 1, all: n})
			d, ctx := watches(t, e, Options{Watch: 300 * time.Millisecond})
			if r := d.checkWatch(ctx)[0]; r.Verdict.severity() < Warning.severity() || !strings.Contains(r.Seen, "10 of 10 not connected at the end") {
				t.Errorf("%+v", r)
			}
		})
	}
}
