package redis

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// keeper keeps what a process publishes, a server or an emitter, for servers that miss it: it numbers it, says where its
// lanes end, there and in Redis, and answers who asks.
type keeper struct {
	// Set by newKeeper and start, then read only.
	cfg     *Config
	uid     string
	box     *outbox
	bus     *bus
	wire    wire
	ctx     context.Context // the lifetime of the cluster
	op      op              // publishes letters
	tells   tellKind        // which of them say where lanes end
	channel string          // prefix of the channels of letters
	letters subscription    // on which questions come, and answers
	rings   rings
	servers func(context.Context) []string // that live, as far as is known, or may only have been away
	ended   func(ending)                   // takes in where a lane ends; nil if nobody here has to know
	work    chan struct{}                  // holds one token when there is something to do

	record    *record
	saving    atomic.Bool // the record is being written
	unsavable atomic.Bool // Redis refuses it

	heard chan struct{} // holds one token when something has come into had
	mu    sync.Mutex
	had   map[string]bool // guarded by mu; servers that miss nothing, as this process ends
}

// newKeeper makes the keeper of the process uid, whose outbox numbers what it takes from now on.
func newKeeper(ctx context.Context, cfg *Config, uid string, w wire, box *outbox, b *bus) *keeper {
	k := &keeper{cfg: cfg, uid: uid, box: box, bus: b, wire: w, ctx: ctx, op: opPublish, tells: tellTails, channel: cfg.Prefix + "-beanpole#",
		work: make(chan struct{}, 1), heard: make(chan struct{}, 1), record: newRecord(b.client, cfg, uid)}
	if isEmitter(uid) {
		k.tells = tellEmitted
	}
	kind := subChannel
	if b.sharded {
		kind, k.op = subShard, opSPublish
	}
	k.letters = subscription{kind, k.own(uid)}
	k.rings = rings{"": newRing(cfg.MaxResendBytes, cfg.MaxResendAge)}
	if streams := cfg.streams(); len(streams) > 0 { // then little goes over channels
		few := cfg.MaxResendBytes / 8
		k.rings[""].maxBytes = few
		for _, name := range streams {
			k.rings[name] = newRing((cfg.MaxResendBytes-few)/len(streams), cfg.MaxResendAge)
		}
	}
	for _, r := range k.rings {
		r.wake = k.wake
		if isEmitter(uid) {
			r.emitter = uid
		}
	}
	box.stamp = k.rings.stamp
	return k
}

func (k *keeper) wake() {
	select {
	case k.work <- struct{}{}:
	default:
	}
}

// run does what is due by sweep, as long as there is anything, until the cluster ends.
func (k *keeper) run(sweep func(time.Time) (more bool)) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		if !sweep(time.Now()) {
			t.Stop()
			select {
			case <-k.work:
				t.Reset(sweepEvery)
			case <-k.ctx.Done():
				return
			}
		}
		select {
		case <-t.C:
		case <-k.ctx.Done():
			return
		}
	}
}

// sweep says where lanes end, and reports whether there will be more to say.
func (k *keeper) sweep(now time.Time) (more bool) {
	list, more := k.rings.ends(now, dynamic(k.wire), maxTails)
	for _, t := range list {
		if k.ended != nil {
			k.ended(t)
		}
	}
	for list := range lettersOf(list, ending.lane) {
		l := newLetter(k.tells, k.uid)
		l.tails(list)
		k.send("tails", l, nil)
	}
	return k.save() || more
}

// dynamic reports whether servers listen to the channels of rooms.
func dynamic(w wire) bool {
	_, ok := w.room("/", "", false)
	return ok
}

// mixed reports whether servers of Node hear a namespace.
func (k *keeper) mixed(ctx context.Context, nsp string) (bool, error) {
	first, peers := k.wire.channels(nsp)[0].name, k.cfg.peers(nsp)
	counts, err := k.bus.subscribers(ctx, []string{first, peers})
	return counts[first] > counts[peers], err
}

// reply takes a question of a server, the letter behind its kind and sender.
func (k *keeper) reply(uid string, l *letter) {
	id := l.readUint()
	for _, w := range l.readWants() {
		k.answer(uid, id, w)
	}
}
