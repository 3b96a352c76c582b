package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	bus    *bus // on which servers ask for what they miss
	keeper *keeper
	roster *roster
	state  *state
	stats  counters
	max    int                // bytes of a message
	cancel context.CancelFunc // ends all goroutines but the publisher
	stop   context.CancelFunc // ends the publisher
	done   chan struct{}      // closed when that has ended
	wg     sync.WaitGroup
	closed atomic.Bool

	mu   sync.Mutex
	seen map[string]time.Time // guarded by mu; servers, and when each was last in the list
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
	uid := emitterPrefix + newID()
	c := &emitterCore{client: client, lines: lines, box: newOutbox(cfg.MaxOutboxMessages, cfg.MaxOutboxBytes), state: newState(cfg.Logger),
		done: make(chan struct{}), max: cfg.MaxMessageBytes, wire: newWire(&cfg, uid), roster: newRoster(client, &cfg, uid)}
	c.state.uid, c.state.losses = uid, func() map[string]uint64 { return c.stats.losses(lostUnpublished) }
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	c.bus = newBus(ctx, &c.wg, client, lines, &cfg, &c.stats, c.state)
	c.keeper = newKeeper(ctx, &cfg, uid, c.wire, c.box, c.bus)
	c.keeper.servers = c.servers
	c.bus.last = c.keeper.letters
	c.bus.add(c.keeper.letters, receiverFunc(c.letter))
	c.wg.Go(func() { c.keeper.run(c.keeper.sweep) })
	c.wg.Go(func() { c.tick(ctx, cfg.HeartbeatInterval) })
	p := &publisher{client: client, box: c.box, keeper: c.keeper, stats: &c.stats, state: c.state, maxAge: cfg.MaxOutboxAge, maxLen: func(string) int64 { return cfg.MaxStreamLen }}
	var publishing context.Context
	publishing, c.stop = context.WithCancel(context.Background())
	go func() {
		defer close(c.done)
		p.run(publishing)
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
	if e.core.closed.Load() {
		return ErrClosed
	}
	m.uid, m.nsp, m.target = emitterUID, e.nsp, e.target.Target
	c, err := e.core.wire.encode(m, "")
	if err != nil {
		return fmt.Errorf("%w: %w", errEncode, err)
	}
	return e.core.box.offer(c, e.core.max, &e.core.stats, e.core.state)
}

// tick has it said how the emitter does, forgets what is too old, and has the subscription stand where it should.
func (c *emitterCore) tick(ctx context.Context, interval time.Duration) {
	looked := time.Now()
	for sleep(ctx, min(time.Second, interval)) {
		if c.stats.published.Load() > 0 {
			c.state.set(PartStart, "", nil)
		}
		c.state.tick()
		c.keeper.rings.tick(time.Now())
		if time.Since(looked) >= interval {
			c.bus.settle(ctx, false, nil)
			c.servers(ctx)
			looked = time.Now()
		}
	}
}

// letter takes a letter of a server, which asks for what it misses.
func (c *emitterCore) letter(_ string, payload []byte) {
	switch kind, uid, l := openLetter(payload); {
	case l == nil:
	case kind == tellQuestion:
		c.keeper.reply(uid, l)
	case kind == tellHad:
		c.keeper.hears(uid)
	}
}

// Stats returns the counters since NewEmitter, of all copies of the Emitter: those of what was to be published.
func (e *Emitter) Stats() Stats {
	s := Stats{Published: e.core.stats.published.Load(), Lost: e.core.stats.losses(lostUnpublished)}
	s.Waiting, s.WaitingBytes = e.core.box.waiting()
	return s
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

// Close publishes what waits, answers servers until they miss nothing, for five seconds and half of ctx's time at most, and
// ends the Emitter and its copies. It returns the error of ctx when that ends before all is published; what waited is lost then.
// It returns a *LostError when anything is lost that the Emitter has taken since it was made. And it returns an error when
// Beanpole's servers are there and all of them have another mode or stream, so that none has heard anything.
func (e *Emitter) Close(ctx context.Context) error {
	c := e.core
	var err error
	if !c.closed.Swap(true) && c.keeper.out(ctx) {
		if err = c.roster.agrees(ctx); err == nil {
			c.keeper.linger(ctx)
		}
	}
	c.box.close()
	select {
	case <-c.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.stop()
	c.cancel()
	c.lines.cut()
	<-c.done
	err = errors.Join(err, c.lost())
	if cerr := c.client.Close(); !errors.Is(cerr, redis.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	c.wg.Wait()
	return err
}
