package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// points is about how many of them a report has.
const points = 600

// run is one load, or the trial before it.
type run struct {
	*plan
	book     *book
	mu       sync.Mutex // guards sessions, which stand where they are replaced
	sessions []*session
	wg       sync.WaitGroup // of what sends, cuts and replaces
}

func (p *plan) run() *run {
	rows := 0
	if p.RoomEvent != "" {
		rows = max(p.Rooms, 1)
	}
	return &run{plan: p, book: newBook(rows, p.Unordered)}
}

// Run puts the load on the server and tells what came of it. When ctx ends the load does, and the report is of what was until then.
// The error is of options that cannot be, of a host that must not be asked, or of too few open files for the sessions.
func Run(ctx context.Context, o Options) (*Report, error) {
	p, err := o.check()
	if err != nil {
		return nil, err
	}
	if p.reach, err = p.resolve(ctx); err != nil {
		return nil, err
	}
	if have, known := openFiles(); known && have < p.files() {
		return nil, fmt.Errorf("%d sessions want %d open files, and this process may have %d: ulimit -n %d, or fewer sessions", o.Sessions, p.files(), have, p.files())
	}
	p.say("trying one of each kind")
	if err := p.try(ctx); err != nil {
		return &Report{URL: p.url.Redacted(), Began: time.Now().UTC(), Interrupted: ctx.Err() != nil, Faults: []string{err.Error()}}, nil
	}
	r := p.run()
	defer r.close()
	cpu := processorTime()
	watched := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(watched)
		r.watch(stop)
	}()
	p.say(fmt.Sprintf("%d sessions arrive", p.Sessions))
	r.arrive(ctx)
	p.say("load for " + p.Duration.String())
	loaded := r.load(ctx)
	if ctx.Err() == nil {
		p.say("waiting for what is on its way")
		until(ctx, p.Patience, func() bool { return !r.book.open() && r.settled() })
	}
	close(stop)
	<-watched
	r.book.close(ctx.Err() == nil)
	return r.report(loaded, processorTime()-cpu, ctx.Err() != nil), nil
}

func (p *plan) say(what string) {
	if p.Say != nil {
		p.Say(what)
	}
}

// try sends one message of each kind, so that who has named a wrong event learns it before the load.
func (p *plan) try(ctx context.Context) error {
	one := *p
	one.Rooms = min(p.Rooms, 1)
	r := one.run()
	defer r.close()
	for n := range 2 {
		s, err := r.connect(n, time.Now())
		if err != nil {
			return err
		}
		r.sessions = append(r.sessions, s)
	}
	if !until(ctx, p.Patience, func() bool { return r.ready() == 2 }) {
		why := ""
		for cause := range r.book.refused {
			why = ": " + cause
		}
		if s := r.sessions[0].socket; s.Connected() && p.Rooms > 0 {
			return fmt.Errorf("the server does not acknowledge %q, with the name of a room as its argument, by which sessions join one (--join-event)", p.JoinEvent)
		}
		return errors.New("nobody is let in" + why)
	}
	if p.Event != "" {
		r.sessions[0].event(time.Now())
	}
	if p.RoomEvent != "" {
		r.sessions[0].broadcast(time.Now())
	}
	until(ctx, p.Patience, func() bool { return !r.book.open() })
	r.book.close(true)
	switch e, b := r.book.events, r.book.broadcasts; {
	case ctx.Err() != nil:
		return ctx.Err()
	case p.Event != "" && e.Arrived == 0:
		return fmt.Errorf("the server does not acknowledge %q with the arguments %s (--event, --args)", p.Event, p.Args)
	case p.RoomEvent != "" && b.Lost > 0:
		return fmt.Errorf("the server does not pass %q with the arguments %s on to others, in whatever event (--room-event, --room-args)", p.RoomEvent, p.RoomArgs)
	}
	return nil
}

func (r *run) ready() int {
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	return r.book.ready
}

// arrive opens the sessions, and waits until all are there, or time is over.
func (r *run) arrive(ctx context.Context) {
	pace(ctx, time.Now(), r.Arrival, r.Sessions, func(n int, due time.Time) bool {
		s, err := r.connect(n, due)
		if err != nil { // not so in the trial
			return false
		}
		r.mu.Lock()
		r.sessions = append(r.sessions, s)
		r.mu.Unlock()
		return true
	})
	until(ctx, r.Patience, r.settled)
}

// settled reports whether all sessions are there, but for those that will not be.
func (r *run) settled() bool {
	n := r.ready()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		if s.ended.Load() {
			n++
		}
	}
	return n >= r.Sessions
}

// load sends what was asked for, and returns for how long.
func (r *run) load(ctx context.Context) time.Duration {
	began := time.Now()
	if r.ready() == 0 {
		return 0
	}
	limit, cancel := context.WithTimeout(ctx, r.Duration+r.Patience)
	defer cancel()
	each := func(first time.Duration, rate float64, t *tally, fn func(n int, due time.Time) bool) {
		r.wg.Go(func() {
			times := max(int(math.Round((r.Duration-first).Seconds()*rate)), 1)
			done := pace(limit, began.Add(first), rate, times, fn)
			if t != nil && ctx.Err() == nil {
				r.book.behind(t, times-done)
			}
		})
	}
	if r.Event != "" {
		each(0, r.Rate, &r.book.events, func(n int, due time.Time) bool {
			if s := r.at(n % r.Sessions); s != nil {
				s.event(due)
			}
			return true
		})
	}
	if r.RoomEvent != "" {
		each(0, r.RoomRate, &r.book.broadcasts, func(n int, due time.Time) bool {
			if s := r.at(n % r.first()); s != nil {
				s.broadcast(due)
			}
			return true
		})
	}
	if r.Storm > 0 {
		each(r.Storm, 1/r.Storm.Seconds(), nil, func(n int, _ time.Time) bool { return r.storm(n) })
	}
	if r.Churn > 0 {
		each(0, r.Churn, nil, r.replace)
	}
	until(ctx, time.Until(began.Add(r.Duration)), func() bool { return false })
	r.wg.Wait()
	return time.Since(began)
}

// at returns the n-th session, nil when it will not come again.
func (r *run) at(n int) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n >= len(r.sessions) || r.sessions[n].ended.Load() {
		return nil
	}
	return r.sessions[n]
}

// first is the first session that is cut or replaced: those before send to rooms.
func (r *run) first() int { return len(r.book.rows) }

// storm cuts connections of some sessions, other ones each time, which come again by themselves.
func (r *run) storm(n int) bool {
	others := r.Sessions - r.first()
	count := int(r.StormShare * float64(others))
	for i := range count {
		if s := r.at(r.first() + (n*count+i)%others); s != nil && s.socket.Connected() {
			s.cut.Store(true)
			r.book.mu.Lock()
			r.book.cuts++
			r.book.mu.Unlock()
			s.wires.cut()
		}
	}
	return true
}

// replace has a session leave, and another come.
func (r *run) replace(n int, due time.Time) bool {
	i := r.first() + n%(r.Sessions-r.first())
	old := r.at(i)
	if old == nil {
		return true
	}
	r.book.part(old.entry)
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), r.Patience)
		defer cancel()
		old.close(ctx)
	})
	s, err := r.connect(i, due)
	if err != nil {
		return false
	}
	r.mu.Lock()
	r.sessions[i] = s
	r.mu.Unlock()
	return true
}

// close ends all sessions, some at a time.
func (r *run) close() {
	ctx, cancel := context.WithTimeout(context.Background(), r.Patience)
	defer cancel()
	turns := make(chan struct{}, 64)
	for _, s := range r.sessions {
		turns <- struct{}{}
		r.wg.Go(func() {
			defer func() { <-turns }()
			s.close(ctx)
		})
	}
	r.wg.Wait()
}

// watch tells how it stands, once a second, and keeps points for the report.
func (r *run) watch(stop chan struct{}) {
	whole := r.Duration + time.Duration(float64(r.Sessions)/r.Arrival*float64(time.Second))
	each := max(int(whole/time.Second)/points, 1)
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-t.C:
		case <-stop:
			r.book.look(true)
			return
		}
		line := r.book.look(n%each == 0)
		if r.Live != nil {
			r.Live(line)
		}
	}
}
