package host

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/transport"
)

// Times of a drain.
const (
	DefaultDrainTime = 5 * time.Second
	// drainStep is the longest time between two closes: few sessions do not need the whole drain time.
	drainStep = 20 * time.Millisecond
	// drainGrace is how long a drain waits for clients to take their leave after the last close, or as long as it may
	// take for the closes if that is less, but leastGrace. A client that polls asks again at once, unless it is gone.
	drainGrace = 2 * time.Second
	leastGrace = 200 * time.Millisecond
	// resumeAfter is when a drained host takes clients again if nobody has stopped it: the deployment that
	// wanted the drain has failed then.
	resumeAfter = 2 * time.Minute
)

// drainer holds what a drain leaves behind. The zero value is ready.
type drainer struct {
	one sync.Mutex // held while sessions are being closed

	left   atomic.Int64  // sessions that the drain which runs has still to close
	closed atomic.Uint64 // sessions closed by drains

	mu sync.Mutex
	// Guarded by mu.
	resume *time.Timer
	hurry  context.CancelFunc // ends the drain that runs
}

// begin waits for its turn: a drain that begins ends the one before it, so that a stop never waits for a
// slower one.
func (d *drainer) begin(ctx context.Context) (drain context.Context, end func()) {
	drain, cancel := context.WithCancel(ctx)
	d.mu.Lock()
	if d.hurry != nil {
		d.hurry()
	}
	d.hurry = cancel
	d.mu.Unlock()
	d.one.Lock()
	return drain, func() {
		cancel()
		d.one.Unlock()
	}
}

// Drained says what a drain did.
type Drained struct {
	Sessions int           `json:"sessions"` // open when it began
	Left     int           `json:"left"`     // still open when it ended
	Took     time.Duration `json:"-"`
	Seconds  float64       `json:"seconds"` // Took
}

// Drain turns /healthz to 503, so that load balancers send nobody new, and refuses new sessions. Those
// that are open go on until DrainSessions or Shutdown. Resume takes it back.
func (h *Host) Drain() {
	h.draining.Store(true)
	h.app.Engine().Refuse(true)
}

// Resume takes clients again after a Drain. It has no effect after Shutdown.
func (h *Host) Resume() {
	h.drainer.stopResume()
	h.draining.Store(false)
	h.app.Engine().Refuse(false)
}

// stopResume cancels what resumeIn has planned.
func (d *drainer) stopResume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.resume != nil {
		d.resume.Stop()
		d.resume = nil
	}
}

// resumeIn takes clients again after so long, unless the host is stopped before.
func (h *Host) resumeIn(wait time.Duration) {
	h.drainer.stopResume()
	h.drainer.mu.Lock()
	defer h.drainer.mu.Unlock()
	h.drainer.resume = time.AfterFunc(wait, func() {
		if h.lifecycle.leaving.Load() {
			return
		}
		h.life.Warn("taking clients again: drained but not stopped", "after", wait)
		h.Resume()
	})
}

// DrainSessions drains and closes the sessions there are, one after the other in no order, in about the
// time given (zero means Config.DrainTime; few sessions take less). Each is closed in Engine.IO's way,
// after which clients reconnect, and with recovery on resume where they were. It returns when all have
// gone, when those that are left do not answer, or when ctx is done.
func (h *Host) DrainSessions(ctx context.Context, within time.Duration) Drained {
	if within <= 0 {
		within = h.cfg.DrainTime
	}
	ctx, end := h.drainer.begin(ctx)
	defer end()
	h.Drain()
	start := time.Now()
	var open []*transport.Session
	h.app.Engine().Each(func(s *transport.Session) bool {
		if s.Open() { // others were closed by a drain before and are waited for
			open = append(open, s)
		}
		return true
	})
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })

	h.drainer.left.Store(int64(len(open)))
	defer h.drainer.left.Store(0)
	// Clients wait about a second before they reconnect, give or take a half: closes that are spread over
	// a few seconds come back as handshakes spread over a few more.
	if n := len(open); n > 0 {
		step := min(within/time.Duration(n), drainStep)
		for i := 0; i < n && ctx.Err() == nil; {
			due := min(n, 1+int(time.Since(start)/max(step, 1)))
			for ; i < due; i++ {
				open[i].Close(transport.ReasonServerShuttingDown)
				h.drainer.closed.Add(1)
				h.drainer.left.Add(-1)
			}
			pause(ctx, jitter(max(step, 5*time.Millisecond)))
		}
	}
	for end := time.Now().Add(min(drainGrace, max(within, leastGrace))); len(open) > 0 && h.app.Engine().Sessions() > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		pause(ctx, 10*time.Millisecond)
	}
	took := time.Since(start)
	return Drained{len(open), h.app.Engine().Sessions(), took, took.Seconds()}
}

// jitter is d, give or take a half.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
