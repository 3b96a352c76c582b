package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// checkHeartbeat holds the announced heartbeat against what load balancers bear.
func (c *client) checkHeartbeat(context.Context) Result {
	if c.open == nil {
		return c.noPolls()
	}
	silence := c.open.silence()
	seen := fmt.Sprintf("pingInterval + pingTimeout is %v", silence)
	switch {
	case c.open.interval() >= c.Idle:
		return fail(seen+fmt.Sprintf(", pingInterval alone is %v", c.open.interval()), fmt.Sprintf("connections that are quiet are cut after %v, before the first ping, and polls get 504", c.Idle), "BEANPOLE_PING_INTERVAL below the idle timeout, 25s")
	case silence >= c.Idle:
		return fail(seen, fmt.Sprintf("a client may be silent for longer than the idle timeout of %v: it is cut off while it is well", c.Idle), "BEANPOLE_PING_INTERVAL 25s and BEANPOLE_PING_TIMEOUT 20s, or a longer IdleTimeout together with proxy_read_timeout (give it as --idle)")
	case c.open.interval() < time.Second:
		return warn(seen, "the server pings very often: batteries and bandwidth", "BEANPOLE_PING_INTERVAL 25s")
	}
	return ok("%s, below %v", seen, c.Idle)
}

// checkIdle watches quiet connections for some heartbeats: whether they are cut, and whether pings come in time.
func (c *client) checkIdle(ctx context.Context) Result {
	if !c.Deep {
		return none("asked for with --deep")
	}
	if c.open == nil {
		return c.noPolls()
	}
	interval := c.open.interval()
	limit := 2*interval + c.Timeout
	var mu sync.Mutex
	var pings []time.Time
	w, err := c.dial(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		pings = append(pings, time.Now())
	})
	if err != nil {
		return c.idlePoll(ctx)
	}
	defer w.close()
	// A session that joins no namespace is closed by the server after a while.
	if err := w.send(connect(c.Namespace, c.Auth)); err != nil {
		return fail(say(err), "messages do not get through", inspect)
	}
	if p, err := w.expect(ctx, c.Timeout, "4"); err != nil || strings.HasPrefix(p, "44") {
		return none("CONNECT to %s is refused: give --namespace and --auth", c.Namespace)
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
	if since := time.Since(start); err != nil && len(pings) > 0 && time.Since(pings[len(pings)-1]) < interval/2+interval/4 && since > interval {
		return fail(fmt.Sprintf("a WebSocket was cut after %v, %v after a ping: %s", since.Round(100*time.Millisecond), time.Since(pings[len(pings)-1]).Round(100*time.Millisecond), say(err)),
			"it is not the silence: something on the way lets connections last only so long, or the application ended them",
			"see the longest time of a connection in what stands in front (CDN, proxy, firewall), and whether the application or nginx has just been restarted")
	}
	if err != nil {
		return fail(fmt.Sprintf("a quiet WebSocket was cut after %v: %s", time.Since(start).Round(100*time.Millisecond), say(err)),
			fmt.Sprintf("something on the way bears less silence than the %v between pings", interval),
			"raise IdleTimeout and proxy_read_timeout, both, or lower BEANPOLE_PING_INTERVAL")
	}
	last := start
	if len(pings) > 0 {
		last = pings[len(pings)-1]
	}
	if quiet := time.Since(last); len(pings) == 0 || quiet > c.open.silence() {
		return fail(fmt.Sprintf("no ping within %v", quiet.Round(time.Second)), "clients take the connection for dead", "see whether something on the way holds frames back")
	}
	pings = append(pings, time.Now()) // the next may be late too
	for i := 1; i < len(pings); i++ {
		if gap := pings[i].Sub(pings[i-1]); gap > interval+interval/5+2*time.Second || i < len(pings)-1 && gap < interval-interval/5-time.Second {
			return warn(fmt.Sprintf("%v between two pings, announced are %v", gap.Round(10*time.Millisecond), interval), "the server is overloaded, or frames are held back on the way", "see its processor and proxies that buffer")
		}
	}
	return c.idlePoll(ctx, fmt.Sprintf("a quiet WebSocket lived for %v, %d pings in time", limit.Round(time.Second), len(pings)-1))
}

// idlePoll lets a poll wait until the server's ping answers it.
func (c *client) idlePoll(ctx context.Context, seen ...string) Result {
	if !c.polls() {
		return ok("%s", strings.Join(seen, "; "))
	}
	s, err := c.handshake(ctx)
	if err != nil {
		return c.broken(ctx, err, "a handshake fails")
	}
	defer s.end(ctx)
	// A session that joins no namespace is closed by the server after a while.
	if err := s.post(ctx, connect(c.Namespace, c.Auth)); err != nil {
		return c.broken(ctx, err, "polling does not get through")
	}
	if _, err := s.expect(ctx, "4"); err != nil {
		return c.broken(ctx, err, "polling does not get through")
	}
	wait, cancel := context.WithTimeout(ctx, c.open.interval()+c.Timeout)
	defer cancel()
	var packets []string
	var took time.Duration
	for polls := 0; polls < 20 && err == nil && !slices.Contains(packets, "2"); polls++ { // an event or two answer one as well
		start := time.Now()
		packets, err = s.poll(wait)
		took = time.Since(start).Round(100 * time.Millisecond)
	}
	if err != nil {
		return fail(fmt.Sprintf("a poll that waited was ended after %v: %s", took, say(err)), fmt.Sprintf("something on the way bears less silence than the %v between pings", c.open.interval()),
			"raise IdleTimeout and proxy_read_timeout, both, or lower BEANPOLE_PING_INTERVAL")
	}
	// The cookie that brought the poll here has to outlive it.
	var moved errMoved
	if err := s.post(ctx, "3"); unknown(err) || errors.As(err, &moved) && !moved.blind {
		return fail(fmt.Sprintf("after a poll of %v the next request did not find its session: %s", took, say(err)),
			"stickiness lasts for less than a poll waits: the next request goes to another instance", "StickinessLBCookieDuration (86400), or the like of a balancer of your own, well above pingInterval and pingTimeout")
	} else if err != nil {
		return c.broken(ctx, err, "polling does not get through")
	}
	if !slices.Contains(packets, "2") {
		return none("%s: they answered every poll, the last after %v, and none waited for a ping", strings.Join(append(seen, c.Namespace+" has events"), "; "), took)
	}
	seen = append(seen, fmt.Sprintf("a poll was answered by a ping after %v", took))
	return ok("%s", strings.Join(seen, "; "))
}
