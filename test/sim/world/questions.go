package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/test/sim/plan"
)

// question is one that a server asks of sockets of the cluster: for acknowledgements, who they are, how many.
type question struct {
	n             *node
	what, about   string
	nsp           string
	rooms, except []string
	from, to      int64 // the call
	err           error
	marks         map[*life]int // of all lives at from
	acks          bool          // it asks the clients
}

// selected is a life as far as a question is concerned.
type selected struct {
	l       *life
	certain bool // it was one of them all the time
	times   int  // that it may be among the answers
}

// ends checks when it ended.
func (q *question) ends(w *world, limit time.Duration) {
	if took := q.to - q.from; took > int64(limit+slack) && !w.stood(q.n, q.from, q.to) {
		w.violated("wait-ends", q.about, "the answers to %s took %s", q.what, time.Duration(took))
	}
}

// selects returns the lives that may be among the answers. Called with mu held.
func (q *question) selects(w *world) (out []selected) {
	for _, l := range w.model.births {
		if l.nsp != q.nsp {
			continue
		}
		x := selected{l: l, certain: l.steady(q.from, q.to)} // one that recovers elsewhere meanwhile may be described by both
		for _, k := range l.conns {
			if k.from <= q.to && (k.closed == 0 || k.closed >= q.from) {
				x.times++
			}
		}
		any := func(is func(string, int64, int64) bool, list []string) bool {
			return slices.ContainsFunc(list, func(r string) bool { return is(r, q.from, q.to) })
		}
		if len(q.rooms) > 0 {
			x.certain = x.certain && any(l.certainly, q.rooms)
			if !any(l.possibly, q.rooms) {
				x.times = 0
			}
		}
		x.certain = x.certain && !any(l.possibly, q.except)
		if any(l.certainly, q.except) {
			x.times = 0
		}
		if x.certain || x.times > 0 {
			out = append(out, x)
		}
	}
	return out
}

// compare checks the answers of sockets, by their ids: those that must be among them when there is no error, those
// that cannot be, and that there is a reason for an error.
func (q *question) compare(w *world, got map[string]int) {
	w.mu.Lock()
	var missing, wrong []string
	what, list := q.what, q.selects(w)
	for _, x := range list {
		switch k := got[x.l.sid]; {
		case k > 1 && k > x.times:
			wrong = append(wrong, fmt.Sprintf("%s %d times", x.l.sid, k))
		case k == 1 && x.times == 0:
			wrong = append(wrong, x.l.sid+" which cannot be")
		case k == 0 && q.due(x):
			missing = append(missing, x.l.sid+" of "+x.l.client.name)
		}
		delete(got, x.l.sid)
	}
	for sid := range got {
		if w.model.lives[sid] != nil {
			wrong = append(wrong, sid+" which cannot be")
		} else {
			wrong = append(wrong, sid+" which nobody knows")
		}
	}
	excused := w.unknown(q)
	w.mu.Unlock()
	slices.Sort(wrong)
	if len(wrong) > 0 {
		w.violated(what+"-right", q.about, "answers of %s", strings.Join(wrong, ", "))
	}
	if len(missing) > 0 && !excused {
		w.violated(what+"-complete", q.about, "no answer of %s, and no error", strings.Join(missing, ", "))
	}
	q.errs(w, list)
}

// due reports whether a life must be among the answers.
func (q *question) due(x selected) bool {
	return x.certain && q.err == nil && !x.l.conn().node.young(q.from) && !q.n.young(q.from)
}

// unknown reports whether who asks may not know that there is another: while servers do not hear each other. Called
// with mu held.
func (w *world) unknown(q *question) bool { return w.model.unwell(q.from-settle-2*second, q.to) }

// errs checks the error: that it is of the kind that is documented, and that there is a reason. list are those who may
// be among the answers.
func (q *question) errs(w *world, list []selected) {
	what, live := q.what, q.n.live()
	w.count(what)
	if q.err == nil {
		return
	}
	w.count(what + " with an error")
	partial, ok := errors.AsType[*adapter.PartialError](q.err)
	if live && (!ok || partial.Nodes == 0 && partial.Clients == 0 && partial.Err == nil) {
		w.violated(what+"-error", q.about, "the error is %v", q.err)
		return
	}
	w.mu.Lock()
	excused, silent := busy || !live || q.n.overflowed(q.err) || w.unknown(q) || w.changing(q.from, q.to), w.model.silent[q.about]
	for _, x := range list {
		excused = excused || q.acks && !x.l.steady(q.from, q.to)
	}
	w.mu.Unlock()
	for _, x := range list {
		excused = excused || q.acks && x.l.client.troubled(q.from, q.to)
	}
	switch {
	case excused:
	case !silent:
		w.violated(what+"-error", q.about, "the error is %v, and nothing is missing", q.err)
	case q.to-q.from < int64(askTimeout):
		w.violated("wait-ends", q.about, "the wait for an answer that is missing ended after %s with %v", time.Duration(q.to-q.from), q.err)
	}
}

// overflowed reports whether a call says that what is to be published did not fit, and the server has counted that.
func (n *node) overflowed(err error) bool {
	return errors.Is(err, adapter.ErrDegraded) && n.full()
}

// change is how long a server that comes or goes may be the reason for an answer that is missing.
const change = 20 * second

// changing reports whether servers came or went by a time from a to b, or not long before. Called with mu held.
func (w *world) changing(a, b int64) bool {
	return slices.ContainsFunc(w.all, func(n *node) bool {
		return n.from > second && n.from > a-change && n.from < b || n.gone != 0 && n.gone > a-change && n.gone < b
	})
}

// asks makes a question begin.
func (d *driver) asks(n *node, what, nsp string, rooms, except []string) *question {
	w := d.w
	w.mu.Lock()
	defer w.mu.Unlock()
	q := &question{n: n, what: what, nsp: nsp, rooms: rooms, except: except, from: w.now(), marks: map[*life]int{}}
	for _, l := range w.model.births {
		q.marks[l] = l.mark
	}
	q.about = fmt.Sprintf("%s %s %d", n.name, what, q.from)
	w.line(n.name, fmt.Sprintf("%s %d %s %v except %v", what, q.from, nsp, rooms, except))
	return q
}

// ended notes that it has ended.
func (q *question) ended(w *world, answers int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q.to, q.err = w.now(), err
	w.line(q.n.name, fmt.Sprintf("%s has %d answers err=%v", q.about, answers, err))
}

// askAll broadcasts and waits for the acknowledgements.
func (d *driver) askAll(n *node, nsp string, rooms, except []string) {
	w := d.w
	// Each is a source of its own: the calls wait beside each other, so there is no order between them.
	e := w.emit(fmt.Sprintf("%s?%d", n.name, w.now()/1000), n, emission{nsp: nsp, kind: "ask all", rooms: rooms, except: except, ack: true,
		event: "q", args: []any{1}})
	answers, err := n.io.askAll(nsp, rooms, except, e.id())
	w.emitted(e, err)
	q := &question{n: n, what: "acks", about: e.id(), nsp: nsp, rooms: rooms, except: except, from: e.from, to: e.to, err: err, acks: true}
	q.ends(w, askTimeout)
	got := map[string]int{}
	for _, text := range answers {
		if !strings.HasPrefix(text, e.id()+"|") {
			w.violated("ack-match", e.id(), "one acknowledgement is %s", text)
			continue
		}
		got[strings.TrimPrefix(text, e.id()+"|")]++
	}
	q.compare(w, got)
}

// found is a socket as a server of the cluster describes it.
type found struct {
	id    string
	rooms []string
	mark  int // that its data has
}

// query asks the cluster who is there.
func (d *driver) query(n *node, nsp string, rooms, except []string) {
	w := d.w
	q := d.asks(n, "queries", nsp, rooms, except)
	list, err := n.io.fetch(nsp, rooms, except)
	q.ended(w, len(list), err)
	q.ends(w, fetchTimeout)
	got := map[string]int{}
	for _, x := range list {
		got[x.id]++
		q.describes(w, x)
	}
	q.compare(w, got)
}

// describes checks that a socket is described as it was.
func (q *question) describes(w *world, x found) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.model.lives[x.id]
	if l == nil || !l.steady(q.from, q.to) {
		return
	}
	for _, s := range l.stays {
		if l.certainly(s.room, q.from, q.to) && !slices.Contains(x.rooms, s.room) {
			w.violate("queries-right", q.about, "%s is in %s, and described as in %v", x.id, s.room, x.rooms)
		}
	}
	for _, room := range x.rooms {
		if room != l.sid && !ofServer(room) && !l.possibly(room, q.from, q.to) {
			w.violate("queries-right", q.about, "%s is not in %s, and described as in %v", x.id, room, x.rooms)
		}
	}
	// A handler notes the mark before it sets it.
	before := q.marks[l]
	if older := w.plan.Has(plan.Failover); !older && (x.mark > l.mark || x.mark < before-1) {
		w.violate("queries-right", q.about, "the data of %s has %d, and should have %d to %d", x.id, x.mark, before, l.mark)
	}
	w.counts["sockets described"]++
}

// tally asks the cluster how many are there.
func (d *driver) tally(n *node, nsp string, rooms, except []string) {
	w := d.w
	q := d.asks(n, "queries", nsp, rooms, except)
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	k, err := n.io.tally(ctx, nsp, rooms, except)
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	q.ended(w, k, err)
	q.ends(w, fetchTimeout)
	w.mu.Lock()
	w.counts["queries: how many"]++
	list := q.selects(w)
	least, most := 0, 0
	for _, x := range list {
		most += x.times
		if q.due(x) {
			least++
		}
	}
	excused := w.unknown(q)
	w.mu.Unlock()
	if k > most || k < least && !excused {
		w.violated("queries-right", q.about, "%d sockets are counted, and there are %d to %d", k, least, most)
	}
	q.errs(w, list)
}
