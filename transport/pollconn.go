package transport

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// A pollConn is the connection of a client that polls, or of a proxy, when it has left net/http: its GETs wait here,
// and the requests of sessions that come next are read here (see pollserve.go). Whoever talks has a goroutine
// that reads; who is silent is parked like a silent WebSocket (see park.go), whether his GET waits or the connection is
// between two requests.
//
// The one who reads serves too, and so reads nothing before a request has been answered, but for a GET that waits: it
// goes on reading then, for the end of the connection. What comes instead, from a client that does not wait for
// answers, is held, and the one who reads ends; who answers the GET starts another.
type pollConn struct {
	// Set by newPollConn, then read only.
	srv    *Server
	web    *http.Server // whose handler serves, and whose limits hold
	conn   net.Conn
	stream stream
	remote string
	ctx    context.Context // what those of requests are made of

	// Owned by who reads.
	early    []byte // what has been read and not worked off
	posted   bool   // the request before was a POST
	reads    reads
	restedAt time.Duration // uptime of the last call of rest, or zero
	woken    uint8         // how often in a row the parker has woken it, each time soon after the last
	silent   time.Duration // how long nothing has come, if it cannot be parked

	mu sync.Mutex
	// Guarded by mu. Session.mu is taken before it, and nothing after it but the parker's.
	armed   bool        // the parker's
	parked  bool        // nobody reads
	held    bool        // nobody reads until the poll has been answered
	busy    bool        // a request is being served
	ending  bool        // after what is being served or waits, the connection ends
	gone    bool        // it is closed, or not ours any more
	session *Session    // whose GET waits, or nil
	poll    *poll       // that GET
	timer   *time.Timer // ends an idle connection that is parked; nil until the first time
}

const (
	// pollIdleTimeout is how long a connection may wait for its next request if the http.Server does not say: longer
	// than the 60 to 75 seconds of proxies, which would otherwise meet a connection that is just being closed.
	pollIdleTimeout = 90 * time.Second
	// keepAwake is how often in a row a connection is parked again after one request. A client that opens a session
	// and then waits sends fewer.
	keepAwake = 4
)

// pollConns are those of a server. The zero value is ready.
type pollConns struct {
	mu     sync.Mutex
	all    map[*pollConn]struct{} // guarded by mu
	closed bool                   // guarded by mu
	wg     sync.WaitGroup         // counts all
}

// newPollConn returns the connection that r has come on and that net/http has given up, with what has been read of
// it; or nil if there are no more.
func (s *Server) newPollConn(r *http.Request, conn net.Conn, early []byte) *pollConn {
	if returned, ok := conn.(*earlyConn); ok {
		conn, early = returned.Conn, append(early, returned.early...)
	}
	c := &pollConn{srv: s, web: serverOf(r), conn: conn, early: early, remote: r.RemoteAddr, stream: newSocket(conn), busy: true}
	if c.stream == nil {
		c.stream = &plainStream{conn: conn}
	}
	all := &s.conns
	all.mu.Lock()
	if all.closed {
		all.mu.Unlock()
		return nil
	}
	if all.all == nil {
		all.all = make(map[*pollConn]struct{})
	}
	all.all[c] = struct{}{}
	all.wg.Add(1)
	all.mu.Unlock()
	if !s.returns.open.Load() { // end may have looked before
		c.end()
	}
	c.ctx = c.context()
	c.note(http.StateNew)
	c.note(http.StateActive)
	return c
}

// serverOf returns the http.Server that serves r, or nil.
func serverOf(r *http.Request) *http.Server {
	web, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	return web
}

// context returns what the contexts of requests on c are made of, which is what net/http would begin with: what
// handlers have added to that of one request is not to be seen by the next, which may be another client's.
func (c *pollConn) context() context.Context {
	ctx := context.Background()
	if c.web.BaseContext != nil {
		ctx = c.web.BaseContext(&c.srv.returns)
	}
	ctx = context.WithValue(ctx, http.ServerContextKey, c.web)
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, c.conn.LocalAddr())
	if c.web.ConnContext != nil {
		ctx = c.web.ConnContext(ctx, c.conn)
	}
	return ctx
}

// note tells the http.Server's hook.
func (c *pollConn) note(state http.ConnState) {
	if c.web.ConnState != nil {
		c.web.ConnState(c.conn, state)
	}
}

// idleTimeout is how long c may wait for its next request.
func (c *pollConn) idleTimeout() time.Duration {
	switch {
	case c.web.IdleTimeout != 0:
		return max(c.web.IdleTimeout, 0)
	case c.web.ReadTimeout > 0:
		return c.web.ReadTimeout
	}
	return pollIdleTimeout
}

// start parks c or has it read, when the handler that has taken it has left it to itself.
func (c *pollConn) start() {
	c.mu.Lock()
	c.busy = false
	over := c.ending && c.poll == nil
	c.mu.Unlock()
	switch {
	case over:
		c.close()
	case len(c.early) > 0 || !c.park():
		go c.serve()
	}
}

// parkable reports whether c might be parked.
func (c *pollConn) parkable() bool {
	_, ok := c.stream.(descriptor)
	return ok && canPark && c.srv.cfg.ParkAfter > 0
}

// park reports whether c has been parked, or has ended. Its caller must not read it any more then.
func (c *pollConn) park() bool {
	if !c.parkable() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return true
	}
	if c.ending || !c.srv.parker.add(c.stream.(descriptor).rawConn(), &c.armed, c) {
		return false
	}
	c.parked = true
	c.stream.setReadDeadline(time.Time{})
	if c.poll == nil {
		c.watchIdle()
	}
	return true
}

// watchIdle ends c, which is parked, if it stays so for too long. Called with mu held.
func (c *pollConn) watchIdle() {
	d := c.idleTimeout()
	switch {
	case d <= 0:
	case c.timer == nil:
		c.timer = time.AfterFunc(d, c.abandon)
	default:
		c.timer.Reset(d)
	}
}

// wake starts who reads c. The parker calls it.
func (c *pollConn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.parked {
		return
	}
	c.unpark()
	c.reads = readsWoke
	go c.serve()
}

// unpark has nobody wake c. Called with mu held.
func (c *pollConn) unpark() {
	c.parked = false
	if c.timer != nil {
		c.timer.Stop()
	}
}

// abandon ends c if it is parked between two requests.
func (c *pollConn) abandon() {
	c.closeIf(func() bool { return c.parked && c.poll == nil })
}

// waits has c wait for the answer to p, the GET of s that it has brought. Called with Session.mu held.
func (c *pollConn) waits(s *Session, p *poll) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.poll = s, p
}

// answered lets c go on when the answer to its GET has been written, or not.
func (c *pollConn) answered(err error) {
	c.note(http.StateIdle)
	held := false
	c.closeIf(func() bool {
		c.session, c.poll = nil, nil
		if err != nil || c.ending && !c.busy {
			return true
		}
		held, c.held = c.held, false
		if c.parked {
			c.watchIdle()
		}
		return false
	})
	if held {
		go c.serve()
	}
}

// isGone reports whether c is closed, or somebody else's.
func (c *pollConn) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// isLast reports whether the connection ends behind the answer that is being written.
func (c *pollConn) isLast() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// end ends c when nothing is being served on it any more.
func (c *pollConn) end() {
	c.closeIf(func() bool { c.ending = true; return !c.busy && c.poll == nil })
}

// lost ends c, whose client has gone, and the session whose GET waits.
func (c *pollConn) lost() {
	c.mu.Lock()
	s, p := c.session, c.poll
	c.mu.Unlock()
	if p != nil {
		s.mu.Lock()
		s.abortPoll(p)
		s.unlock()
	}
	c.close()
}

// close closes the connection. Further times it does nothing.
func (c *pollConn) close() { c.closeIf(func() bool { return true }) }

// closeIf closes the connection if over, which is called with mu held, says so: no request is begun in between, whose
// answer would be lost.
func (c *pollConn) closeIf(over func() bool) {
	c.mu.Lock()
	left := over() && c.leave()
	c.mu.Unlock()
	if left {
		c.stream.close()
		c.note(http.StateClosed)
		c.srv.conns.remove(c)
	}
}

// detach returns the connection, which is the caller's then.
func (c *pollConn) detach() net.Conn {
	c.mu.Lock()
	left := c.leave()
	c.mu.Unlock()
	if left {
		c.stream.setDeadline(time.Time{})
		c.note(http.StateHijacked)
		c.srv.conns.remove(c)
	}
	return c.conn
}

// giveBack gives the connection, on which b has come, to net/http. Called by who reads.
func (c *pollConn) giveBack(b []byte) {
	c.srv.returns.put(&earlyConn{Conn: c.detach(), early: b})
}

// leave reports whether c was there until now. Called with mu held.
func (c *pollConn) leave() bool {
	if c.gone {
		return false
	}
	c.gone = true
	if d, ok := c.stream.(descriptor); ok && c.armed {
		c.srv.parker.remove(d.rawConn()) // it would keep c until the descriptor is used again
		c.armed = false
	}
	c.unpark()
	return true
}

func (all *pollConns) remove(c *pollConn) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.all, c)
	all.wg.Done()
}

// end ends those that serve nothing, and the others when they have.
func (all *pollConns) end() {
	all.mu.Lock()
	list := make([]*pollConn, 0, len(all.all))
	for c := range all.all {
		list = append(list, c)
	}
	all.mu.Unlock()
	for _, c := range list {
		c.end()
	}
}

// close is end for good, and waits until none is left.
func (all *pollConns) close() {
	all.mu.Lock()
	all.closed = true
	all.mu.Unlock()
	all.end()
	all.wg.Wait()
}
