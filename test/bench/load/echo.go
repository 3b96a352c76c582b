package load

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

const (
	// maxWindow is the most events a client may have outstanding.
	maxWindow = 64
	// firstID is the acknowledgement id of a client's first event; ids have six digits.
	firstID  = 100000
	idDigits = 6
)

// EchoOptions say what Echo sends.
type EchoOptions struct {
	Clients  int           // how many of the clients take part; zero means all
	Window   int           // outstanding events of each, at most 64; zero means 1
	Size     int           // of the argument, in bytes
	Binary   bool          // send a binary to the event "bin" instead of text to "echo"
	Upload   bool          // send the text to the event "size", which is acknowledged with its length
	Duration time.Duration // how long events are sent
	// Rate, if positive, sends so many events a second, spread over the clients in turn, whether or not
	// answers come. Latency then counts from the time an event was due.
	Rate float64
}

// echo is an Echo in progress.
type echo struct {
	s        *Swarm
	opts     EchoOptions
	frame    []byte // of one event, or on polling its packet
	at       int    // where its id is masked
	payload  int    // where the frame's payload begins
	head     []byte // of the acknowledgement, before the id
	tail     []byte // behind it
	binary   []byte // its attachment
	sending  bool
	inFlight int
	result   Result
}

// Echo sends events that the server acknowledges with their argument, and checks the answers. Every
// client always has Window events outstanding.
func (s *Swarm) Echo(o EchoOptions) (Result, error) {
	if o.Clients == 0 {
		o.Clients = len(s.clients)
	}
	o.Window = max(o.Window, 1)
	if o.Window > maxWindow {
		return Result{}, fmt.Errorf("window %d is over %d", o.Window, maxWindow)
	}
	e := newEcho(s, o)
	began := s.begin()
	s.onText, s.onBinary = e.text, e.attachment
	e.sending = true
	clients := s.clients[:o.Clients]
	if o.Rate > 0 {
		e.pace(clients, began)
	} else {
		for _, c := range clients {
			for range o.Window {
				e.send(c, s.now)
			}
		}
		s.flushAll()
		for s.now-began < o.Duration {
			s.step(50 * time.Millisecond)
		}
	}
	e.sending = false
	if !s.until(s.patience, func() bool { return e.inFlight > 0 }) {
		for _, c := range clients {
			for ; c.answered != c.next; c.answered++ {
				s.fault("no acknowledgement")
			}
		}
	}
	return s.end(&e.result, began), nil
}

func newEcho(s *Swarm, o EchoOptions) *echo {
	e := &echo{s: s, opts: o}
	text := bytes.Repeat([]byte("0123456789abcdef"), o.Size/16+1)[:o.Size]
	var packet []byte
	switch {
	case o.Upload:
		packet = fmt.Appendf(nil, `42%0*d["size","%s"]`, idDigits, 0, text)
		e.at, e.head, e.tail = 2, []byte("3"), fmt.Appendf(nil, `[%d]`, o.Size)
	case o.Binary:
		const placeholder = `{"_placeholder":true,"num":0}`
		packet = fmt.Appendf(nil, `451-%0*d["bin",%s]`, idDigits, 0, placeholder)
		e.at, e.head, e.tail = 4, []byte("61-"), []byte("["+placeholder+"]")
		e.binary = slices.Clone(text)
	default:
		packet = fmt.Appendf(nil, `42%0*d["echo","%s"]`, idDigits, 0, text)
		e.at, e.head, e.tail = 2, []byte("3"), fmt.Appendf(nil, `["%s"]`, text)
	}
	if s.opts.Polling {
		e.frame = packet
		return e
	}
	e.payload = headerLen(len(packet))
	e.frame = appendMasked(nil, opText, packet)
	if o.Binary {
		e.frame = appendMasked(e.frame, opBinary, e.binary)
	}
	return e
}

// pace sends at the rate asked for until the time is over.
func (e *echo) pace(clients []*Client, began time.Duration) {
	s := e.s
	gap := time.Duration(float64(time.Second) / e.opts.Rate)
	for n := 0; ; n++ {
		due := began + time.Duration(n)*gap
		if due-began > e.opts.Duration {
			return
		}
		for s.now < due {
			s.step(due - s.now)
		}
		c := clients[n%len(clients)]
		if c.state != ready {
			continue
		}
		if c.next-c.answered >= maxWindow {
			s.fault("client too far behind")
			continue
		}
		e.send(c, due)
		s.flush(c.main)
		if n%64 == 63 {
			s.step(0) // a rate beyond what the server can do must not starve the reading
		}
	}
}

// send sends one event, which counts from the time at.
func (e *echo) send(c *Client, at time.Duration) {
	c.sent[c.next%maxWindow] = at
	id := firstID + c.next%(1e6-firstID)
	c.next++
	e.inFlight++
	if e.s.opts.Polling {
		p := slices.Clone(e.frame)
		for i := e.at + idDigits - 1; i >= e.at; i-- {
			p[i] = byte('0' + id%10)
			id /= 10
		}
		e.s.send(c, p)
		return
	}
	b := c.main.batch
	start := len(b)
	b = append(b, e.frame...)
	patch(b[start+e.payload:], e.at, idDigits, id)
	c.main.batch = b
}

// text takes what may be an acknowledgement.
func (e *echo) text(c *Client, p []byte) {
	n := len(e.head)
	if len(p) != n+idDigits+len(e.tail) || !bytes.Equal(p[:n], e.head) || !bytes.Equal(p[n+idDigits:], e.tail) || c.half {
		e.s.fault("acknowledgement differs")
		return
	}
	id := uint32(0)
	for _, d := range p[n : n+idDigits] {
		id = id*10 + uint32(d-'0')
	}
	if id != firstID+c.answered%(1e6-firstID) {
		e.s.fault("acknowledgement out of order")
	}
	if e.opts.Binary {
		c.half = true
		return
	}
	e.done(c)
}

func (e *echo) attachment(c *Client, p []byte) {
	if !c.half || !bytes.Equal(p, e.binary) {
		e.s.fault("attachment differs")
	}
	c.half = false
	e.done(c)
}

func (e *echo) done(c *Client) {
	e.result.Latency.Add(e.s.now - c.sent[c.answered%maxWindow])
	c.answered++
	e.inFlight--
	e.result.Count++
	if e.sending && e.opts.Rate == 0 {
		e.send(c, e.s.now)
	}
}
