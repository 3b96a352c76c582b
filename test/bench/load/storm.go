package load

import (
	"fmt"
	"time"
)

// stormOpen is how many clients of a storm may wait for their answer at a time.
const stormOpen = 8000

// Storm dials n clients at so many a second, whether or not they are let in. Count and Latency are of
// those that were; a client that was told to come back later is the fault "503 with Retry-After".
func (s *Swarm) Storm(n int, rate float64) (Result, error) {
	var r Result
	began := s.begin()
	open := 0
	born := make(map[*Client]time.Duration)
	s.onReady = func(c *Client) {
		s.clients = append(s.clients, c)
		r.Count++
		r.Latency.Add(s.now - born[c])
		delete(born, c)
		open--
	}
	s.onLost = func(c *Client) {
		if _, ok := born[c]; ok {
			delete(born, c)
			open--
		}
	}
	gap := time.Duration(float64(time.Second) / rate)
	for i := range n {
		for due := began + time.Duration(i)*gap; s.now < due; {
			s.step(due - s.now)
		}
		s.until(s.patience, func() bool { return open >= stormOpen }) // a descriptor each
		c, err := s.dial()
		if err != nil {
			return s.end(&r, began), err
		}
		born[c] = s.now
		open++
		if i%64 == 63 {
			s.step(0)
		}
	}
	if !s.until(s.patience, func() bool { return open > 0 }) {
		s.fault("neither let in nor refused")
	}
	return s.end(&r, began), nil
}

// Block has the last n clients send the event "block" so many times. It does not wait.
func (s *Swarm) Block(n, times int) {
	for _, c := range s.clients[len(s.clients)-n:] {
		for range times {
			s.send(c, []byte(`42["block"]`))
		}
	}
	s.flushAll()
}

// Enter has the first n clients join the rooms "g0" to "g(rooms-1)" with one event each, and waits.
func (s *Swarm) Enter(n, rooms int) (Result, error) {
	var r Result
	began := s.begin()
	s.onText = func(*Client, []byte) { r.Count += uint64(rooms) }
	for _, c := range s.clients[:n] {
		s.send(c, fmt.Appendf(nil, `42100000["enter",%d]`, rooms))
	}
	s.flushAll()
	if !s.until(s.patience, func() bool { return r.Count < uint64(n*rooms) }) {
		s.fault("enter not answered")
	}
	return s.end(&r, began), nil
}
