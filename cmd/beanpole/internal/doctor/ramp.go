package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// checkRamp opens many WebSockets at once, as many as were asked for, and closes them.
func (d *doctor) checkRamp(ctx context.Context) []Result { return []Result{d.ramp(ctx)} }

func (d *doctor) ramp(ctx context.Context) Result {
	if d.Connections <= 0 {
		return none("asked for with --connections")
	}
	var (
		mu    sync.Mutex
		open  []*socket
		first error
		wg    sync.WaitGroup
	)
	turns := make(chan struct{}, 32) // handshakes at a time
	start := time.Now()
	for range d.Connections {
		mu.Lock()
		stop := first != nil || ctx.Err() != nil
		mu.Unlock()
		if stop {
			break
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			s, err := d.anybody(false).tryDial(ctx, nil)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				open = append(open, s)
			case first == nil:
				first = err
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	reached := len(open)
	lost := 0
	for _, s := range open {
		select {
		case <-s.ended:
			lost++
		default:
		}
		wg.Go(s.close)
	}
	wg.Wait()
	var e errAnswer
	switch {
	case errors.As(first, &e) && e.by() == byApplication && (e.status == http.StatusTooManyRequests || e.status == http.StatusServiceUnavailable):
		return warn(fmt.Sprintf("%d of %d WebSockets opened, then: %s", reached, d.Connections, say(first)), "the server has reached a limit of its own, and said so",
			roomFor+"; for one address (429) those that end in _PER_ADDR")
	case first != nil:
		return fail(fmt.Sprintf("%d of %d WebSockets opened, then: %s", reached, d.Connections, say(first)), "nginx takes two connections for each: with the stock 1,024 it ends at 511 a processor; the next limits are open files and BEANPOLE_MAX_SESSIONS",
			"worker_connections in .platform/nginx/nginx.conf; see error.log for `worker_connections are not enough`")
	case lost > 0:
		return fail(fmt.Sprintf("%d of %d WebSockets were cut at once", lost, reached), "something on the way does not hold so many", "see error.log of nginx")
	}
	return ok("%d WebSockets in %v", reached, took.Round(time.Millisecond))
}
