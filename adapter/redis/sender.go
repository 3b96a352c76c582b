package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// batchCommands and batchBytes bound one pipeline: what may be in doubt when a connection breaks.
	batchCommands = 512
	batchBytes    = 256 << 10
	// publishTimeout bounds one pipeline.
	publishTimeout = 3 * time.Second
	// maxBackoff bounds the pause between two attempts to reach Redis.
	maxBackoff = 2 * time.Second
)

// sender sends commands to one master, from one goroutine, in order, everything that waits in one pipeline. Its
// states and their changes are drawn in doc.go.
type sender struct {
	*publisher
	addr string // of the master, in a Redis Cluster
	box  *outbox
	// stray holds a token when something waits here that another master is for by now.
	stray chan struct{}

	// Owned by run.
	node    *redis.Client
	pending []*command        // taken from the outbox and not done
	failed  int               // attempts in a row that failed
	down    time.Time         // when the first of them had
	unsure  map[string]uint64 // by namespace: messages that Redis may not have passed on, not counted yet
	acked   map[string]string // by stream: the id of the last entry that is there
	barred  map[string]barred // by barrier
}

func newSender(p *publisher, addr string, node *redis.Client, box *outbox) *sender {
	return &sender{publisher: p, addr: addr, box: box, node: node, stray: make(chan struct{}, 1),
		unsure: map[string]uint64{}, acked: map[string]string{}, barred: map[string]barred{}}
}

// run sends until the outbox is closed and empty, or ctx is done.
func (s *sender) run(ctx context.Context) {
	for ctx.Err() == nil {
		if len(s.pending) == 0 {
			s.pending = s.box.take(s.pending[:0], batchCommands, batchBytes)
			s.node = s.box.newest(s.node)
		}
		if len(s.pending) == 0 { // idle
			if s.box.isClosed() {
				break
			}
			if s.failed > 0 {
				s.probe(ctx)
				continue
			}
			s.idle(ctx)
			continue
		}
		if s.outdate(); len(s.pending) == 0 {
			continue
		}
		err := s.send(ctx)
		if err == nil {
			s.failed = 0
			s.sends()
			s.state.set(PartOutbox, "", nil)
			s.decide(ctx)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		if s.fails(); s.failed > 1 || !severed(err) {
			s.state.set(PartSending, s.addr, err)
		}
		s.wait(ctx, err)
	}
	if ctx.Err() == nil {
		s.decide(ctx)
	}
	for _, n := range s.unsure { // who would ask for them asks in vain from now on
		s.stats.lost[lostUnconfirmed].Add(n)
	}
	for _, c := range s.box.all(s.pending) {
		s.drop(c, lostClosed, ErrClosed)
	}
}

// idle waits for something to send. What was refused before is no failure for ever.
func (s *sender) idle(ctx context.Context) {
	if len(s.barred) > 0 {
		defer time.AfterFunc(recoveredAfter+time.Second, s.box.signal).Stop()
		defer s.sends()
	}
	select {
	case <-s.box.wake:
	case <-ctx.Done():
	}
}

// probe finds out whether Redis is there again after a failure, when nothing waits that would show it; or another in its
// place, whose sender says how that does.
func (s *sender) probe(ctx context.Context) {
	err := s.ping(ctx)
	if err == nil || !s.leads(ctx) {
		s.failed = 0
		s.sends()
		return
	}
	s.state.set(PartSending, s.addr, err)
	s.fails()
	pause(ctx, s.failed)
}

// leads reports whether the server is a master still, as far as that is known, and takes its client: a server that was none
// for a while has another one.
func (s *sender) leads(ctx context.Context) bool {
	x, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	found := make(chan *redis.Client, 1)
	err := x.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		if node.Options().Addr == s.addr {
			found <- node
		}
		return nil
	})
	select {
	case s.node = <-found:
		return true
	default:
		return err != nil
	}
}

// ping returns nil if Redis is there. It may refuse the command, but not all commands.
func (s *sender) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err := again(ctx, func() error {
		pipe := s.node.Pipeline() // as what is sent: it has a connection of its own
		pipe.Ping(ctx)
		_, err := pipe.Exec(ctx)
		return err
	})
	if refused(err) && !refusesAll(err) {
		return nil
	}
	return err
}

// fails notes an attempt that failed.
func (s *sender) fails() {
	if s.failed++; s.failed == 1 {
		s.down = time.Now()
	}
}

// since returns when Redis went out of reach, or now: what waits is too old when that was maxAge ago, and not because this
// process stood still.
func (s *sender) since() time.Time {
	if s.failed == 0 {
		return time.Now()
	}
	return s.down
}

// wait pauses after a failure, and looks whether what waits is still for this master.
func (s *sender) wait(ctx context.Context, err error) {
	s.expire(s.box, s.since())
	// Those that say something of now come again by themselves.
	stale := func(c *command) bool { return c.urgent && c.done != nil }
	for _, c := range s.pending {
		if stale(c) {
			c.done("", err)
		}
	}
	before := slices.Clone(s.pending)
	s.pending = slices.DeleteFunc(s.pending, stale)
	s.box.done(before, s.pending)
	rest(ctx, s.failed, s.stray)
	x, ok := s.client.(*redis.ClusterClient)
	if !ok {
		// A heartbeat need not wait for those before it.
		s.pending = append(s.box.take(nil, 0, 0), s.pending...)
		return
	}
	x.ReloadState(ctx)
	homes := map[string]bool{}
	s.leave(func(c *command) bool {
		here, ok := homes[c.route]
		if !ok {
			node, err := x.MasterForKey(ctx, c.route)
			if here = err != nil || node.Options().Addr == s.addr; here && err == nil {
				s.node = node // see leads
			}
			homes[c.route] = here
		}
		return !here
	})
	if len(s.pending) == 0 {
		s.failed = 0
		s.sends() // others have its work
	}
}

// leave gives back what is for another master.
func (s *sender) leave(moved func(*command) bool) {
	s.publisher.box.routing.Lock()
	defer s.publisher.box.routing.Unlock()
	var here, there []*command
	for _, c := range s.box.all(s.pending) {
		if moved(c) {
			s.takes(c) // or another does
			there = append(there, c)
		} else {
			here = append(here, c)
		}
	}
	s.pending = here
	if len(there) > 0 {
		s.box.done(there, nil)
		s.publisher.box.untake(there)
	}
}

// decide counts messages whose answer was lost where someone cannot ask for them.
func (s *sender) decide(ctx context.Context) {
	for nsp, n := range s.unsure {
		tctx, cancel := context.WithTimeout(ctx, publishTimeout)
		mixed, err := s.keeper.mixed(tctx, nsp)
		cancel()
		if err != nil {
			return // once more behind the next that succeeds
		}
		if mixed {
			s.stats.lost[lostUnconfirmed].Add(n)
		}
		delete(s.unsure, nsp)
	}
}

// outdate drops what is pending and has waited too long.
func (s *sender) outdate() {
	var old []*command
	s.pending, old = outdated(s.pending, s.old(s.since()))
	for _, c := range old {
		s.drop(c, lostAge, context.DeadlineExceeded)
	}
	s.box.done(old, nil)
}

// send sends the pending commands. With an error, what remains pending is to be sent again after a pause.
func (s *sender) send(ctx context.Context) error {
	tctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	b := sendBatch(tctx, s.node, s.pending, s.maxLen)
	for _, t := range b.streams {
		if t.multi != nil && refused(t.multi.Err()) {
			s.state.set(PartRefusals, s.addr, t.multi.Err())
		}
	}
	var cause error
	var again, doubt []*command
	moved := map[string]bool{} // by route
	for i, c := range s.pending {
		switch v, e := b.result(i); {
		case e == nil:
			s.published(c, v)
		case notSent(e):
			again, cause = append(again, c), e
		case refused(e):
			if !passing(e) {
				s.refuses(c, e)
				s.drop(c, lostRefused, e)
				continue
			}
			if again = append(again, c); strings.HasPrefix(e.Error(), "MOVED") && s.box.of != nil {
				c.moved, moved[c.route] = true, true
			} else if e != errDiscarded { // at once, without the one that was dropped
				if cause = e; c.op == opXAdd { // it may be too old before it is taken
					s.refuses(c, e)
				}
			}
		default:
			doubt, cause = append(doubt, c), e
		}
	}
	before := s.pending
	if len(doubt) > 0 {
		again = inOrder(before, append(again, s.resolve(ctx, doubt, cause)...))
		s.keeper.confess()
	}
	s.pending = again
	s.box.done(before, s.pending)
	if len(moved) > 0 {
		s.leave(func(c *command) bool { return moved[c.route] })
	}
	return cause
}

// inOrder returns the commands of some in the order that they have in list.
func inOrder(list, some []*command) []*command {
	is := make(map[*command]bool, len(some))
	for _, c := range some {
		is[c] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(c *command) bool { return !is[c] })
}

// published notes that Redis has done c, and what it has answered: the id of the entry of a stream, or how many
// got a message.
func (s *sender) published(c *command, value any) {
	if !c.urgent { // a heartbeat, or a letter
		s.stats.published.Add(1)
	}
	s.keeper.rings.handed(c)
	s.takes(c)
	if c.op == opXAdd {
		s.acked[c.key], _ = value.(string)
	}
	if c.done != nil {
		c.done(fmt.Sprint(value), nil)
	}
}

// forbidden reports whether Redis has refused something for good.
func forbidden(err error) bool { return refused(err) && !passing(err) }

// passing reports whether a refusal of Redis may pass when one waits: it moves slots, loads, or fails over.
func passing(err error) bool {
	return begins(err, "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "OOM", "MISCONF", "NOREPLICAS", string(errDiscarded)) || refusesAll(err)
}

// refusesAll reports whether a refusal is of whatever Redis is asked.
func refusesAll(err error) bool {
	return begins(err, "NOAUTH", "WRONGPASS", unauthenticated, "LOADING", "BUSY")
}

// unauthenticated is how Redis begins its answer to a long command of who has not said who it is.
const unauthenticated = "ERR Protocol error: unauthenticated"

func begins(err error, prefixes ...string) bool {
	text := err.Error()
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
}
