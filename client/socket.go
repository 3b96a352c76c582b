package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/beanpole/beanpole/server/packet"
)

// Socket is one namespace of a Client.
type Socket struct {
	c    *Client
	name string

	mu        sync.Mutex
	active    bool    // wants to be connected
	engine    *engine // over which it is; nil while it is not
	asking    *engine // over which CONNECT was sent
	up        chan struct{}
	id        string
	pid       string // of connection state recovery, "" without
	offset    string // of the last event
	recovered bool
	waiters   []chan error // of Connect
	buffer    []*outgoing  // emitted without a connection
	buffered  int          // bytes of it
	acks      map[uint64]func(Args, error)
	lastAck   uint64
	handlers  map[string][]*handler
	hooks     hooks
	queue     []func() // what handlers have to do
	early     []func() // takes events that came before the answer to CONNECT
	working   bool     // a goroutine works on queue
	retries   []*retried
	retrying  bool
}

// hooks are the functions told of what is no event of the server's.
type hooks struct {
	connected    []*func()
	disconnected []*func(Reason, error)
	refused      []*func(error)
	watching     []*func(error) // called with mu held; of Connect
	any, sent    []*func(event string, args Args)
}

// Client returns the client the socket belongs to.
func (s *Socket) Client() *Client { return s.c }

// Namespace returns the name of the namespace, with its leading slash.
func (s *Socket) Namespace() string { return s.name }

// ID returns the id that the server has given to the socket, "" while it is not connected.
func (s *Socket) ID() string { s.mu.Lock(); defer s.mu.Unlock(); return s.id }

// Connected reports whether the server has let the socket in, and it has not left.
func (s *Socket) Connected() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.engine != nil }

// Recovered reports whether the socket has missed nothing while it was not connected the last time: the server has
// recovered its state.
func (s *Socket) Recovered() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.recovered }

// Active reports whether the socket is connected or tries to be.
func (s *Socket) Active() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.active }

// OnConnect has fn called whenever the socket is connected, before the events of that connection, and OnDisconnect
// when it no longer is, with why. Both are called as handlers are, and off takes fn out again, as with all that is registered.
func (s *Socket) OnConnect(fn func()) (off func()) { return listed(&s.mu, &s.hooks.connected, fn) }

// OnDisconnect is described at OnConnect. err is the cause of a transport error, and may be nil.
func (s *Socket) OnDisconnect(fn func(reason Reason, err error)) (off func()) {
	return listed(&s.mu, &s.hooks.disconnected, fn)
}

// OnConnectError has fn called when an attempt to connect fails: with a *ConnectError when the server refuses, after
// which it is not asked again; else the client tries again if Active. It is called as handlers are.
func (s *Socket) OnConnectError(fn func(err error)) (off func()) {
	return listed(&s.mu, &s.hooks.refused, fn)
}

// Connect connects the socket and waits until the server has let it in. It returns a *ConnectError when the server
// refuses; what came last when no further attempt is made; and when ctx ends, its error together with what came last:
// then the socket is still Active, and goes on trying.
func (s *Socket) Connect(ctx context.Context) error {
	w := make(chan error, 1)
	s.mu.Lock()
	if s.engine != nil {
		s.mu.Unlock()
		return nil
	}
	s.waiters = append(s.waiters, w)
	s.mu.Unlock()
	var last error
	off := listed(&s.mu, &s.hooks.watching, func(err error) { last = err })
	defer off()
	if err := s.Open(); err != nil {
		return err
	}
	select {
	case err := <-w:
		return err
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiters = slices.DeleteFunc(s.waiters, func(x chan error) bool { return x == w })
		return errors.Join(ctx.Err(), last)
	}
}

// Open has the socket connect, and returns at once, with ErrClosed after Client.Close.
func (s *Socket) Open() error {
	s.mu.Lock()
	was := s.active && s.engine != nil
	s.active = true
	s.mu.Unlock()
	if was {
		return nil
	}
	return s.c.join(s)
}

// Disconnect leaves the namespace, and closes the connection if no other socket needs it. What waits to be sent is
// sent before. Open and Connect connect anew.
func (s *Socket) Disconnect() {
	s.mu.Lock()
	e := s.engine
	was := s.active
	s.active = false
	if e != nil {
		s.goodbye(e)
		s.leave(ReasonClient, nil)
	} else if was {
		s.answer(ErrDisconnected)
	}
	s.giveUp(ErrDisconnected)
	s.mu.Unlock()
	s.c.left()
	select { // ends the pause before an attempt that nobody wants any more
	case s.c.hurry <- struct{}{}:
	default:
	}
}

// goodbye tells the server that the socket leaves.
func (s *Socket) goodbye(e *engine) {
	for _, m := range s.c.cfg.Parser.Encode(nil, nil, &packet.Packet{Type: packet.Disconnect, Namespace: s.name}) {
		_ = e.send(wire(m)) // if not, the session is over
	}
}

// leave notes that the socket is not connected. Called with mu held.
func (s *Socket) leave(reason Reason, err error) {
	s.engine, s.asking, s.id = nil, nil, ""
	s.up = make(chan struct{})
	waiting := map[uint64]func(Args, error){}
	for _, o := range s.buffer { // will be sent, and may be answered
		if fn, ok := s.acks[o.ack]; ok && o.ack > 0 {
			waiting[o.ack] = fn
			delete(s.acks, o.ack)
		}
	}
	gone := s.acks
	s.acks = waiting
	for _, fn := range gone {
		fn(Args{}, ErrDisconnected)
	}
	for _, fn := range s.hooks.disconnected {
		s.later(func() { (*fn)(reason, err) })
	}
}

// answer tells those who wait in Connect. Called with mu held.
func (s *Socket) answer(err error) {
	for _, w := range s.waiters {
		w <- err
	}
	s.waiters = nil
}

// giveUp ends the waits for acknowledgements of what has not left, as nobody tries to connect any more: it does not leave.
// Called with mu held.
func (s *Socket) giveUp(err error) {
	s.buffer = slices.DeleteFunc(s.buffer, func(o *outgoing) bool {
		fn, waits := s.acks[o.ack]
		if waits = waits && o.ack > 0; waits {
			delete(s.acks, o.ack)
			s.buffered -= o.size
			fn(Args{}, err)
		}
		return waits
	})
}

// greet sends CONNECT over a session, if it is wanted and was not sent.
func (s *Socket) greet(e *engine) {
	s.mu.Lock()
	if !s.active || s.engine != nil || s.asking == e {
		s.mu.Unlock()
		return
	}
	s.asking = e
	pid, offset := s.pid, s.offset
	s.mu.Unlock()
	data, err := s.c.auth(e.ctx, s.name, pid, offset)
	if err != nil {
		if e.ctx.Err() == nil {
			s.mu.Lock()
			s.active = false
			s.mu.Unlock()
			s.refused(err, true)
			s.c.left()
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active {
		return
	}
	for _, m := range s.c.cfg.Parser.Encode(nil, nil, &packet.Packet{Type: packet.Connect, Namespace: s.name, Data: data}) {
		_ = e.send(wire(m)) // if not, the session is over
	}
}

// auth returns the payload of CONNECT, nil for none.
func (c *Client) auth(ctx context.Context, nsp, pid, offset string) (json.RawMessage, error) {
	v := c.cfg.Auth
	if c.cfg.AuthFunc != nil {
		var err error
		if v, err = c.cfg.AuthFunc(ctx, nsp); err != nil {
			return nil, err
		}
	}
	var own []byte
	if v != nil {
		var err error
		if own, err = packet.AppendJSON(nil, v); err != nil || own[0] != '{' {
			return nil, fmt.Errorf("client: auth of type %T is no JSON object: %w", v, cmpErr(err, packet.ErrValue))
		}
	}
	if pid == "" {
		return own, nil
	}
	state, err := packet.AppendJSON(nil, map[string]string{"pid": pid, "offset": offset})
	if len(own) > 2 {
		state = append(append(state[:len(state)-1], ','), own[1:]...)
	}
	return state, err
}

// refused notes that an attempt to connect has failed; final says that there will be no other.
func (s *Socket) refused(err error, final bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking, s.early = nil, nil
	for _, fn := range s.hooks.watching {
		(*fn)(err)
	}
	if final {
		s.active = false
		s.answer(err)
		s.giveUp(err)
	}
	for _, fn := range s.hooks.refused {
		s.later(func() { (*fn)(err) })
	}
}

// dropped notes that the session has ended.
func (s *Socket) dropped(reason Reason, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking, s.early = nil, nil
	if s.engine != nil {
		s.leave(reason, err)
	}
}

// receive takes a packet of the session.
func (s *Socket) receive(e *engine, p *packet.Packet) {
	switch p.Type {
	case packet.Connect:
		s.welcome(e, p)
	case packet.ConnectError:
		c := &ConnectError{}
		if json.Unmarshal(p.Data, c) != nil {
			c.Message = string(p.Data)
		}
		s.mu.Lock()
		s.active = false
		s.mu.Unlock()
		s.refused(c, true)
		s.c.left()
	case packet.Disconnect:
		s.mu.Lock()
		if s.engine == e {
			s.active = false
			s.leave(ReasonServer, nil)
			s.giveUp(ErrDisconnected)
		}
		s.mu.Unlock()
		s.c.left()
	case packet.Event:
		s.event(e, p)
	case packet.Ack:
		s.mu.Lock()
		fn, ok := s.acks[p.ID]
		delete(s.acks, p.ID)
		s.mu.Unlock()
		if ok {
			fn(arguments(p, 0), nil)
		}
	}
}

// arguments returns a copy of what a packet has, from one on.
func arguments(p *packet.Packet, from int) Args {
	list, err := packet.Split(nil, slices.Clone(p.Data))
	if err != nil || len(list) < from {
		return Args{} // the decoder has checked it
	}
	a := Args{list: list[from:], attachments: slices.Clone(p.Attachments)}
	if n := len(a.attachments); n > 0 { // it may be the message's
		a.attachments[n-1] = slices.Clone(a.attachments[n-1])
	}
	return a
}

// welcome takes the answer to CONNECT, and sends what has waited.
func (s *Socket) welcome(e *engine, p *packet.Packet) {
	var w struct{ SID, PID string }
	if json.Unmarshal(p.Data, &w) != nil || w.SID == "" {
		s.mu.Lock()
		s.active = false
		s.mu.Unlock()
		s.refused(errors.New("client: the server speaks Socket.IO 2, which this client does not"), true)
		s.c.left()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active { // it has left while the server let it in
		s.asking, s.early = nil, nil
		s.goodbye(e)
		return
	}
	if s.engine != nil {
		return
	}
	s.engine, s.id = e, w.SID
	s.recovered = w.PID != "" && w.PID == s.pid
	if !s.recovered {
		s.offset = ""
	}
	s.pid = w.PID
	for _, fn := range s.hooks.connected {
		s.later(*fn)
	}
	for _, take := range s.early {
		take()
	}
	s.early = nil
	for _, o := range s.buffer {
		if e.send(o.frames...) != nil {
			break
		}
		o.frames = nil
	}
	s.buffer = slices.DeleteFunc(s.buffer, func(o *outgoing) bool {
		if o.frames == nil {
			s.buffered -= o.size
		}
		return o.frames == nil
	})
	close(s.up)
	s.answer(nil)
}
