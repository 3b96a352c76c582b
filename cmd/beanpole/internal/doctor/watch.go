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

	"golang.org/x/time/rate"
)

// watchClients is how many clients are watched, half of them on polling.
const watchClients = 10

// watchedPerSecond is how many requests the clients of a watch send in a second, all together and after a first second's at once.
// Where there are more events than that, a poll brings several, as to a client that is far away.
const watchedPerSecond = 100

// watched collects what the clients see.
type watched struct {
	pace *rate.Limiter // of their requests

	mu     sync.Mutex
	ends   map[string]int // how connections ended
	gaps   []time.Duration
	errors map[string]int // failed attempts to come, or to come back
	away   int            // clients that were not connected at the end
	began  time.Time
	first  time.Duration // of the first end, since began
}

func newWatched() *watched {
	return &watched{
		pace: rate.NewLimiter(watchedPerSecond, watchedPerSecond), ends: make(map[string]int), errors: make(map[string]int), began: time.Now(),
	}
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

func (w *watched) left() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away++
}

// checkWatch keeps some clients connected for a while, as during a deployment, and tells what they saw. It is bounded by its time
// and its pace, and not by what a run may send.
func (d *doctor) checkWatch(ctx context.Context) []Result {
	if d.Watch <= 0 {
		return []Result{none("asked for with --watch")}
	}
	w := newWatched()
	d.watchAll(ctx, w)
	r := w.result()
	if ctx.Err() != nil {
		r.Seen += fmt.Sprintf("; interrupted before the %v were over", d.Watch)
	}
	return []Result{r}
}

func (d *doctor) watchAll(ctx context.Context, w *watched) {
	ctx, cancel := context.WithTimeout(ctx, d.Watch)
	defer cancel()
	var wg sync.WaitGroup
	for i := range watchClients {
		life := (*client).watchSocket
		if i%2 == 0 && len(d.polling()) > 0 {
			life = (*client).watchPolls
		}
		wg.Go(func() { d.watch(ctx, w, life) })
	}
	wg.Wait()
}

// result says what they saw, when they see no more.
func (w *watched) result() Result {
	sort.Slice(w.gaps, func(i, j int) bool { return w.gaps[i] < w.gaps[j] })
	if len(w.ends)+len(w.errors)+w.away == 0 {
		return ok("%d clients stayed connected for %v", watchClients, time.Since(w.began).Round(100*time.Millisecond))
	}
	var seen []string
	if len(w.ends) > 0 {
		seen = append(seen, fmt.Sprintf("first end after %v", w.first.Round(100*time.Millisecond)), counts(w.ends))
	}
	if n := len(w.gaps); n > 0 {
		seen = append(seen, fmt.Sprintf("%d came back, median %v, longest %v", n, w.gaps[n/2].Round(10*time.Millisecond), w.gaps[n-1].Round(10*time.Millisecond)))
	}
	if len(w.errors) > 0 {
		seen = append(seen, "attempts refused: "+counts(w.errors))
	}
	if w.away > 0 {
		seen = append(seen, fmt.Sprintf("%d of %d not connected at the end", w.away, watchClients))
	}
	what := strings.Join(seen, "; ")
	switch {
	case w.ends[pingTimeout] > 0:
		return fail(what, "no ping came for longer than pingInterval + pingTimeout: an instance stood still, or something in front of it kept everything back, and clients gave it up",
			"see the processor, memory and swap of the instances at that time, and what nginx says of them")
	case len(w.ends) == 0 && (w.away == 0 || len(w.errors) == 0):
		return warn(what, "clients did not come at once, or not before the watch was over", "see who refused them, or watch for longer")
	case w.away > 0, len(w.gaps) > 0 && w.gaps[len(w.gaps)-1] > 15*time.Second:
		return fail(what, "clients were without a server for long", "DeploymentPolicy RollingWithAdditionalBatch, the drain hook, and a quick health check")
	case w.ends[cut] > 0:
		return warn(what, "connections were cut without a word: nginx or the instance went before the application had closed them", "take over .platform/hooks/predeploy/10_drain.sh")
	}
	return warn(what, "clients had to reconnect, in the ordered way", "nothing, when a deployment was under way; with BEANPOLE_RECOVERY they have missed nothing")
}

// How connections end without a word of the server's.
const (
	cut         = "cut without a close"
	pingTimeout = "ping timeout" // as Node's client calls it
)

var errNoPing = errors.New(pingTimeout)

func counts(m map[string]int) string {
	var list []string
	for what, n := range m {
		list = append(list, fmt.Sprintf("%d× %s", n, what))
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

// watch lives one client's life: connect, stay, and come back after about a second, as Node's client does.
func (d *doctor) watch(ctx context.Context, w *watched, life func(*client, context.Context, func()) (string, error)) {
	away := time.Now() // since when; zero while it is connected
	came := false
	delay := time.Second
	for {
		c := d.anybody(true)
		c.pace = w.pace
		how, err := life(c, ctx, func() {
			if came {
				w.back(time.Since(away))
			}
			delay = time.Second
			away, came = time.Time{}, true
		})
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			w.failed(err)
		} else {
			w.ended(how)
			away = time.Now()
		}
		wait := time.NewTimer(delay/2 + rand.N(delay)) // reconnectionDelay 1000, randomizationFactor 0.5
		delay = min(2*delay, 5*time.Second)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
		if ctx.Err() != nil {
			break
		}
	}
	if !away.IsZero() {
		w.left()
	}
}

// watchSocket stays on a WebSocket until it ends, and tells how.
func (c *client) watchSocket(ctx context.Context, up func()) (string, error) {
	pinged := make(chan struct{}, 1)
	s, err := c.tryDial(ctx, func() {
		select {
		case pinged <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return "", err
	}
	defer s.close()
	alive := time.NewTimer(s.open.patience())
	defer alive.Stop()
	if err := s.echo(ctx, c.Timeout); err != nil {
		return "", err
	}
	_ = s.send(connect(c.Namespace, c.Auth))
	up()
	for {
		select {
		case <-pinged:
			alive.Reset(s.open.patience())
			continue
		case <-alive.C:
			return pingTimeout, nil
		case <-ctx.Done():
			return "", nil
		case <-s.ended:
		}
		switch {
		case s.closed && s.code == 0:
			return "WebSocket closed", nil
		case s.closed:
			return fmt.Sprintf("WebSocket closed with %d", s.code), nil
		}
		return cut, nil
	}
}

// watchPolls polls until the session ends, and tells how.
func (c *client) watchPolls(ctx context.Context, up func()) (string, error) {
	s, err := c.tryHandshake(ctx)
	if err != nil {
		return "", err
	}
	s.alive = time.Now().Add(s.open.patience())
	if err := s.post(ctx, connect(c.Namespace, c.Auth)); err != nil {
		return "", err
	}
	up()
	for {
		how := s.turn(ctx)
		switch {
		case ctx.Err() != nil:
			s.end(context.WithoutCancel(ctx))
			return "", nil
		case how != "":
			return how, nil
		}
	}
}

// turn polls once, and answers a ping. Like Node's client it waits until the next ping has to be there, for the answer to its own
// too. It returns how the session ended, if it has.
func (s *session) turn(ctx context.Context) (how string) {
	packets, err := s.lives(ctx, s.poll)
	if slices.Contains(packets, "1") {
		return "poll answered by CLOSE"
	}
	what := "poll"
	if slices.Contains(packets, "2") {
		what = "answer to a ping"
		s.alive = time.Now().Add(s.open.patience())
		_, err = s.lives(ctx, func(ctx context.Context) ([]string, error) {
			r, err := s.c.send(ctx, http.MethodPost, s.c.target(s.query()), []byte("3"))
			if err == nil && r.status != http.StatusOK {
				err = errAnswer{r}
			}
			return nil, err
		})
	}
	var e errAnswer
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errNoPing):
		return pingTimeout
	case errors.As(err, &e) && e.status == http.StatusBadRequest:
		return "session gone: " + say(err)
	case errors.As(err, &e):
		return fmt.Sprintf("%s answered %d by %s", what, e.status, e.by())
	}
	return cut
}

// lives makes a request for which there is time until the next ping has to be there.
func (s *session) lives(ctx context.Context, ask func(context.Context) ([]string, error)) ([]string, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, s.alive, errNoPing)
	defer cancel()
	packets, err := ask(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errNoPing) {
		err = errNoPing
	}
	return packets, err
}
