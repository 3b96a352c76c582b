package main

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// The times the checker allows for.
const (
	second = int64(time.Second)
	// settle is how long an event takes at most between two nodes that are well.
	settle = 3 * second
	// listening is how long events to a room that had no member on a server may be overtaken there. Source: docs/promises.md.
	listening = 5 * second
)

// received notes an event that a client got, and checks what can be checked at once.
func (w *world) received(l *life, id string) {
	w.mu.Lock()
	at := w.now()
	e := w.model.find(id)
	w.line(l.client.name, "got "+id)
	w.counts["received"]++
	if e == nil {
		w.mu.Unlock()
		w.violated("addressed", l.client.name, "got %s, which nobody has emitted", id)
		return
	}
	list := l.got[e.src]
	again := l.seen[e]
	var last *emission
	if len(list) > 0 {
		last = list[len(list)-1].e
	}
	l.seen[e] = true
	if !again {
		l.got[e.src] = append(list, receipt{e, at})
	}
	why := l.may(e, at)
	if again && e.ack && slices.ContainsFunc(l.conns, func(k *conn) bool { return k.open > e.from }) {
		// It moved to another server before the question came there: not promised.
		w.counts["question twice after a recovery"]++
		again, last = false, nil
	}
	if last != nil && last.n > e.n && w.overtakes(l, receipt{last, at}, e) {
		w.counts["out of order in trouble"]++
		last = nil
	}
	w.mu.Unlock()
	w.local(l, e, at)
	switch {
	case again:
		w.violated("once", e.id(), "%s (%s) got it twice", l.client.name, l.sid)
	case last != nil && last.n > e.n:
		w.violated("order", e.id(), "%s (%s) got it after %s", l.client.name, l.sid, last.id())
	}
	if why != "" {
		w.violated("addressed", e.id(), "%s (%s) got it though it is %s: %s", l.client.name, l.sid, why, e)
	}
}

// deliveries checks, when all is quiet, that nothing is missing: whoever got an event of a source has got those
// before that it must have, and whoever is still connected has got all.
func (w *world) deliveries(quiet int64) {
	w.mu.Lock()
	type miss struct {
		l     *life
		e     *emission
		after string
	}
	var missed []miss
	lost := losses{}
	for _, l := range w.model.births {
		for _, s := range w.model.order {
			got := slices.Clone(l.got[s]) // in trouble they may have come in another order
			slices.SortFunc(got, func(a, b receipt) int { return a.e.n - b.e.n })
			i := 0
			for _, e := range s.events {
				for i < len(got) && got[i].e.n < e.n {
					i++
				}
				if i < len(got) && got[i].e == e || l.seen[e] { // behind later ones: received has judged that
					w.counts["due"]++
					continue
				}
				var until int64
				after := "the end"
				next := i // what came though e did not
				for next < len(got) && w.overtakes(l, got[next], e) {
					next++
				}
				switch {
				case next < len(got):
					until, after = got[next].at, got[next].e.id()
				case l.over == 0 && l.conn() != nil && l.conn().shaky == 0 && l.conn().told != 0 && !s.node.killed():
					until = quiet
				default:
					continue // it, or who emitted, is gone
				}
				if !l.must(e, until) {
					continue
				}
				switch ok, counted := w.excused(l, e, until); {
				case !ok:
					missed = append(missed, miss{l, e, after})
				case counted && w.plan.Streams():
					lost.add(nil, s.node, e)
				case counted:
					lost.add(l.conn().node, s.node, e)
				}
			}
		}
	}
	short := lost.check(w)
	w.mu.Unlock()
	for _, x := range short {
		by := "others"
		if x.by != nil {
			by = x.by.name
		}
		w.violated("delivery", x.e.id(), "clients of %s missed %d events of %s, of which %d were counted, this one first: %s", by, x.lost, x.of.name, x.counted, x.e)
	}
	w.givenUp()
	for _, m := range missed {
		w.violated("delivery", m.e.id(), "%s (%s) never got it, but %s: %s", m.l.client.name, m.l.sid, m.after, m.e)
	}
}

// overtakes reports whether what l got may come before e, which was emitted before: where a server listens to the channels
// of rooms, one may come by way of another master of Redis, and in trouble what one room missed is asked for while another
// goes on. Called with mu held.
func (w *world) overtakes(l *life, got receipt, e *emission) bool {
	return w.plan.Redis() && !w.plan.Streams() && e.lane() != got.e.lane() && slices.ContainsFunc(l.conns, func(c *conn) bool {
		return c.node.dynamic && c.node != e.src.node && (w.plan.Masters > 1 || w.model.troubled(e.from-settle, got.at) || w.model.fresh(c.node, e))
	})
}

// fresh reports whether e is for one room, in which nobody on a server has been for as long as that may have listened to
// others before it. Called with mu held.
func (m *model) fresh(n *node, e *emission) bool {
	room := e.only
	if len(e.rooms) == 1 && room == "" {
		room = e.rooms[0]
	}
	return room != "" && !slices.ContainsFunc(m.births, func(l *life) bool {
		return l.nsp == e.nsp && l.certainly(room, e.from-listening, e.from) && l.on(n, e.from-listening, e.from)
	})
}

// excused reports whether e may be lost, and whether some server must have counted that. Called with mu held.
func (w *world) excused(l *life, e *emission, until int64) (ok, counted bool) {
	if !w.plan.Redis() || l.on(e.src.node, e.from, until) {
		return false, false // nothing between the two but memory
	}
	m := &w.model
	if e.ack && e.err != nil {
		return true, false // the error says that others could not be asked
	}
	if errors.Is(e.err, adapter.ErrDegraded) {
		return true, true // who emitted it was told
	}
	if slices.ContainsFunc(l.conns, func(c *conn) bool { return c.node.hears == 0 && c.node.young(e.from) }) {
		return true, false // its node did not hear the others yet
	}
	if w.plan.Streams() && !e.ack { // the stream keeps it, unless Redis has lost the stream
		if slices.ContainsFunc(m.wiped, func(at int64) bool { return at >= e.from-settle && at <= until }) || m.gone(e.from, e.to) {
			return true, false
		}
		return m.troubled(e.from-settle, e.to+settle), true
	}
	if e.src.node.forgets && !e.ack && slices.ContainsFunc(l.conns, func(c *conn) bool { return c.node.dynamic && m.fresh(c.node, e) }) {
		return true, true // what comes before a server listens to a new room it asks for, and that is kept no more
	}
	// Where a connection broke, servers ask each other for what is missing; not for what clients are asked as well,
	// whose answer may be too late, nor for what the one who has it takes to its grave. What they miss is counted.
	return m.troubled(e.from-settle, min(until, e.to+settle)), !e.ack
}

// recovery checks that a client which asked for its connection state got it, or that there is a reason.
func (w *world) recovery(l *life, n *node, now int64, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := l.conn()
	cause := ""
	gone := now
	if c != nil {
		if c.closed != 0 {
			gone = c.closed
		} else if c.shaky != 0 {
			gone = c.shaky
		}
	}
	switch {
	case l.over != 0:
		cause = l.why
	case c != nil && c.node.killed():
		cause = "its node was killed"
	case !w.plan.Redis() && c != nil && c.node != n:
		cause = "in the memory of another server"
	case now-gone > int64(w.maxAway())-second:
		cause = "too late"
	case slices.ContainsFunc(w.model.wiped, func(at int64) bool { return at > l.conns[0].from-second }):
		cause = "redis lost it"
	case c != nil && l.nsp != "/" && c.node.library != n.library:
		cause = "let in by another kind of server"
	case c != nil && c.closed == 0 && c.blocks > now-second/2: // the state is saved behind its last handler
		cause = "its handlers still ran"
	case w.model.gone(gone, now):
		cause = "a failover lost it"
	case c != nil && c.node.forgets && c.node.full(): // the state had no room there, which is said and counted
		cause = "its server's outbox was full"
	case c != nil && l.putOut > c.from:
		cause = "disconnected by a server while it came back"
	case c != nil && c.kicked:
		cause = "disconnected by a handler behind its end"
	case c != nil && c.closed != 0 && final[c.reason]:
		cause = "ended by " + c.reason
	default:
		cause = w.beyond(l, n, now)
	}
	w.counts["refused"]++
	if why == nil {
		w.violate("recovery", l.client.name, "the state of %s was not recovered, and no error says why", l.sid)
	}
	if cause != "" {
		w.counts["refused: "+cause]++
		return
	}
	if w.model.away(gone-settle, now) {
		w.counts["refused: redis in trouble"]++
		w.counts["refused: redis in trouble: "+strings.TrimPrefix(errText(why), "session not recovered: ")]++
		w.line("CHECK", "recovery refused while redis was in trouble: "+errText(why))
		return
	}
	if w.model.unwell(gone-settle, now) {
		w.counts["refused: a server stood still"]++
		return
	}
	w.mu.Unlock()
	w.violated("recovery", l.client.name, "the state of %s was not recovered: %v", l.sid, why)
	w.mu.Lock()
}

// final are the reasons after which a client cannot recover. Source: server/errors.go, recoverable.
var final = map[string]bool{"client namespace disconnect": true, "server namespace disconnect": true, "parse error": true}

func errText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}
