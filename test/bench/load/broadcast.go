package load

import (
	"bytes"
	"fmt"
	"time"
)

const (
	streamDigits = 4
	seqDigits    = 8
	numberLen    = streamDigits + seqDigits
	// history is how many broadcasts of one stream may be on their way.
	history = 1024
)

// stream is a row of broadcasts that the same clients receive: all, or those of one room.
type stream struct {
	number  int
	room    string // "" for all
	members int    // that read
	sender  *Client

	frame    []byte       // or on polling the packet
	at       int          // where the number of the broadcast is
	payload  int          // where the frame's payload begins
	seq      uint32       // of the last broadcast sent
	got      [history]int // deliveries of each broadcast on its way, in a closed loop
	started  [history]time.Duration
	inFlight int
}

// BroadcastOptions say what Broadcast sends.
type BroadcastOptions struct {
	Size     int           // of the argument, in bytes, at least 12
	Rooms    int           // so many rooms, into which Join has put the clients; zero means to all
	AtOnce   int           // rooms that have a broadcast on its way; zero means 1
	InFlight int           // broadcasts on their way to each of them, or to all; zero means 1
	Duration time.Duration // how long broadcasts are sent
	Count    int           // if positive, how many are sent, instead of Duration
	// Rate, if positive, sends so many broadcasts a second whether or not the last one has arrived.
	Rate float64
}

// broadcast is a Broadcast in progress.
type broadcast struct {
	s       *Swarm
	opts    BroadcastOptions
	streams []*stream
	next    int // stream to send on next
	flying  int
	sent    int
	want    uint64 // deliveries
	sending bool
	head    []byte
	tail    []byte
	result  Result
}

// Join puts the clients into so many rooms, evenly.
func (s *Swarm) Join(rooms int) error {
	began := s.begin()
	left := 0
	s.onText = func(_ *Client, p []byte) {
		if bytes.HasPrefix(p, []byte("3100000[")) {
			left--
		} else {
			s.fault("answer to join not expected")
		}
	}
	for i, c := range s.clients {
		s.send(c, fmt.Appendf(nil, `42100000["join",%q]`, roomName(i%rooms)))
		left++
	}
	s.flushAll()
	if !s.until(30*time.Second, func() bool { return left > 0 }) {
		s.fault("join not answered")
	}
	if r := s.end(&Result{}, began); r.Faults != nil {
		return fmt.Errorf("join: %v", r.Faults)
	}
	return nil
}

func roomName(i int) string { return fmt.Sprintf("r%0*d", streamDigits, i) }

// Broadcast has clients ask the server for broadcasts, and checks that each client gets each of them
// once and in order. In a closed loop the next one is asked for when the last client has got it.
func (s *Swarm) Broadcast(o BroadcastOptions) (Result, error) {
	b, err := newBroadcast(s, o)
	if err != nil {
		return Result{}, err
	}
	began := s.begin()
	s.onText = b.text
	b.sending = true
	if o.Rate > 0 {
		gap := time.Duration(float64(time.Second) / o.Rate)
		for n := 0; b.more(began); n++ {
			for due := began + time.Duration(n)*gap; s.now < due; {
				s.step(due - s.now)
			}
			b.start(b.streams[n%len(b.streams)])
		}
	} else {
		for range max(o.AtOnce, 1) * max(o.InFlight, 1) {
			b.startNext()
		}
		for b.more(began) {
			s.step(50 * time.Millisecond)
		}
	}
	b.sending = false
	if !s.until(s.patience, func() bool { return b.result.Count < b.want }) {
		s.fault("delivery missing")
		s.faults["delivery missing"] = int(b.want - b.result.Count)
	}
	return s.end(&b.result, began), nil
}

func newBroadcast(s *Swarm, o BroadcastOptions) (*broadcast, error) {
	if o.Size < numberLen {
		return nil, fmt.Errorf("size %d is under %d", o.Size, numberLen)
	}
	b := &broadcast{s: s, opts: o}
	fill := bytes.Repeat([]byte("0123456789abcdef"), o.Size/16+1)[:o.Size-numberLen]
	b.head, b.tail = []byte(`2["msg","`), append(fill, `"]`...)
	for i := range max(o.Rooms, 1) {
		st := &stream{number: i}
		event := `42["broadcast","`
		if o.Rooms > 0 {
			st.room = roomName(i)
			event = `42["room","` + st.room + `","`
		}
		packet := fmt.Appendf(nil, "%s%0*d%0*d%s", event, streamDigits, i, seqDigits, 0, b.tail)
		st.at = len(event) + streamDigits
		st.frame = packet
		if !s.opts.Polling {
			st.payload = headerLen(len(packet))
			st.frame = appendMasked(nil, opText, packet)
		}
		b.streams = append(b.streams, st)
	}
	for i, c := range s.clients {
		c.stream, c.seq = b.streams[i%len(b.streams)], 0
		if c.stalled || c.state != ready {
			continue
		}
		c.stream.members++
		if c.stream.sender == nil {
			c.stream.sender = c
		}
	}
	for _, st := range b.streams {
		if st.sender == nil {
			return nil, fmt.Errorf("nobody is in stream %d", st.number)
		}
	}
	return b, nil
}

// more reports whether another broadcast is to be sent.
func (b *broadcast) more(began time.Duration) bool {
	if b.opts.Count > 0 {
		return b.sent < b.opts.Count
	}
	return b.s.now-began < b.opts.Duration
}

// startNext starts one on the next stream that has fewer on their way than there are to be.
func (b *broadcast) startNext() {
	for range b.streams {
		st := b.streams[b.next%len(b.streams)]
		b.next++
		if st.inFlight < max(b.opts.InFlight, 1) {
			b.start(st)
			return
		}
	}
}

func (b *broadcast) start(st *stream) {
	st.seq++
	st.got[st.seq%history] = 0
	st.inFlight++
	st.started[st.seq%history] = b.s.now
	b.sent++
	b.want += uint64(st.members)
	frame := append([]byte(nil), st.frame...)
	if b.s.opts.Polling {
		for i, n := st.at+seqDigits-1, st.seq; i >= st.at; i-- {
			frame[i] = byte('0' + n%10)
			n /= 10
		}
		b.s.send(st.sender, frame)
		return
	}
	patch(frame[st.payload:], st.at, seqDigits, st.seq)
	b.s.write(st.sender.main, frame)
}

// text takes what may be a delivery.
func (b *broadcast) text(c *Client, p []byte) {
	n := len(b.head)
	if len(p) != n+numberLen+len(b.tail) || !bytes.Equal(p[:n], b.head) || !bytes.Equal(p[n+numberLen:], b.tail) {
		b.s.fault("delivery differs")
		return
	}
	number, seq := 0, uint32(0)
	for _, d := range p[n : n+streamDigits] {
		number = number*10 + int(d-'0')
	}
	for _, d := range p[n+streamDigits : n+numberLen] {
		seq = seq*10 + uint32(d-'0')
	}
	st := c.stream
	switch {
	case number != st.number:
		b.s.fault("delivery of another room")
		return
	case seq <= c.seq:
		b.s.fault("delivery doubled or out of order")
		return
	case seq != c.seq+1:
		b.s.fault("delivery lost or out of order")
	}
	c.seq = seq
	b.result.Count++
	b.result.Latency.Add(b.s.now - st.started[seq%history])
	if b.opts.Rate > 0 {
		return
	}
	st.got[seq%history]++
	if st.got[seq%history] == st.members {
		b.s.tick()
		b.result.Last.Add(b.s.now - st.started[seq%history])
		st.inFlight--
		if b.sending && (b.opts.Count == 0 || b.sent < b.opts.Count) {
			b.startNext()
		}
	}
}
