package load

import (
	"fmt"
	"maps"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Options say which server a Swarm drives, and how.
type Options struct {
	// Addr is the server's IPv4 address and port.
	Addr string
	// Polling makes the clients use HTTP long-polling; the zero value is WebSocket.
	Polling bool
	// Receive bounds the receive buffer of each client's socket, in bytes; zero leaves it to the kernel.
	Receive int
	// Namespaces, if positive, spreads the clients over so many namespaces "/n0", "/n1" …
	Namespaces int
}

// Result is what a scenario has measured.
type Result struct {
	// Count is the number of messages: acknowledgements, deliveries, connections or cycles.
	Count uint64
	// Elapsed is from the first message sent to the last received.
	Elapsed time.Duration
	// Busy is the share of Elapsed that the generator's thread was running, from 0 to 1. Near 1 the
	// generator was the limit.
	Busy float64
	// Latency is of each message; Last, of broadcasts, the time to the last client.
	Latency, Last Histogram
	// Faults counts what should not have happened, by name. It is nil when all was well.
	Faults map[string]int
}

// PerSecond returns the throughput.
func (r *Result) PerSecond() float64 { return float64(r.Count) / r.Elapsed.Seconds() }

// Swarm is many clients of one server. New locks the calling goroutine to its thread, and all methods
// must be called from it.
type Swarm struct {
	opts   Options
	addr   unix.SockaddrInet4
	poller *poller

	clients  []*Client
	patience time.Duration // how long answers are waited for at the end
	dials    int           // clients ever dialled, for their source addresses and namespaces
	base     time.Time
	now      time.Duration // since base, of the events being worked off
	faults   map[string]int
	cpu      time.Duration // of the thread, when the scenario began

	// What the scenario in progress does with a client's packets. data is what follows the "4".
	onText   func(c *Client, data []byte)
	onBinary func(c *Client, data []byte)
	onReady  func(c *Client)
	onLost   func(c *Client)
}

// New returns a Swarm without clients.
func New(o Options) (*Swarm, error) {
	runtime.LockOSThread()
	addr, err := resolve(o.Addr)
	if err != nil {
		return nil, err
	}
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	s := &Swarm{opts: o, addr: addr, poller: p, patience: 10 * time.Second, base: time.Now()}
	s.reset()
	return s, nil
}

// Close drops all connections at once and gives back the thread.
func (s *Swarm) Close() {
	for _, c := range s.poller.conns {
		if c != nil {
			_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			s.poller.close(c)
		}
	}
	_ = unix.Close(s.poller.fd)
	runtime.UnlockOSThread()
}

// Target makes further clients connect to another server.
func (s *Swarm) Target(addr string) (err error) {
	s.addr, err = resolve(addr)
	return err
}

// Clients returns how many clients are connected.
func (s *Swarm) Clients() int {
	n := 0
	for _, c := range s.clients {
		if c.state == ready {
			n++
		}
	}
	return n
}

// reset lets nothing of the scenario before remain.
func (s *Swarm) reset() {
	s.onText = func(*Client, []byte) { s.fault("packet not expected") }
	s.onBinary = func(*Client, []byte) { s.fault("binary not expected") }
	s.onReady = func(*Client) {}
	s.onLost = func(*Client) {}
}

// begin starts a scenario, and end is its result.
func (s *Swarm) begin() time.Duration {
	s.reset()
	s.faults = nil
	s.cpu = threadTime()
	s.tick()
	return s.now
}

func (s *Swarm) end(r *Result, began time.Duration) Result {
	s.tick()
	r.Elapsed = s.now - began
	r.Busy = float64(threadTime()-s.cpu) / float64(max(r.Elapsed, 1))
	r.Faults = maps.Clone(s.faults)
	return *r
}

func (s *Swarm) tick() { s.now = time.Since(s.base) }

func (s *Swarm) fault(name string) {
	if s.faults == nil {
		s.faults = make(map[string]int)
	}
	s.faults[name]++
}

// step works off what happens, waiting for it at most d.
func (s *Swarm) step(d time.Duration) {
	events := s.poller.wait(d)
	s.tick()
	for i := range events {
		if c := s.poller.conns[events[i].Fd]; c != nil {
			s.ready(c, events[i].Events)
		}
	}
}

// until steps while more says so, and reports false when d has passed first.
func (s *Swarm) until(d time.Duration, more func() bool) bool {
	end := s.now + d
	for more() {
		if s.now > end {
			return false
		}
		s.step(50 * time.Millisecond)
	}
	return true
}

// Hold answers heartbeats for so long and does nothing else.
func (s *Swarm) Hold(d time.Duration) error {
	began := s.begin()
	for s.now-began < d {
		s.step(d - (s.now - began))
	}
	if len(s.faults) > 0 {
		return fmt.Errorf("hold: %v", s.faults)
	}
	return nil
}
