package server

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/transport"
)

// connectBurst is how many seconds' worth of CONNECTs a session may send at once.
const connectBurst = 10

// lobby is where the CONNECTs of a session wait that come faster than they are let through: with
// MaxConnecting in progress, above ConnectsPerSecond, or behind one for the same namespace; and what else of
// a session waits. Most sessions need none. Its fields are guarded by client.mu.
type lobby struct {
	bucket  limit.Bucket
	timer   *time.Timer // until the bucket has a token; nil unless it runs
	waiting []*Socket   // one of each namespace

	held, largest int // bytes that its sockets hold for the client, and of the largest packet since they hold something; see hold

	early, earlyBytes int // events that came behind a CONNECT since last none was in progress

	shut bool        // the session is to be closed: no CONNECT is let through any more
	last *time.Timer // closes it, if the CONNECTs in progress are not answered first; nil unless they are waited for

	light chan struct{} // told when the load is light, if that is watched

	kept map[reflect.Type]any // see Keep

	open int           // bytes of the events that are with their handlers, decoded; see Socket.open
	less chan struct{} // closed when there are fewer; nil unless somebody waits

	lingering func() // gives the place back; see linger
}

// inLobby returns the lobby, which it makes if need be. Called with mu held.
func (c *client) inLobby() *lobby {
	if c.lobby == nil {
		c.lobby = &lobby{
			bucket: limit.NewBucket(c.server.cfg.Limits.ConnectsPerSecond, connectBurst),
			light:  make(chan struct{}, 1),
		}
	}
	return c.lobby
}

// connect takes a CONNECT to the namespace. A session that is in as many as it may be, or whose auth
// payloads are too large together, is refused one more.
func (c *client) connect(nsp string, auth []byte) {
	s := newSocket(c, nsp, auth)
	c.mu.Lock()
	err := c.admissible(s)
	var begun []*Socket
	if err == nil {
		// While a CONNECT for the namespace is in progress another waits, and takes the place of one that
		// waits already: it is for the case that the first is refused.
		if c.lobby != nil {
			c.lobby.withdraw(nsp)
		}
		if (c.lobby == nil || len(c.lobby.waiting) == 0) && c.free(nsp) && c.connects < unpaced {
			c.connects++
			c.begin(s)
			begun = append(begun, s)
		} else {
			l := c.inLobby()
			l.waiting = append(l.waiting, s)
			begun = c.beginWaiting()
			if slices.Contains(l.waiting, s) {
				c.server.stats.connectsDelayed.Add(1)
			}
		}
	}
	c.mu.Unlock()
	switch {
	case errors.Is(err, errAuthTooLarge):
		s.refuse(s.limited(LimitAuthBytes, c.server.cfg.Limits.MaxAuthBytes))
	case err != nil:
		s.refuse(err)
	}
	c.run(begun)
}

// unpaced is how many CONNECTs of a session are not counted against ConnectsPerSecond.
const unpaced = 16

// admissible returns why there may not be one more socket of the session. A socket that has left goes for it.
// Called with mu held.
func (c *client) admissible(s *Socket) error {
	if c.lobby != nil && c.lobby.shut {
		return ErrDisconnected
	}
	limits := &c.server.cfg.Limits
	for {
		n, bytes := 0, len(s.name)+len(s.auth)
		count := func(list []*Socket) {
			for _, o := range list {
				if o.name != s.name {
					n++
					bytes += len(o.name) + len(o.auth)
				}
			}
		}
		count(c.sockets)
		if c.lobby != nil {
			count(c.lobby.waiting)
		}
		if n < limits.MaxNamespaces && bytes <= limits.MaxAuthBytes {
			return nil
		}
		before := len(c.sockets)
		c.sockets = slices.DeleteFunc(c.sockets, (*Socket).gone)
		switch {
		case len(c.sockets) < before:
		case n >= limits.MaxNamespaces:
			return errTooManyNamespaces
		default:
			return errAuthTooLarge
		}
	}
}

// free reports whether a CONNECT to the namespace may begin now. Called with mu held.
func (c *client) free(nsp string) bool {
	s := c.find(nsp)
	return int(c.connecting) < c.server.cfg.Limits.MaxConnecting && (s == nil || !s.connecting)
}

// begin makes s a socket of the session, in place of one that has left. Called with mu held.
func (c *client) begin(s *Socket) {
	c.sockets = slices.DeleteFunc(c.sockets, func(o *Socket) bool { return o.name == s.name })
	c.sockets = append(c.sockets, s)
	s.connecting = true
	c.connecting++
	c.load.bytes.Add(job)
}

// run has the sockets that have begun connect: their queues do the rest.
func (c *client) run(begun []*Socket) {
	for _, s := range begun {
		c.enqueue(s, item{kind: itemConnect})
	}
}

// beginWaiting begins what may begin of the CONNECTs that wait. Called with mu held.
func (c *client) beginWaiting() (begun []*Socket) {
	l := c.lobby
	if l == nil || c.closed {
		return nil
	}
	for i := 0; i < len(l.waiting) && int(c.connecting) < c.server.cfg.Limits.MaxConnecting; {
		s := l.waiting[i]
		o := c.find(s.name)
		switch {
		case o != nil && o.connecting:
			i++
			continue
		case o != nil && !o.gone():
			// The CONNECT before it was answered; the client has what it asked for.
		case l.timer != nil:
			return begun
		default:
			if wait := l.bucket.Wait(time.Now()); wait > 0 {
				l.timer = time.AfterFunc(wait, c.beginLater)
				return begun
			}
			c.begin(s)
			begun = append(begun, s)
		}
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	return begun
}

// beginLater is beginWaiting when there is a token again.
func (c *client) beginLater() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lobby.timer = nil
	if begun := c.beginWaiting(); len(begun) > 0 {
		// Nobody else need be about to work. The session is open, so the server's end waits for it.
		c.server.wg.Go(func() { c.run(begun); c.Work() })
	}
}

// decided notes that a CONNECT has been answered, or needs no answer any more; the next may begin.
func (c *client) decided(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.connecting {
		return
	}
	s.connecting = false
	c.connecting--
	if c.lobby == nil {
		return
	}
	if c.connecting == 0 {
		c.lobby.early, c.lobby.earlyBytes = 0, 0
		if c.lobby.last != nil {
			c.lobby.last.Reset(0)
		}
	}
	if begun := c.beginWaiting(); len(begun) > 0 {
		// Not by the caller, who may be about to run a connection handler that blocks.
		c.server.wg.Go(func() { c.run(begun); c.Work() })
	}
}

// withdraw takes the CONNECT to the namespace out that waits, if one does.
func (l *lobby) withdraw(nsp string) (found bool) {
	n := len(l.waiting)
	l.waiting = slices.DeleteFunc(l.waiting, func(s *Socket) bool { return s.name == nsp })
	return len(l.waiting) < n
}

// leaveLobby takes back a CONNECT that waits: the client has sent DISCONNECT behind it.
func (c *client) leaveLobby(nsp string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lobby != nil && c.lobby.withdraw(nsp)
}

// closeLobby ends the waiting. Called with mu held.
func (c *client) closeLobby() {
	if l := c.lobby; l != nil {
		l.waiting = nil
		if l.timer != nil {
			l.timer.Stop()
		}
		if l.last != nil {
			l.last.Stop()
		}
	}
}

// shut lets no CONNECT through any more, and returns those that wait. Called with mu held.
func (c *client) shut() (waiting []*Socket) {
	l := c.inLobby()
	l.shut = true
	waiting, l.waiting = l.waiting, nil
	return waiting
}

// closeAnswered closes the session of a client that was disconnected, when the CONNECTs in progress have been answered:
// a client that is cut off without an answer, as by a middleware that disconnects it, comes back for ever.
func (c *client) closeAnswered() {
	c.mu.Lock()
	l := c.inLobby()
	wait := c.connecting > 0 && !c.closed
	if wait && l.last == nil {
		l.last = time.AfterFunc(closeTimeout, func() { c.session.Close(transport.ReasonForcedServerClose) })
	}
	c.mu.Unlock()
	if !wait {
		c.session.Close(transport.ReasonForcedServerClose)
	}
}

// early reports whether an event of that size may wait for the CONNECT before it to be answered. Clients of
// some languages send without waiting for that; Node closes their sessions whenever a middleware waits for
// something (socket.io/lib/client.ts, ondecoded), and here the events are few.
func (c *client) early(size int) bool {
	limits := &c.server.cfg.Limits
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.inLobby()
	l.early++
	l.earlyBytes += size
	return l.early <= limits.MaxEarlyEvents && l.earlyBytes <= limits.MaxQueuedBytes/16
}

// stall is how long handlers may take for one event while the reader waits for them, and patience for how
// long it waits altogether. Meanwhile no heartbeat is read.
const (
	stall    = time.Second
	patience = 10 * time.Second
)

// catchUp has the reader wait while half of what may wait for the handlers does, so that a client that sends
// faster than they work is slowed down and not closed. It gives up when they do not get on: one may wait for
// an answer that is behind what is not read. Then nothing is waited for until most has been worked off.
func (c *client) catchUp() {
	limits := &c.server.cfg.Limits
	if !c.load.exceeds(limits, 2) {
		c.hurried = c.hurried && c.load.exceeds(limits, 4)
		return
	}
	if c.hurried || c.failed {
		return
	}
	c.server.stats.readsHeld.Add(1)
	c.mu.Lock()
	light := c.inLobby().light
	c.mu.Unlock()
	c.load.watched.Store(true)
	defer c.load.watched.Store(false)
	c.server.wg.Go(c.Work) // what this read has brought
	timer := time.NewTicker(stall)
	defer timer.Stop()
	for waited, before := time.Duration(0), c.load.events.Load(); c.load.exceeds(limits, 4); {
		select {
		case <-light:
			continue
		case <-timer.C:
		}
		waited += stall
		now := c.load.events.Load()
		if now == before || waited >= patience || !c.session.Open() {
			c.hurried = true
			return
		}
		before = now
	}
}

// lighten notes that so many events of that size together, or a job, have been handled, or dropped.
func (c *client) lighten(events int, size int64) {
	c.load.events.Add(-int32(events))
	if c.load.bytes.Add(-size) == ended {
		c.vacate()
	}
	if c.load.watched.Load() && !c.load.exceeds(&c.server.cfg.Limits, 4) && c.load.watched.CompareAndSwap(true, false) {
		c.mu.Lock()
		light := c.lobby.light
		c.mu.Unlock()
		select {
		case light <- struct{}{}:
		default:
		}
	}
}

// linger has the session, which has ended, keep its place among the sessions until all there is to do for it has been
// done or dropped, CONNECTs and disconnect handlers too: what it makes the server hold counts as long as it is there.
func (c *client) linger() {
	if c.load.bytes.Load() == 0 {
		return
	}
	done := c.session.Linger()
	c.mu.Lock()
	c.inLobby().lingering = done
	c.mu.Unlock()
	if c.load.bytes.Or(ended) == 0 { // the last one was faster
		c.vacate()
	}
}

// vacate gives back the place that linger has kept, once.
func (c *client) vacate() {
	c.mu.Lock()
	done := c.lobby.lingering
	c.lobby.lingering = nil
	c.mu.Unlock()
	if done != nil {
		done()
	}
}

// bury keeps no more of a socket that has ended than its name, by which events that are on their way are not
// taken for a breach of the protocol.
func (c *client) bury(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.sockets, s); i >= 0 {
		name := newSocket(c, s.name, nil)
		name.state.Store(stateGone)
		name.hold.Store(nil)
		name.queue.drop = true
		c.sockets[i] = name
	}
}
