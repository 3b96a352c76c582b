//go:build wasip1

package simnet

import (
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// piece is part of a write on its way. A nil data is the end.
type piece struct {
	at   time.Time
	data []byte
}

// stream is one direction of a connection. The reader and the writer may see different ends of it: a reset
// that only one notices, or none.
type stream struct {
	profile Profile

	mu   sync.Mutex
	cond sync.Cond // of mu
	// Guarded by mu.
	rng      *rand.Rand
	flying   []piece
	room     int // bytes that may still be written
	arrived  []byte
	ended    bool  // the end has arrived
	rerr     error // what reads return at once
	werr     error // what writes return at once
	silent   bool  // nothing arrives any more, and nothing says so
	held     time.Time
	wrote    time.Time // the last write
	limit    int       // with limited: bytes until it is called
	limited  func()
	rdl, wdl deadline
	timer    *time.Timer
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newStream(p Profile, rng *rand.Rand) *stream {
	s := &stream{profile: p, rng: rng, room: p.Window}
	s.cond.L = &s.mu
	return s
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.rerr != nil:
			return 0, s.rerr
		case s.rdl.passed():
			return 0, os.ErrDeadlineExceeded
		case len(s.arrived) > 0:
			n := copy(b, s.arrived)
			s.arrived = s.arrived[n:]
			s.room += n
			s.cond.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		s.cond.Wait()
	}
}

func (s *stream) write(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.werr != nil:
			return n, s.werr
		case s.wdl.passed():
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		case s.room > 0:
			part := b[:min(len(b), s.room)]
			s.send(part)
			n += len(part)
			b = b[len(part):]
			continue
		}
		s.cond.Wait()
	}
}

// send puts data on its way. Called with mu held.
func (s *stream) send(data []byte) {
	s.wrote = time.Now()
	s.room -= len(data)
	if s.limited != nil && len(data) >= s.limit {
		data = data[:s.limit]
		f := s.limited
		s.limited = nil
		s.fly(data)
		s.silent = true // the rest is lost, whoever notices
		f()
		return
	}
	s.limit -= len(data)
	s.fly(data)
}

func (s *stream) fly(data []byte) {
	if s.silent || len(data) == 0 {
		return
	}
	if n := len(data); n > 1 && s.rng.Float64() < s.profile.Fragments {
		at := 1 + s.rng.IntN(n-1)
		s.put(data[:at])
		s.put(data[at:])
		return
	}
	s.put(data)
}

// put appends one piece. Called with mu held.
func (s *stream) put(data []byte) {
	at := time.Now().Add(s.profile.Latency + time.Duration(s.rng.Int64N(int64(s.profile.Jitter)+1)))
	if at.Before(s.held) {
		at = s.held
	}
	if k := len(s.flying); k > 0 && at.Before(s.flying[k-1].at) {
		at = s.flying[k-1].at // what was written before arrives before
	}
	if data != nil {
		data = append([]byte(nil), data...)
	}
	s.flying = append(s.flying, piece{at, data})
	if len(s.flying) == 1 {
		s.arm()
	}
}

// arm waits for the first piece. Called with mu held.
func (s *stream) arm() {
	d := time.Until(s.flying[0].at)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.arrive)
	} else {
		s.timer.Reset(d)
	}
}

func (s *stream) arrive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	k := 0
	for ; k < len(s.flying) && !s.flying[k].at.After(now); k++ {
		p := s.flying[k]
		if p.data == nil {
			s.ended = true
		} else {
			s.arrived = append(s.arrived, p.data...)
		}
	}
	s.flying = s.flying[k:]
	if k > 0 {
		s.cond.Broadcast()
	}
	if len(s.flying) > 0 {
		s.arm()
	}
}

// finish ends the writing: what is under way arrives, and then the end.
func (s *stream) finish(werr error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.werr != nil {
		return
	}
	s.werr = werr
	if !s.silent && s.rerr == nil {
		s.put(nil)
	}
	s.wdl.stop()
	s.cond.Broadcast()
}

// cutReader ends the reading with err: what has arrived is lost.
func (s *stream) cutReader(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rerr == nil {
		s.rerr = err
	}
	s.flying, s.arrived = nil, nil
	s.rdl.stop()
	s.cond.Broadcast()
}

// cutWriter ends the writing with err.
func (s *stream) cutWriter(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.werr == nil {
		s.werr = err
	}
	s.wdl.stop()
	s.cond.Broadcast()
}

// refuse is what becomes of a stream whose reader has closed: who writes more gets a reset.
func (s *stream) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.werr == nil && !s.silent {
		s.werr = errReset
	}
	s.cond.Broadcast()
}

// silence lets nothing arrive any more; the writer goes on until its window is full, the reader waits.
func (s *stream) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
	s.flying = nil
}

func (s *stream) written() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrote
}

func (s *stream) stall(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until.After(s.held) {
		s.held = until
	}
}

func (s *stream) setReadDeadline(t time.Time)  { s.setDeadline(&s.rdl, t) }
func (s *stream) setWriteDeadline(t time.Time) { s.setDeadline(&s.wdl, t) }

func (s *stream) setDeadline(d *deadline, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.stop()
	d.at = t
	if !t.IsZero() {
		if wait := time.Until(t); wait > 0 {
			d.timer = time.AfterFunc(wait, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.cond.Broadcast()
			})
		}
	}
	s.cond.Broadcast()
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
