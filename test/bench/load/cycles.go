package load

import (
	"bytes"
	"time"
)

// closeTimeout is how long a server may take to answer a close frame and close.
const closeTimeout = 5 * time.Second

// Cycles has clients connect, send one event, get its acknowledgement, disconnect and close, n times and
// atOnce at a time. The client closes its end when the server has answered its close frame. Latency is
// of a whole cycle.
func (s *Swarm) Cycles(n, atOnce int) (Result, error) {
	var r Result
	began := s.begin()
	active := make(map[*Client]time.Duration, atOnce)
	var failed error
	started := 0
	event, answer := []byte(`42100000["echo","0123456789abcdef"]`), []byte(`3100000["0123456789abcdef"]`)
	s.onReady = func(c *Client) { s.send(c, event) }
	s.onText = func(c *Client, p []byte) {
		if !bytes.Equal(p, answer) {
			s.fault("acknowledgement differs")
		}
		s.enter(c, closing)
		s.send(c, []byte("41"))
		c.main.batch = appendMasked(c.main.batch, opClose, []byte{0x03, 0xe8}) // 1000, normal closure
	}
	s.onLost = func(c *Client) {
		if at, ok := active[c]; ok {
			if !c.closeSeen {
				s.fault("closed without a close frame")
			}
			r.Count++
			r.Latency.Add(s.now - at)
			delete(active, c)
		}
	}
	checked := s.now
	for r.Count < uint64(n) && failed == nil {
		for len(active) < atOnce && started < n {
			c, err := s.dial()
			if err != nil {
				failed = err
				break
			}
			active[c] = s.now
			started++
		}
		s.step(100 * time.Millisecond)
		if s.now-checked > time.Second {
			checked = s.now
			for c := range active {
				if s.now-c.since > max(connectTimeout, closeTimeout) {
					if c.state == closing {
						s.lost(c.main, "")
						s.fault("stuck close")
					} else {
						s.lost(c.main, "stuck connect")
					}
				}
			}
		}
	}
	return s.end(&r, began), failed
}
