package doctor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// watchClients is how many clients are watched, half of them on polling.
const watchClients = 10

// watched collects what the clients see.
type watched struct {
	mu     sync.Mutex
	ends   map[string]int // how connections ended
	gaps   []time.Duration
	errors map[string]int // failed attempts to come back
	began  time.Time
	first  time.Duration // of the first end, since began
}

func (w *watched) ended(how string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ends) == 0 {
		w.first = time.Since(w.began)
	}
	w.ends[how]++
}

func (w *watched) back(gap time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gaps = append(w.gaps, gap)
}

func (w *watched) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errors[say(err)]++
}

// checkWatch keeps some clients connected for a while, as during a deployment, and tells what they saw.
func (d *doctor) checkWatch(ctx context.Context) []Result { return []Result{d.watchAll(ctx)} }

func (d *doctor) watchAll(ctx context.Context) Result {
	if d.Watch <= 0 {
		return none("asked for with --watch")
	}
	ctx, cancel := context.WithTimeout(ctx, d.Watch)
	defer cancel()
	w := &watched{ends: make(map[string]int), errors: make(map[string]int), began: time.Now()}
	var wg sync.WaitGroup
	for i := range watchClients {
		life := d.watchSocket
		if i%2 == 0 && len(d.polling()) > 0 {
			life = d.watchPolls
		}
		wg.Go(func() { d.watch(ctx, w, life) })
	}
	wg.Wait()

	sort.Slice(w.gaps, func(i, j int) bool { return w.gaps[i] < w.gaps[j] })
	if len(w.ends) == 0 {
		return ok("%d clients stayed connected for %v", watchClients, time.Since(w.began).Round(100*time.Millisecond))
	}
	seen := fmt.Sprintf("first end after %v; %s", w.first.Round(100*time.Millisecond), counts(w.ends))
	if n := len(w.gaps); n > 0 {
		seen += fmt.Sprintf("; %d came back, median %v, longest %v", n, w.gaps[n/2].Round(10*time.Millisecond), w.gaps[n-1].Round(10*time.Millisecond))
	}
	if len(w.errors) > 0 {
		seen += "; attempts refused: " + counts(w.errors)
	}
	ends := 0
	for _, n := range w.ends {
		ends += n
	}
	switch {
	case len(w.gaps) == 0, w.gaps[len(w.gaps)-1] > 15*time.Second, len(w.gaps) < ends:
		return fail(seen, "clients were without a server for long", "DeploymentPolicy RollingWithAdditionalBatch, the drain hook, and a quick health check")
	case w.ends[cut] > 0:
		return warn(seen, "connections were cut without a word: nginx or the instance went before the application had closed them", "take over .platform/hooks/predeploy/10_drain.sh")
	}
	return warn(seen, "clients had to reconnect, in the ordered way", "nothing, when a deployment was under way; with BEANPOLE_RECOVERY they have missed nothing")
}

const cut = "cut without a close"

func counts(m map[string]int) string {
	var list []string
	for what, n := range m {
		list = append(list, fmt.Sprintf("%d× %s", n, what))
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

// watch lives one client's life: connect, stay, and come back after about a second, as Node's client does.
func (d *doctor) watch(ctx context.Context, w *watched, life func(context.Context, func()) (string, error)) {
	lost := time.Time{}
	delay := time.Second
	for ctx.Err() == nil {
		how, err := life(ctx, func() {
			if !lost.IsZero() {
				w.back(time.Since(lost))
			}
			delay = time.Second
			lost = time.Time{}
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.failed(err)
		} else {
			w.ended(how)
			lost = time.Now()
		}
		wait := time.NewTimer(delay/2 + rand.N(delay)) // reconnectionDelay 1000, randomizationFactor 0.5
		delay = min(2*delay, 5*time.Second)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// watchSocket stays on a WebSocket until it ends, and tells how.
func (d *doctor) watchSocket(ctx context.Context, up func()) (string, error) {
	s, err := d.anybody(true).tryDial(ctx, nil)
	if err != nil {
		return "", err
	}
	defer s.close()
	if err := s.echo(ctx, d.Timeout); err != nil {
		return "", err
	}
	_ = s.send(connect(d.Namespace, d.Auth))
	up()
	select {
	case <-s.ended:
	case <-ctx.Done():
		return "", nil
	}
	switch {
	case s.closed && s.code == 0:
		return "WebSocket closed", nil
	case s.closed:
		return fmt.Sprintf("WebSocket closed with %d", s.code), nil
	}
	return cut, nil
}

// watchPolls polls until the session ends, and tells how.
func (d *doctor) watchPolls(ctx context.Context, up func()) (string, error) {
	s, err := d.anybody(true).tryHandshake(ctx)
	if err != nil {
		return "", err
	}
	if err := s.post(ctx, connect(d.Namespace, d.Auth)); err != nil {
		return "", err
	}
	up()
	for {
		packets, err := s.poll(ctx)
		var e errAnswer
		switch {
		case ctx.Err() != nil:
			s.end(context.WithoutCancel(ctx))
			return "", nil //nolint:nilerr // the watch is over
		case errors.As(err, &e) && e.status == http.StatusBadRequest:
			return "session gone: " + say(err), nil
		case errors.As(err, &e):
			return fmt.Sprintf("poll answered %d by %s", e.status, e.by()), nil
		case err != nil:
			return cut, nil //nolint:nilerr // told in words
		}
		switch {
		case slices.Contains(packets, "1"):
			return "poll answered by CLOSE", nil
		case slices.Contains(packets, "2") && s.post(ctx, "3") != nil && ctx.Err() == nil:
			return "session gone", nil
		}
	}
}
