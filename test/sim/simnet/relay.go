//go:build !wasip1

package simnet

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Link is one connection, seen from outside: two real ones, and what carries bytes from one to the other.
type Link struct {
	// Set when it is opened, then read only: the host that opened it, the address it is to, and the host that
	// listened there.
	From, To, Owner string
	Number          int // of those between the same two

	near, far   *net.TCPConn // the relay's ends: towards who opened it, and towards who listened
	there, back *half
	ended       atomic.Int32 // halves that have
}

// String names the link in a history.
func (l *Link) String() string { return fmt.Sprintf("%s>%s.%d", l.From, l.To, l.Number) }

func (l *Link) over() bool { return l.ended.Load() == 2 }

// half carries one direction.
type half struct {
	from, to *net.TCPConn
	profile  Profile

	mu sync.Mutex
	// Guarded by mu.
	rng     *rand.Rand
	last    time.Time // something was read
	silent  bool      // nothing arrives any more, and nothing says so
	held    time.Time
	paused  bool
	limit   int // with limited: bytes until it is called
	limited func()
}

// relay begins to carry.
func (l *Link) relay(near, far *net.TCPConn, p Profile, seed uint64) {
	l.near, l.far = near, far
	for _, c := range []*net.TCPConn{near, far} { // what is under way is bounded
		_ = c.SetReadBuffer(p.Window)
		_ = c.SetWriteBuffer(p.Window)
	}
	l.there = &half{from: near, to: far, profile: p, last: time.Now(), rng: Rand(seed, l.String()+" there")}
	l.back = &half{from: far, to: near, profile: p, last: time.Now(), rng: Rand(seed, l.String()+" back")}
	for _, h := range []*half{l.there, l.back} {
		go func() {
			h.carry()
			if l.ended.Add(1) == 2 {
				_, _ = near.Close(), far.Close()
			}
		}()
	}
}

// carry carries until the end, or an error, has come. What is silent is read and thrown away.
func (h *half) carry() {
	buf := make([]byte, 32<<10)
	for {
		n, err := h.from.Read(buf)
		if n > 0 {
			h.mu.Lock()
			h.last = time.Now()
			h.mu.Unlock()
			h.pass(buf[:n])
		}
		if err == nil {
			continue
		}
		if !h.wait() {
			return
		}
		if errors.Is(err, io.EOF) {
			_ = h.to.CloseWrite()
		} else {
			reset(h.to)
		}
		return
	}
}

// wait waits as long as a byte takes, and reports whether it arrives.
func (h *half) wait() bool {
	h.mu.Lock()
	d := h.profile.Latency + time.Duration(h.rng.Int64N(int64(h.profile.Jitter)+1))
	h.mu.Unlock()
	time.Sleep(d)
	for {
		h.mu.Lock()
		left, silent := time.Until(h.held), h.silent
		if h.paused {
			left = time.Hour
		}
		h.mu.Unlock()
		if silent || left <= 0 {
			return !silent
		}
		time.Sleep(min(left, 50*time.Millisecond))
	}
}

// pass writes what has been read, in pieces now and then.
func (h *half) pass(b []byte) {
	for len(b) > 0 {
		if !h.wait() {
			return
		}
		h.mu.Lock()
		n := len(b)
		if n > 1 && h.rng.Float64() < h.profile.Fragments {
			n = 1 + h.rng.IntN(n-1)
		}
		var then func()
		if h.limited != nil && n >= h.limit {
			n, then, h.limited = h.limit, h.limited, nil
		} else if h.limited != nil {
			h.limit -= n
		}
		h.mu.Unlock()
		_, _ = h.to.Write(b[:n]) // an error is met by who reads there
		if then != nil {
			then()
			return
		}
		b = b[n:]
	}
}

// reset ends a connection with a reset.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func (h *half) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = true
}

// Cut ends the connection. What is under way is lost.
func (l *Link) Cut(side Side) {
	l.there.silence()
	l.back.silence()
	if side == Both || side == ClientOnly {
		reset(l.near)
	}
	if side == Both || side == ServerOnly {
		reset(l.far)
	}
}

// pause lets nothing arrive until it is called with false.
func (l *Link) pause(is bool) {
	for _, h := range []*half{l.there, l.back} {
		h.mu.Lock()
		h.paused = is
		h.mu.Unlock()
	}
}

// CutAfter cuts the connection when so many more bytes have been written by the client, or by the server: in
// the middle of a message, most of the time. Those bytes arrive.
func (l *Link) CutAfter(byClient bool, bytes int, side Side) {
	h := l.back
	if byClient {
		h = l.there
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limit, h.limited = bytes, func() { l.Cut(side) }
}

// Idle is how long nothing has been written on the connection, 0 while the server owes an answer.
func (l *Link) Idle() time.Duration {
	at := func(h *half) time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.last
	}
	asked, answered := at(l.there), at(l.back)
	if asked.After(answered) {
		return 0
	}
	return time.Since(answered)
}

// HangUp closes the server's end: what it has written arrives, and then the end.
func (l *Link) HangUp() { _ = l.near.CloseWrite() }

// Stall keeps everything that is written from now on, in both directions, from arriving for so long.
func (l *Link) Stall(d time.Duration) {
	until := time.Now().Add(d)
	for _, h := range []*half{l.there, l.back} {
		h.mu.Lock()
		h.held = until
		h.mu.Unlock()
	}
}
