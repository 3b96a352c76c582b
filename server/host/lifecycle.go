package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// An instance that goes, because its Auto Scaling group shrinks or is refreshed, or because AWS wants a Spot instance
// back, is told so by its metadata alone: no signal comes before that of the machine's end. So the host looks there,
// drains as before a deployment, and tells the lifecycle hook that waits for it to go on.
// Sources: EC2 Auto Scaling User Guide, "Retrieve the target lifecycle state through instance metadata"; EC2 User Guide,
// "Spot Instance interruption notices", two minutes before.

// lifecycleLook is the time between two looks. Spot notices are to be looked for every five seconds.
const lifecycleLook = 5 * time.Second

// lifecycleDoubt is how many looks in a row have to say so until metadata that do not answer are told of, or an instance
// that was to go stays: they may be busy, or be started again.
const lifecycleDoubt = 3

// lifecycle watches whether the instance has to go.
type lifecycle struct {
	// Set by New, then read only.
	every time.Duration
	imds  *imds
	group *autoScaling

	leaving atomic.Bool // nobody is taken again

	// Owned by the goroutine that watches.
	completed bool
	deaf      int // looks in a row without an answer
	back      int // looks in a row by which it is not to go any more
}

func newLifecycle() *lifecycle {
	m := newIMDS(os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"))
	return &lifecycle{every: lifecycleLook, imds: m, group: &autoScaling{imds: m, base: os.Getenv("AWS_ENDPOINT_URL_AUTO_SCALING")}}
}

// watchLifecycle drains the host when its instance has to go, until the function it returns is called.
func (h *Host) watchLifecycle(ctx context.Context) (stop func()) {
	if h.cfg.LifecycleHook == "" {
		return func() {}
	}
	return repeat(ctx, h.lifecycle.every, h.lookAtLifecycle)
}

// lookAtLifecycle looks once.
func (h *Host) lookAtLifecycle(ctx context.Context) {
	l := h.lifecycle
	target, err := l.imds.get(ctx, "autoscaling/target-lifecycle-state")
	notice, bad := l.interruption(ctx)
	if err = errors.Join(err, bad); err == nil {
		if l.deaf >= lifecycleDoubt {
			h.life.Info("the instance's metadata answers again")
		}
		l.deaf = 0
	} else if l.deaf++; l.deaf == lifecycleDoubt {
		h.life.Warn("the instance's metadata does not answer, or not as it should: nobody may be drained before this instance is taken away; "+
			"in a container its hop limit has to be 2", "err", err)
	}
	terminated := target == "Terminated" || target == "Warmed:Terminated"
	why := cmp.Or(notice, map[bool]string{true: "target lifecycle state " + target}[terminated])
	switch {
	case why != "":
		l.back = 0
	case err == nil && l.leaving.Load():
		h.stayed(target)
	}
	if why == "" || l.completed {
		return
	}
	if l.leaving.CompareAndSwap(false, true) {
		h.life.Info("this instance is taken away: draining", "why", why, "sessions", h.app.Engine().Sessions(), "within", h.cfg.DrainTime)
		d := h.DrainSessions(ctx, 0)
		h.life.Info("drained", "sessions", d.Sessions, "left", d.Left, "took", d.Took.Round(time.Millisecond))
	}
	if terminated {
		h.completeLifecycle(ctx)
	}
}

// stayed takes clients again when the instance is not to go any more, and has not been for some looks.
func (h *Host) stayed(target string) {
	l := h.lifecycle
	if l.back++; l.back < lifecycleDoubt || h.ending.Load() {
		return
	}
	l.back, l.completed = 0, false
	l.leaving.Store(false)
	h.life.Warn("this instance stays: taking clients again", "target lifecycle state", target)
	h.Resume()
}

// completeLifecycle tells the hook that the instance may go. Until the load balancer has let go of the instance there
// is no action to complete: the next look tries again.
func (h *Host) completeLifecycle(ctx context.Context) {
	switch err := h.lifecycle.group.complete(ctx, h.cfg.LifecycleHook); {
	case err == nil:
		h.lifecycle.completed = true
		h.life.Info("lifecycle action completed", "hook", h.cfg.LifecycleHook)
	case denied(err):
		h.lifecycle.completed = true
		h.life.Warn("the instance waits for the timeout of its lifecycle hook: its role may not complete the action, which takes "+
			"autoscaling:DescribeAutoScalingInstances and autoscaling:CompleteLifecycleAction", "hook", h.cfg.LifecycleHook, "err", err)
	case h.notice.News("lifecycle", time.Now()):
		h.life.Info("lifecycle action not completed yet", "hook", h.cfg.LifecycleHook, "err", err)
	}
}

// interruption returns what a notice of a Spot instance announces, or "". What is no notice drains nobody: something else
// may answer at the address.
func (l *lifecycle) interruption(ctx context.Context) (string, error) {
	const item = "spot/instance-action"
	text, err := l.imds.get(ctx, item)
	if err != nil || text == "" {
		return "", err
	}
	var n struct{ Action, Time string }
	if err := json.Unmarshal([]byte(text), &n); err != nil || n.Action == "" {
		return "", fmt.Errorf("instance metadata %s: no notice, but %.40q", item, text)
	}
	return fmt.Sprintf("spot interruption: %s at %s", n.Action, n.Time), nil
}

// repeat calls look now and then every so often, until ctx is done or the function it returns is called, which waits
// for the last one.
func repeat(ctx context.Context, every time.Duration, look func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			look(ctx)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
