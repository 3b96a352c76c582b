package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
)

// Emitter emits into a cluster from a process that serves no clients. It is a value whose methods
// return changed copies, as those of a namespace do:
//
//	e, err := redis.NewEmitter(redis.Config{URL: url})
//	err = e.Of("/chat").To("room").Emit("message", text)
//	err = e.Close(ctx)
//
// Its methods may be called from any goroutine and never wait for Redis. Servers of Node hear it too.
type Emitter struct {
	core   *emitterCore
	nsp    string
	target adapter.Selection
}

// emitterCore is what all copies of an Emitter share.
type emitterCore struct {
	client redis.UniversalClient
	lines  *lines
	wire   wire
	box    *outbox
	state  *state
	stats  counters
	max    int // bytes of a message
	stop   context.CancelFunc
	done   chan struct{}
	agrees func(context.Context) error
	ticks  sync.WaitGroup // ends with stop

	mu     sync.Mutex
	filled map[string]time.Time // guarded by mu; rooms that sockets were just put into: servers may not listen to them yet
}

// NewEmitter checks cfg, which must name the same mode, prefix, stream and subscriptions as that of the
// servers, and starts an Emitter for the namespace "/". Close ends it.
func NewEmitter(cfg Config) (*Emitter, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	client, lines, err := newClient(&cfg)
	if err != nil {
		return nil, err
	}
	client, _ = cfg.decide(client)
	cfg.subscribe()
	c := &emitterCore{client: client, lines: lines, box: newOutbox(cfg.MaxOutboxMessages, cfg.MaxOutboxBytes), state: newState(cfg.Logger),
		done: make(chan struct{}), filled: map[string]time.Time{}, max: cfg.MaxMessageBytes, wire: newWire(&cfg, emitterUID)}
	r := newRoster(client, &cfg, emitterUID)
	c.agrees = r.agrees
	p := &publisher{client: client, box: c.box, stats: &c.stats, state: c.state, maxAge: cfg.MaxOutboxAge, maxLen: func(string) int64 { return cfg.MaxStreamLen }}
	if cfg.Mode != Streams {
		p.gate = newGate(client, lines, &cfg, r)
	}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	c.state.uid, c.state.losses = emitterUID, func() map[string]uint64 { return c.stats.losses(lostUnpublished) }
	c.ticks.Go(func() { c.tick(ctx) })
	go func() {
		defer close(c.done)
		p.run(ctx)
	}()
	return &Emitter{core: c, nsp: "/"}, nil
}

// Of returns an Emitter for a namespace, without rooms. A missing leading slash is added.
func (e *Emitter) Of(nsp string) *Emitter {
	if nsp == "" || nsp[0] != '/' {
		nsp = "/" + nsp
	}
	return &Emitter{core: e.core, nsp: nsp}
}

// To returns an Emitter that also selects the sockets in rooms. Of no rooms that is nobody, unless rooms were selected
// before; what selects nobody is not sent.
func (e *Emitter) To(rooms ...string) *Emitter {
	x := *e
	x.target = x.target.To(rooms...)
	return &x
}

// Except returns an Emitter that leaves out the sockets in rooms.
func (e *Emitter) Except(rooms ...string) *Emitter {
	x := *e
	x.target = x.target.Except(rooms...)
	return &x
}

// Volatile returns an Emitter whose events may be dropped where a client is not ready for them.
func (e *Emitter) Volatile() *Emitter {
	x := *e
	x.target.Volatile = true
	return &x
}

// Compress returns an Emitter whose events are compressed, as they are by default, or not.
func (e *Emitter) Compress(compress bool) *Emitter {
	x := *e
	x.target.NoCompress = !compress
	return &x
}

func eventMessage(event string, args []any) (adapter.Message, error) {
	data, attachments, err := packet.AppendEvent(nil, nil, event, args)
	return adapter.Message{Data: data, Attachments: attachments}, err
}

// Emit sends an event to the clients selected.
func (e *Emitter) Emit(event string, args ...any) error {
	if packet.Reserved(event) {
		return fmt.Errorf("redis: %q is a reserved event name", event)
	}
	m, err := eventMessage(event, args)
	if err != nil {
		return err
	}
	return e.send(&message{kind: kindBroadcast, event: m})
}

// SocketsJoin puts the sockets selected into rooms.
func (e *Emitter) SocketsJoin(rooms ...string) error {
	return e.send(&message{kind: kindSocketsJoin, rooms: rooms})
}

// SocketsLeave takes the sockets selected out of rooms.
func (e *Emitter) SocketsLeave(rooms ...string) error {
	return e.send(&message{kind: kindSocketsLeave, rooms: rooms})
}

// DisconnectSockets disconnects the sockets selected, or closes their sessions.
func (e *Emitter) DisconnectSockets(closeSession bool) error {
	return e.send(&message{kind: kindDisconnect, close: closeSession})
}

// ServerSideEmit sends an event to the servers of the namespace.
func (e *Emitter) ServerSideEmit(event string, args ...any) error {
	if packet.ReservedServerSide(event) {
		return fmt.Errorf("redis: event %q is reserved", event)
	}
	m, err := eventMessage(event, args)
	if err != nil {
		return err
	}
	return e.send(&message{kind: kindServerSideEmit, event: m})
}

func (e *Emitter) send(m *message) error {
	if e.target.Nobody() && m.kind != kindServerSideEmit { // which no rooms restrict
		return nil
	}
	m.uid, m.nsp, m.target = emitterUID, e.nsp, e.target.Target
	e.core.widen(m)
	c, err := e.core.wire.encode(m, "")
	if err != nil {
		return fmt.Errorf("%w: %w", errEncode, err)
	}
	return e.core.box.offer(c, e.core.max, &e.core.stats, e.core.state)
}

// tick has it said how the emitter does.
func (c *emitterCore) tick(ctx context.Context) {
	for sleep(ctx, time.Second) {
		if c.stats.published.Load() > 0 {
			c.state.set(PartStart, "", nil)
		}
		c.state.tick()
	}
}

// Stats returns the counters since NewEmitter, of all copies of the Emitter: those of what was to be published.
func (e *Emitter) Stats() Stats {
	s := Stats{Published: e.core.stats.published.Load(), Lost: e.core.stats.losses(lostUnpublished)}
	s.Waiting, s.WaitingBytes = e.core.box.waiting()
	return s
}

// widen has events to a room that sockets were just put into go to all servers, as what is for several rooms does: on the
// channel of a room that is new to them they would be missed, and an emitter cannot be asked for them.
func (c *emitterCore) widen(m *message) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case m.kind == kindSocketsJoin:
		maps.DeleteFunc(c.filled, func(_ string, at time.Time) bool { return now.Sub(at) > young })
		for _, room := range m.rooms {
			c.filled[m.nsp+"\x00"+room] = now
		}
	case m.kind == kindBroadcast && len(m.target.Rooms) == 1:
		room := m.target.Rooms[0]
		if at, ok := c.filled[m.nsp+"\x00"+room]; ok && now.Sub(at) <= young {
			m.target.Rooms = []string{room, room}
		}
	}
}

// LostError is what Emitter.Close returns when messages are lost, or may be, that the Emitter had taken.
type LostError struct {
	Messages uint64            // how many
	Causes   map[string]uint64 // by cause, as in Stats.Lost
	Err      error             // why the Emitter does not work, nil if it does by now
}

func (e *LostError) Error() string {
	text := fmt.Sprintf("redis: messages lost: %d, by cause %v", e.Messages, e.Causes)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *LostError) Unwrap() error { return e.Err }

// lost returns a *LostError if anything is lost that was taken: of what was not, Emit has returned an error.
func (c *emitterCore) lost() error {
	e := &LostError{Causes: c.stats.losses(lostUnpublished)}
	delete(e.Causes, lostNames[lostFull])
	delete(e.Causes, lostNames[lostLarge])
	for _, n := range e.Causes {
		e.Messages += n
	}
	if _, _, e.Err, _ = c.state.get(); e.Err == errStarting {
		e.Err = nil
	}
	if e.Messages == 0 {
		return nil
	}
	return e
}

// Close publishes what waits and ends the Emitter and its copies. It returns the error of ctx when that
// ends first; what waited is lost then. It returns a *LostError when anything is lost that the Emitter has taken since it was made. And it
// returns an error when Beanpole's servers are there and all of them have another mode or stream, so that none has heard anything.
func (e *Emitter) Close(ctx context.Context) error {
	c := e.core
	c.box.close()
	var err error
	select {
	case <-c.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		tctx, cancel := context.WithTimeout(ctx, publishTimeout)
		err = c.agrees(tctx)
		cancel()
	}
	c.stop()
	c.lines.cut()
	<-c.done
	c.ticks.Wait()
	err = errors.Join(err, c.lost())
	if cerr := c.client.Close(); !errors.Is(cerr, redis.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	return err
}
