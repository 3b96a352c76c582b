package main

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// What clients send: each remembers it, and what comes to the handlers is compared with that, as are the answers of
// both sides.

// sent is an event of a client. Its fields are guarded by client.mu.
type sent struct {
	event  string
	args   []any // behind its number
	answer []any // what its handler has answered, nil if nothing
	out    bool  // it has been written to a WebSocket
	behind bool  // the frame that closes the WebSocket is
	taken  int64 // when a POST that had it was answered, 0 if none was

	coming  []*life       // of a kick: those that the client has asked to come back to before it
	numbers map[*life]int // of those connections
}

// connection is one of a client: to a namespace, and its number there.
type connection struct {
	nsp    string
	number int
}

// sentOn returns what the client has sent on a connection.
func (c *client) sentOn(nsp string, number int) []*sent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[connection{nsp, number}]
}

// left notes what is known to have left, now that a list of frames has: on a WebSocket, or in a POST that was answered.
func (c *client) left(list []frame, posted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.w.now()
	for _, f := range list {
		switch {
		case f.of == nil:
		case posted:
			f.of.taken = at
		default:
			f.of.out = true
		}
	}
}

// closing notes that the client is about to send the frame that closes its WebSocket.
func (c *client) closing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, nsp := range namespaces {
		if s := c.socks[nsp]; s != nil {
			for _, x := range c.sent[connection{nsp, s.number}] {
				x.behind = x.out
			}
		}
	}
}

// takes checks that what has come to a handler is the next event that the client has sent, and what it has sent. The
// result is nil if it has sent nothing like it.
func (x *served) takes(event string, n int, args ...any) *sent {
	w, c := x.w, x.l.client
	list := c.sentOn(x.l.nsp, x.k.number)
	w.mu.Lock()
	w.line(x.n.name, fmt.Sprintf("%s %d from %s", event, n, c.name))
	w.counts["handled"]++
	last := x.last
	x.last = max(n, last)
	out := x.k.putOut
	at := w.now()
	w.mu.Unlock()
	switch {
	case n <= last:
		w.violated("handler-order", c.name, "%s: event %d, %s, came after %d", x.s.id(), n, event, last)
	case n > last+1:
		w.violated("handler-complete", c.name, "%s: event %d, %s, came after %d", x.s.id(), n, event, last)
	}
	if out != 0 && at > out {
		w.violated("dropped", c.name, "%s: event %d, %s, came to its handler though the server had disconnected the socket", x.s.id(), n, event)
	}
	if n < 1 || n > len(list) {
		w.violated("content", c.name, "%s: event %d, %s %.200v, of a client that has sent %d", x.s.id(), n, event, args, len(list))
		return nil
	}
	s := list[n-1]
	if s.event != event || !same(s.args, args) {
		w.violated("content", c.name, "%s: event %d is %s %.200q, and was sent as %s %.200q", x.s.id(), n, event, args, s.event, s.args)
	}
	return s
}

// answers notes what the handler is about to answer.
func (x *served) answers(s *sent, values ...any) []any {
	if s != nil {
		x.l.client.mu.Lock()
		s.answer = values
		x.l.client.mu.Unlock()
	}
	return values
}

// late is for how long what a server has received comes to handlers when the client has gone. Source: server/run.go,
// lateTimeout; a second less.
const late = 9 * second

// ended checks, when the disconnect handler runs, that all that the server is known to have received has come to its
// handlers: of what the client sent, what stands before its DISCONNECT or its close frame, or was in a POST with an answer.
func (x *served) ended(reason string, code int) {
	c, k := x.l.client, x.k
	list := c.sentOn(x.l.nsp, k.number)
	x.w.mu.Lock()
	at, over, last := x.w.now(), k.ended, x.last
	excused := k.node.dead || k.node.draining || k.node.closed || k.kicked || reason == "server namespace disconnect" ||
		over != 0 && at > over+late
	if over == 0 {
		over = at
	}
	x.w.mu.Unlock()
	due := 0
	c.mu.Lock()
	for i, s := range list {
		if reason == "client namespace disconnect" || code != 0 && s.behind || s.taken != 0 && s.taken < over {
			due = i + 1
		}
	}
	c.mu.Unlock()
	x.w.mu.Lock()
	x.w.counts["handled before the end"] += due
	x.w.mu.Unlock()
	if last < due && !excused {
		x.w.violated("handler-complete", c.name, "%s: disconnect (%s) came behind event %d, and the server had received %d", x.s.id(), reason, last, due)
	}
}

// handled checks, when all is quiet, that all that clients have sent on connections that hold has come to the handlers.
func (w *world) handled() {
	for _, c := range w.clients {
		for _, s := range c.list() {
			c.mu.Lock()
			l, number, n := s.life, s.number, len(c.sent[connection{s.nsp, s.number}])
			c.mu.Unlock()
			w.mu.Lock()
			k := l.conn()
			last := -1
			if k != nil && k.number == number && k.served != nil {
				last = k.served.last
			}
			w.mu.Unlock()
			if last >= 0 && last < n {
				w.violated("handler-complete", c.name, "%s: %d events have come to their handlers, of %d that were sent", l.sid, last, n)
			}
		}
	}
}

// texts are parts of texts: what JSON, UTF-8 and the protocols' separators find hard.
var texts = []string{"u", "\u00e9", "\U0001f600", `"`, `\`, "\x1e", "\n", "\u2028", "<&>", "\x00", "b4AAA=", "4:", "[", "{}", "\u007f"}

// text draws a text.
func (c *client) text() string {
	if c.rng.IntN(3) > 0 {
		return strings.Repeat("u", c.rng.IntN(100))
	}
	var b strings.Builder
	for range c.rng.IntN(40) {
		b.WriteString(texts[c.rng.IntN(len(texts))])
	}
	return b.String()
}

// payload draws what is sent with an event.
func (c *client) payload() any {
	if !c.w.plan.Does(plan.Binary) || c.rng.IntN(3) > 0 {
		return c.text()
	}
	bin := func() []byte {
		b := make([]byte, c.rng.IntN(8)*c.rng.IntN(400))
		for i := range b {
			b[i] = byte(c.rng.IntN(256))
		}
		return b
	}
	if c.rng.IntN(2) == 0 {
		return bin()
	}
	return map[string]any{"t": c.text(), "b": bin(), "l": []any{1.5, nil, true, bin(), []any{}}, "a": map[string]any{"z": bin()}}
}

// newPacket makes a packet of values, with the binaries in them beside it.
func newPacket(kind byte, nsp string, id int, values []any) packet {
	p := packet{kind: kind, nsp: nsp, id: id}
	p.data = encode(p.apart(values))
	if p.attachments = len(p.bins); p.attachments > 0 {
		p.kind += typeBinaryEvent - typeEvent
	}
	return p
}

// apart takes the binaries out of a value.
func (p *packet) apart(v any) any {
	switch v := v.(type) {
	case []byte:
		p.bins = append(p.bins, v)
		return map[string]any{"_placeholder": true, "num": len(p.bins) - 1}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = p.apart(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out[k] = p.apart(v[k])
		}
		return out
	}
	return v
}

// frames are those of a packet. The last of an event is marked with it.
func (p packet) frames(of *sent) []frame {
	out := []frame{{text: p.text()}}
	for _, b := range p.bins {
		out = append(out, frame{bin: append([]byte{}, b...)})
	}
	out[len(out)-1].of = of
	return out
}

// same reports whether got, as a decoder makes it, is want, or was made from it.
func same(want, got any) bool {
	switch x := want.(type) {
	case int:
		f, ok := got.(float64)
		i, is := got.(int)
		return ok && f == float64(x) || is && i == x
	case []byte:
		b, ok := got.([]byte)
		return ok && bytes.Equal(x, b)
	case []string:
		list := make([]any, len(x))
		for i := range x {
			list[i] = x[i]
		}
		return same(list, got)
	case []any:
		y, ok := got.([]any)
		return ok && slices.EqualFunc(x, y, same)
	case map[string]any:
		y, ok := got.(map[string]any)
		return ok && len(x) == len(y) && !slices.ContainsFunc(slices.Collect(maps.Keys(x)), func(k string) bool {
			v, has := y[k]
			return !has || !same(x[k], v)
		})
	}
	return reflect.DeepEqual(want, got)
}

// reply is a client's answer to a question: a text, sometimes with the same in bytes. said is the text.
func reply(text string, both bool) any {
	if both {
		return map[string]any{"text": text, "bytes": []byte(text)}
	}
	return text
}

func said(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case map[string]any:
		text, _ := x["text"].(string)
		if b, ok := x["bytes"].([]byte); ok && string(b) == text && len(x) == 2 {
			return text
		}
	}
	return fmt.Sprintf("%#v", v)
}
