package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/test/sim/plan"
)

// hello is the auth payload of the simulation's clients.
type hello struct {
	Client string   `json:"client"`
	Conn   int      `json:"conn"`
	Rooms  []string `json:"rooms"`
	PID    string   `json:"pid"`
}

// connected is the connection handler of every namespace. From from on, if it is known, the socket may have been a member.
func (n *node) connected(s member, from int64) {
	w := n.w
	h, err := s.hello()
	recovered, why := s.recovered()
	if err != nil {
		w.violated("protocol", n.name, "auth payload: %v", err)
		return
	}
	c := w.client(h.Client)
	w.mu.Lock()
	if n.dead { // and nobody hears of it
		w.mu.Unlock()
		return
	}
	at := w.now()
	l := w.model.lives[s.id()]
	k := &conn{node: n, sock: s, number: h.Conn, from: at - second, open: at}
	if from != 0 && !recovered {
		k.from = from
	}
	w.line(n.name, fmt.Sprintf("connection %s %s of %s recovered=%v why=%v rooms=%v", s.nsp(), s.id(), h.Client, recovered, why, s.rooms()))
	switch {
	case recovered && l == nil:
		w.mu.Unlock()
		w.violated("recovery", h.Client, "recovered as %s, which never was", s.id())
		return
	case recovered && l.client != c:
		w.mu.Unlock()
		w.violated("recovery", h.Client, "recovered as %s, which is %s", s.id(), l.client.name)
		return
	case !recovered && l != nil && len(l.conns) > 0:
		w.mu.Unlock()
		w.violated("ids", h.Client, "%s is the id of two sockets", s.id())
		return
	case l == nil:
		l = w.birth(s.id(), s.nsp(), c)
	case recovered:
		l.unsettle(at)
		w.counts["recovered"]++
		w.tooLate(l, at)
		unheard := l.why == "left by the client" && l.conn() != nil && l.conn().reason != "client namespace disconnect" // it was on its way
		if l.over != 0 && l.why != "its node was killed" && !unheard && !w.plan.Has(plan.Failover) {                    // likewise
			w.mu.Unlock()
			w.violated("recovery", h.Client, "recovered %s, which had ended: %s", s.id(), l.why)
			w.mu.Lock()
		}
		l.over = 0
	}
	if got := s.marked(); recovered && got != l.mark && !w.plan.Has(plan.Failover) { // which brings back an older state
		want := l.mark
		w.mu.Unlock()
		w.violated("recovery", h.Client, "the data of %s has %d, and should have %d", l.sid, got, want)
		w.mu.Lock()
	}
	w.putOutOf(l, k, recovered)
	k.told = l.early[h.Conn]
	l.conns = append(l.conns, k)
	number := len(l.conns)
	w.mu.Unlock()
	if !recovered {
		if h.PID != "" {
			if old := c.formerLife(l.nsp, h.Conn); old != nil && old.sid != l.sid {
				w.recovery(old, n, at, why)
			}
		}
		if !n.library {
			w.mu.Lock()
			l.stays = append(l.stays, &stay{room: early, in0: k.from, in1: at})
			w.mu.Unlock()
		}
		for _, room := range h.Rooms {
			joined := w.join(l, k, room)
			s.join(room)
			joined()
		}
	}
	x := &served{w: w, n: n, s: s, l: l, k: k, src: fmt.Sprintf("%s.%s.%d", n.name, s.id(), number),
		rng: w.rng("handlers " + h.Client + l.nsp + strconv.Itoa(h.Conn))}
	w.mu.Lock()
	k.served = x
	w.mu.Unlock()
	x.register()
	if !recovered {
		x.emit("ready") // the client can count on being in its rooms
	}
}

// served is one connection as its handlers see it.
type served struct {
	w    *world
	n    *node
	s    member
	l    *life
	k    *conn
	src  string
	rng  interface{ IntN(int) int }
	last int  // the number of the last event of the client
	busy bool // a handler runs
	gone bool
}

func (x *served) register() {
	s := x.s
	s.onUp(func(n int, v any) []any {
		defer x.turn("up")()
		up := x.takes("up", n, v)
		x.w.mu.Lock()
		x.l.mark++
		mark := x.l.mark
		x.w.mu.Unlock()
		s.mark(mark)
		before := ""
		if x.rng.IntN(3) == 0 {
			before = x.emit("answer")
		}
		if x.rng.IntN(2) == 0 {
			v = nil
		}
		return x.answers(up, n, before, v)
	})
	s.onRoom("join", func(n int, room string) []string {
		defer x.turn("join")()
		join := x.takes("join", n, room)
		joined := x.w.join(x.l, x.k, room)
		s.join(room)
		joined()
		return x.answers(join, x.rooms())[0].([]string)
	})
	s.onRoom("leave", func(n int, room string) []string {
		defer x.turn("leave")()
		leave := x.takes("leave", n, room)
		left := x.w.leave(x.l, x.k, room)
		s.leave(room)
		left()
		return x.answers(leave, x.rooms())[0].([]string)
	})
	s.on("block", func(n int, args []any) []any {
		defer x.turn("block")()
		x.takes("block", n, args...)
		ms, _ := args[0].(float64)
		d := time.Duration(ms) * time.Millisecond
		x.w.mu.Lock()
		x.k.blocks = x.w.now() + int64(d)
		x.w.mu.Unlock()
		time.Sleep(d)
		return nil
	})
	s.on("boom", func(n int, args []any) []any {
		defer x.turn("boom")()
		x.answers(x.takes("boom", n, args...), map[string]any{"error": "internal error"})
		panic(wanted)
	})
	s.on("kick", func(n int, args []any) []any {
		defer x.turn("kick")()
		kick := x.takes("kick", n, args...)
		x.w.note(x.n.name, "disconnects %s", x.l.client.name)
		x.ending()
		was := x.s.connected() // else it has ended by itself, and what waited is handled
		x.w.mu.Lock()
		x.k.kicked = true
		x.w.mu.Unlock()
		if same(args, []any{1.0}) {
			x.putOut(kick)
		} else {
			s.disconnect(false)
		}
		x.w.mu.Lock()
		x.k.out = !x.n.library // which does nothing for one that has ended
		if was {
			x.k.putOut = x.w.now()
		}
		x.w.mu.Unlock()
		return nil
	})
	s.on("ask", func(n int, args []any) []any {
		defer x.turn("ask")()
		ask := x.takes("ask", n, args...)
		return x.answers(ask, x.ask())
	})
	s.onLater(func(n int, answer func(int)) {
		defer x.turn("later")()
		later := x.takes("later", n)
		d := time.Duration(x.rng.IntN(300)) * time.Millisecond
		x.answers(later, n)
		time.AfterFunc(d, func() { answer(n) })
	})
	s.onEnd(func(rooms []string) {
		x.leaving(rooms)
		x.w.mu.Lock()
		if x.k.ended == 0 {
			x.k.ended = x.w.now()
		}
		x.w.mu.Unlock()
		x.ending()
	}, func(reason string, code int) {
		defer x.turn("disconnect")()
		x.ended(reason, code)
		x.reasons(reason)
		w := x.w
		w.mu.Lock()
		w.line(x.n.name, fmt.Sprintf("disconnect %s of %s: %s", s.id(), x.l.client.name, reason))
		again := x.gone
		x.gone = true
		at := w.now()
		x.k.closed, x.k.reason = at, reason
		if x.k.shaky == 0 {
			x.k.shaky = at
		}
		w.counts["ended by "+reason]++
		if x.l.conn() == x.k && (final[reason] || !x.l.client.recovers()) {
			x.l.finish(at, "ended by "+reason)
		}
		w.mu.Unlock()
		if again {
			w.violated("disconnect-last", x.l.client.name, "%s: disconnect came twice", s.id())
		}
	})
}

// ending notes that the connection is over, or about to be.
func (x *served) ending() {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	if x.k.shaky == 0 {
		x.k.shaky = x.w.now()
	}
}

// turn checks that handlers of a socket run one at a time, and none after disconnect.
func (x *served) turn(what string) (done func()) {
	x.w.mu.Lock()
	busy, gone := x.busy, x.gone
	x.busy = true
	x.k.running++
	x.w.mu.Unlock()
	if busy {
		x.w.violated("handler-order", x.l.client.name, "%s: %s runs beside another handler", x.s.id(), what)
	}
	if gone {
		x.w.violated("disconnect-last", x.l.client.name, "%s: %s after disconnect", x.s.id(), what)
	}
	return func() {
		x.w.mu.Lock()
		defer x.w.mu.Unlock()
		x.busy = false
		x.k.running--
		x.k.ran = x.w.now()
	}
}

// wanted is the panic of a handler that is meant to have one. Of any other the world is at fault, or the product.
const wanted = "as the simulation wants it"

// rooms are those that the socket is in, and checks that they are those of the model.
func (x *served) rooms() []string {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	got := x.s.rooms()
	slices.Sort(got)
	certain, possible := x.l.rooms()
	wrong := x.l.conn() == x.k && x.k.held(x.w.now()) && !x.l.fits(got)
	if wrong {
		x.w.mu.Unlock()
		x.w.violated("rooms", x.l.client.name, "%s is in %v, and should be in %v, at most in %v", x.s.id(), got, certain, possible)
		x.w.mu.Lock()
	}
	return got
}

// emit sends the socket an event, and returns its id, or nothing when it has not been emitted.
func (x *served) emit(kind string) string {
	if !x.s.connected() {
		return ""
	}
	e := x.w.emit(x.src, x.n, emission{nsp: x.l.nsp, kind: kind, only: x.s.id(), event: "e", args: []any{x.rng.IntN(10)}})
	err := x.s.emit(e.event, append([]any{e.id()}, e.args...)...)
	x.w.emitted(e, err)
	x.w.returned(call{x.n, e.id(), "Emit", x.l}, e.from, e.to, err)
	if err != nil { // nothing has been emitted
		return ""
	}
	return e.id()
}

// ask asks the client something, and returns what it said.
func (x *served) ask() string {
	w := x.w
	e := w.emit(x.src, x.n, emission{nsp: x.l.nsp, kind: "ask", only: x.s.id(), ack: true, event: "q", args: []any{1}})
	if x.n.library { // whose wait goes on when the client has gone
		w.mu.Lock()
		x.k.blocks = w.now() + int64(askTimeout)
		w.mu.Unlock()
	}
	answer, err := x.s.ask("q", e.id(), 1)
	w.emitted(e, err)
	calm := !x.l.client.troubled(e.from, e.to)
	w.mu.Lock()
	took, ended := e.to-e.from, x.k.ended
	calm = calm && x.k.told != 0 && max(x.k.told, x.k.open) <= e.from && x.k.held(e.to)
	w.counts["asked"]++
	w.mu.Unlock()
	if took > int64(askTimeout+slack) && !w.stood(x.n, e.from, e.to) {
		w.violated("wait-ends", e.id(), "the wait for an acknowledgement took %s", time.Duration(took))
	}
	if ended != 0 && !x.n.library && e.to > max(e.from, ended)+int64(slack) && !w.stood(x.n, e.from, e.to) {
		w.violated("wait-ends", e.id(), "the wait for an acknowledgement went on for %s when the socket had been disconnected: %v",
			time.Duration(e.to-ended), err)
	}
	if err == nil {
		if said(answer) != e.id() {
			w.violated("ack-match", e.id(), "acknowledged with %s", said(answer))
		}
		return said(answer)
	}
	switch {
	case errors.Is(err, server.ErrDisconnected): // which others may hear of later
		w.mu.Lock()
		w.claim(x.k, "EmitWithAck", e.id())
		w.mu.Unlock()
	case !errors.Is(err, server.ErrTimeout):
		w.violated("wait-ends", e.id(), "the wait ended with %v", err)
	case calm:
		w.violated("ack-answered", e.id(), "%s did not acknowledge: %v", x.l.client.name, err)
	}
	return ""
}
