package doctor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// checkHeartbeat holds the announced heartbeat against what load balancers bear.
func (d *doctor) checkHeartbeat(context.Context) Result {
	if d.open == nil {
		return none("no handshake")
	}
	silence := d.open.silence()
	seen := fmt.Sprintf("pingInterval + pingTimeout is %v", silence)
	switch {
	case d.open.interval() >= d.Idle:
		return fail(seen+fmt.Sprintf(", pingInterval alone is %v", d.open.interval()), fmt.Sprintf("connections that are quiet are cut after %v, before the first ping, and polls get 504", d.Idle), "BEANPOLE_PING_INTERVAL below the idle timeout, 25s")
	case silence >= d.Idle:
		return fail(seen, fmt.Sprintf("a client may be silent for longer than the idle timeout of %v: it is cut off while it is well", d.Idle), "BEANPOLE_PING_INTERVAL 25s and BEANPOLE_PING_TIMEOUT 20s, or a longer IdleTimeout together with proxy_read_timeout (give it as --idle)")
	case d.open.interval() < time.Second:
		return warn(seen, "the server pings very often: batteries and bandwidth", "BEANPOLE_PING_INTERVAL 25s")
	}
	return ok("%s, below %v", seen, d.Idle)
}

// checkIdle watches quiet connections for some heartbeats: whether they are cut, and whether pings come in time.
func (d *doctor) checkIdle(ctx context.Context) Result {
	if !d.Deep {
		return none("asked for with --deep")
	}
	if d.open == nil {
		return none("no handshake")
	}
	interval := d.open.interval()
	limit := 2*interval + d.Timeout
	var mu sync.Mutex
	var pings []time.Time
	w, err := d.dial(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		pings = append(pings, time.Now())
	})
	if err != nil {
		return d.idlePoll(ctx)
	}
	defer w.close()
	// A session that joins no namespace is closed by the server after a while.
	if err := w.send(connect(d.Namespace, d.Auth)); err != nil {
		return fail(say(err), "messages do not get through", "see above")
	}
	if p, err := w.expect(ctx, d.Timeout, "4"); err != nil || strings.HasPrefix(p, "44") {
		return none("CONNECT to %s is refused: give --namespace and --auth", d.Namespace)
	}
	start := time.Now()
	select {
	case <-w.ended:
		err = w.err
	case <-time.After(limit):
	case <-ctx.Done():
		return none("stopped")
	}
	mu.Lock()
	defer mu.Unlock()
	if err != nil {
		return fail(fmt.Sprintf("a quiet WebSocket was cut after %v: %s", time.Since(start).Round(100*time.Millisecond), say(err)),
			fmt.Sprintf("something on the way bears less silence than the %v between pings", interval),
			"raise IdleTimeout and proxy_read_timeout, both, or lower BEANPOLE_PING_INTERVAL")
	}
	if len(pings) == 0 {
		return fail(fmt.Sprintf("no ping within %v", time.Since(start).Round(time.Second)), "clients take the connection for dead", "see whether something on the way holds frames back")
	}
	for i := 1; i < len(pings); i++ {
		if gap := pings[i].Sub(pings[i-1]); gap > interval+interval/5+2*time.Second || gap < interval-interval/5-time.Second {
			return warn(fmt.Sprintf("%v between two pings, announced are %v", gap.Round(10*time.Millisecond), interval), "the server is overloaded, or frames are held back on the way", "see its processor and proxies that buffer")
		}
	}
	return d.idlePoll(ctx, fmt.Sprintf("a quiet WebSocket lived for %v, %d pings in time", limit.Round(time.Second), len(pings)))
}

// idlePoll lets a poll wait until the server's ping answers it.
func (d *doctor) idlePoll(ctx context.Context, seen ...string) Result {
	if !d.polls() {
		return ok("%s", strings.Join(seen, "; "))
	}
	s, err := d.handshake(ctx, true)
	if err != nil {
		return fail(say(err), "a handshake fails", "see above")
	}
	defer s.end(ctx)
	start := time.Now()
	wait, cancel := context.WithTimeout(ctx, d.open.interval()+d.Timeout)
	defer cancel()
	packets, err := s.poll(wait)
	took := time.Since(start).Round(100 * time.Millisecond)
	if err != nil {
		return fail(fmt.Sprintf("a poll that waited was ended after %v: %s", took, say(err)), fmt.Sprintf("something on the way bears less silence than the %v between pings", d.open.interval()),
			"raise IdleTimeout and proxy_read_timeout, both, or lower BEANPOLE_PING_INTERVAL")
	}
	seen = append(seen, fmt.Sprintf("a poll was answered by %q after %v", strings.Join(packets, " "), took))
	return ok("%s", strings.Join(seen, "; "))
}
