package load

import (
	"errors"
	"time"
)

// errRefused means that the server does not let the clients in.
var errRefused = errors.New("server refuses clients")

// connectTimeout is how long a client may take to connect before it is given up and another dialled.
const connectTimeout = 5 * time.Second

// Connect adds n clients, atOnce of them at a time, and returns when all are in. Latency is from the
// dial to the answer to CONNECT.
func (s *Swarm) Connect(n, atOnce int) (Result, error) {
	var r Result
	began := s.begin()
	var failed error
	inFlight, started := 0, 0
	pending := make(map[*Client]time.Duration, atOnce) // since when
	start := func() {
		for inFlight < atOnce && started < n && failed == nil {
			c, err := s.dial()
			if err != nil {
				failed = err
				return
			}
			pending[c] = s.now
			inFlight++
			started++
		}
	}
	s.onReady = func(c *Client) {
		born := pending[c]
		delete(pending, c)
		inFlight--
		s.clients = append(s.clients, c)
		r.Count++
		r.Latency.Add(s.now - born)
	}
	s.onLost = func(c *Client) {
		if _, ok := pending[c]; ok {
			delete(pending, c)
			inFlight--
			started-- // another in its place
			if s.faults["refused"] > n/10+10 {
				failed = errRefused
			}
		}
	}
	s.onText = func(*Client, []byte) {} // broadcasts of others
	checked := s.now
	for r.Count < uint64(n) && failed == nil {
		start()
		s.step(100 * time.Millisecond)
		if s.now-checked > connectTimeout/10 {
			checked = s.now
			for c := range pending {
				if s.now-c.since > connectTimeout { // in the same state
					s.lost(c.main, "stuck connect")
				}
			}
		}
	}
	return s.end(&r, began), failed
}
