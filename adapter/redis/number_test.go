package redis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// A number comes through in every form of a message, the message means the same with it, and what has none is
// seen to have none.
func TestNumber(t *testing.T) {
	want := serial{n: 1<<52 + 3, whole: spot{1 << 40, 77}, own: spot{9, 1}}
	const emitter = emitterPrefix + nodeUID
	event := adapter.Message{Data: []byte(`["e",{"bp":[1,2,3,4,5]}]`)}
	binary := adapter.Message{Data: []byte(`["e",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2, 0xcf, 0x95}}}
	for form, w := range wires(nodeUID) {
		if form == "streams" || form == "emitter" {
			continue
		}
		for _, m := range []message{
			{kind: kindBroadcast, event: event, target: adapter.Target{Rooms: []string{"r"}}},
			{kind: kindBroadcast, event: binary},
			{kind: kindBroadcast, event: binary, request: "q"},
			{kind: kindServerSideEmit, event: event},
			{kind: kindServerSideEmit, event: binary},
			{kind: kindSocketsJoin, rooms: []string{"a"}},
			{kind: kindDisconnect, close: true},
		} {
			t.Run(fmt.Sprint(form, m.kind, len(m.event.Attachments), m.request), func(t *testing.T) {
				m.uid, m.nsp = nodeUID, "/chat"
				c, err := w.encode(&m, "")
				if err != nil || !c.numbered {
					t.Fatalf("%+v, %v", c, err)
				}
				if _, _, ok := readNumber(c.data); ok {
					t.Errorf("a number in %q", c.data)
				}
				plain, err := wires("another")[form].decode("/chat", c.key, c.data, member())
				if err != nil {
					t.Fatal(err)
				}
				plain.uid = "" // each has another
				for sender, x := range map[string]struct{ uid, emitter string }{nodeUID: {nodeUID, ""}, emitter: {emitterUID, emitter}} {
					m.uid = x.uid
					c, err := w.encode(&m, "")
					if err != nil {
						t.Fatal(err)
					}
					c.data = appendNumber(c.data, &want, x.emitter)
					uid, got, ok := readNumber(c.data)
					if string(uid) != sender || got != want || !ok {
						t.Errorf("number of %q: %q, %+v, %v", c.data, uid, got, ok)
					}
					again, err := wires("another")[form].decode("/chat", c.key, c.data, member())
					if err != nil {
						t.Fatal(err)
					}
					if again.uid = ""; fmt.Sprintf("%+v", *again) != fmt.Sprintf("%+v", *plain) {
						t.Errorf("with a number %+v; without %+v", again, plain)
					}
				}
			})
		}
	}
	for _, g := range readGolden(t) {
		if _, _, ok := readNumber(g.Payload); ok {
			t.Errorf("a number in %s of Node", g.Name)
		}
	}
}

// pipe is a ring and what a node that missed some of it makes of the lanes.
type pipe struct {
	ring *ring
	gaps map[laneKey]*gap
	got  map[laneKey][]uint64
	lost map[laneKey]uint64
}

func (p *pipe) ask(key laneKey) {
	g := p.gaps[key]
	for range 1000 {
		x := p.ring.after(key, g.last, time.Time{}, 500)
		l := newLetter(tellAnswer, "x")
		l.piece(1, &x)
		_, _, l = openLetter(l.b)
		_, x, list := l.readPiece()
		_, lost := g.answered(&x, list, p.deliver(key))
		p.lost[key] += lost
		if !g.open() {
			return
		}
	}
	panic("no end")
}

func (p *pipe) deliver(key laneKey) func(arrival) {
	return func(a arrival) { p.got[key] = append(p.got[key], a.n) }
}

// Whatever is lost, doubled or late on the way: each lane brings everything once and in order, but for what its
// sender keeps no more, and that is counted.
func TestGaps(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		p := &pipe{ring: newRing(1<<20, time.Hour), gaps: map[laneKey]*gap{}, got: map[laneKey][]uint64{}, lost: map[laneKey]uint64{}}
		if seed%2 == 0 {
			p.ring.maxBytes = 20 * (keptCost + 100)
		}
		keys := []laneKey{{"/", wholeLane}, {"/", mainLane}, {"/", "a"}, {"/", "b"}}
		sent := map[laneKey]int{}
		for _, key := range keys {
			p.gaps[key] = &gap{known: true}
		}
		var late []func()
		for range 300 {
			key := keys[1+rng.IntN(3)]
			c := &command{at: time.Now(), nsp: "/", lane: key.lane, key: "channel", data: []byte(`{"uid":"x"}`), numbered: true}
			p.ring.stamp(c)
			p.ring.handed(c)
			_, x, ok := readNumber(c.data)
			if !ok {
				t.Fatalf("no number in %q", c.data)
			}
			for _, k := range []laneKey{keys[0], key} {
				sent[k]++
				arrive := func() { p.gaps[k].accept(arrival{x.n, *x.in(k.lane), "channel", c.data}, p.deliver(k)) }
				switch rng.IntN(6) {
				case 0: // lost
				case 1:
					late = append(late, arrive)
				case 2:
					arrive()
					arrive()
				default:
					arrive()
				}
			}
			if rng.IntN(20) == 0 {
				for _, fn := range late {
					fn()
				}
				late = nil
				p.ask(keys[rng.IntN(4)])
			}
		}
		for _, key := range keys {
			p.ask(key)
			got := p.got[key]
			if len(got)+int(p.lost[key]) != sent[key] || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("seed %d, lane %q: %d of %d, %d counted as lost: %v", seed, key.lane, len(got), sent[key], p.lost[key], got)
			}
			if seed%2 == 1 && p.lost[key] > 0 {
				t.Errorf("seed %d, lane %q: %d lost", seed, key.lane, p.lost[key])
			}
		}
	}
}

// What a node could not publish, and has counted, nobody asks for or counts again.
func TestDroppedIsNotMissed(t *testing.T) {
	p := &pipe{ring: newRing(1<<20, time.Hour), gaps: map[laneKey]*gap{}, got: map[laneKey][]uint64{}, lost: map[laneKey]uint64{}}
	key := laneKey{"/", wholeLane}
	p.gaps[key] = &gap{known: true}
	for i := range 10 {
		c := &command{at: time.Now(), nsp: "/", key: "channel", data: []byte(`{"uid":"x"}`), numbered: true, fleeting: i == 7}
		p.ring.stamp(c)
		if i%2 == 0 {
			p.ring.drop(c)
		} else {
			p.ring.handed(c)
		}
	}
	p.ask(key)
	if got := p.got[key]; !slices.Equal(got, []uint64{2, 4, 6, 10}) || p.lost[key] != 0 {
		t.Errorf("got %v, %d lost", got, p.lost[key])
	}
}

// What comes of a lane while its sender is asked for more of it is delivered, though it was put into the sender's queue
// before the time that is asked for: it waited there until this node listened. So is what is missing between.
func TestWhatCameBeforeTheAnswer(t *testing.T) {
	p := &pipe{ring: newRing(1<<20, time.Hour), gaps: map[laneKey]*gap{}, got: map[laneKey][]uint64{}, lost: map[laneKey]uint64{}}
	key, start := laneKey{"/", "a"}, time.Now()
	g := &gap{doubt: 1}
	p.gaps[key] = g
	for i := range 8 {
		c := &command{at: start.Add(time.Duration(i) * time.Second), nsp: "/", lane: "a", key: "channel", data: []byte(`{"uid":"x"}`), numbered: true}
		p.ring.stamp(c)
		p.ring.handed(c)
		_, x, _ := readNumber(c.data)
		if i == 2 || i == 4 { // those before are from before this node listened, the others are lost
			g.accept(arrival{x.n, x.own, "channel", c.data}, p.deliver(key))
		}
	}
	x := p.ring.after(key, 0, start.Add(5500*time.Millisecond), 1<<20)
	l := newLetter(tellAnswer, "x")
	l.piece(1, &x)
	_, _, l = openLetter(l.b)
	_, x, list := l.readPiece()
	_, lost := g.answered(&x, list, p.deliver(key))
	p.lost[key] += lost
	g.doubt = 0
	if p.ask(key); !slices.Equal(p.got[key], []uint64{3, 4, 5, 6, 7, 8}) || p.lost[key] != 0 {
		t.Errorf("got %v, %d lost", p.got[key], p.lost[key])
	}
}

// Lanes that are asked by themselves have their turns, though nobody answers one of them, as when its node was killed.
func TestTurnOfASilentLaneEnds(t *testing.T) {
	b, at := &inbox{}, time.Now()
	silent, other := &gap{cuts: 1}, &gap{cuts: 1}
	for step, x := range []struct {
		g    *gap
		turn bool
	}{{silent, true}, {other, false}, {silent, true}, {other, false}, {silent, true}, {other, true}, {silent, false}, {other, true}} {
		if now := at.Add(time.Duration(step) * turnLasts / 5); b.turn(x.g, now) != x.turn {
			t.Errorf("step %d: turn is %v", step, !x.turn)
		}
	}
}

// TestNamespacesOfASourceAreForgotten: what is known of another node's namespaces goes with its lanes in them.
func TestNamespacesOfASourceAreForgotten(t *testing.T) {
	c := &Cluster{bus: &bus{}, members: &members{peers: map[string]*peer{"other": {}}}}
	b, s := &inbox{keeper: &keeper{}, c: c}, &source{uid: "other", gaps: map[laneKey]*gap{}}
	for _, key := range []laneKey{{"/stays", mainLane}, {"/stays", "room"}, {"/goes", mainLane}, {"/goes", "room"}} {
		s.gap(key, 1)
	}
	now := time.Now()
	for key, g := range s.gaps {
		if key != (laneKey{"/stays", mainLane}) {
			g.used = now.Add(-2 * forgetAfter)
		}
	}
	b.sweepSource(s, now, &now)
	if !s.has("/stays") || s.has("/goes") || len(s.gaps) != 1 {
		t.Errorf("/stays %v, /goes %v, %d lanes", s.has("/stays"), s.has("/goes"), len(s.gaps))
	}
}

// FuzzNumber: whatever comes has a number, of somebody, or none.
func FuzzNumber(f *testing.F) {
	x := serial{n: 7, whole: spot{6, 7}, own: spot{5, 6}}
	for _, of := range []string{"", emitterPrefix + nodeUID} {
		f.Add(appendNumber([]byte(`{"uid":"emitter","nsp":"/"}`), &x, of))
		f.Add(appendNumber([]byte("\x93\xa7emitter\xc0\xc0"), &x, of))
		f.Add(appendNumber([]byte("\x81\xa3uid\xa7emitter"), &x, of))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		uid, x, ok := readNumber(payload)
		if sender, known := readSender(payload); ok && (!known || x.n == 0 || !isEmitter(uid) && string(uid) != string(sender)) {
			t.Errorf("%q: %q, %+v", payload, uid, x)
		}
	})
}
