//go:build wasip1

package simnet

import "sync"

// gate is what everything that a host reads, writes, opens and closes goes through: shut, the host stands still.
type gate struct {
	mu   sync.Mutex
	cond sync.Cond // of mu
	shut bool      // guarded by mu
}

// gate returns that of a host. Called with mu held.
func (n *Net) gate(host string) *gate {
	g := n.gates[host]
	if g == nil {
		g = &gate{}
		g.cond.L = &g.mu
		n.gates[host] = g
	}
	return g
}

// pass waits as long as the gate is shut.
func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.shut {
		g.cond.Wait()
	}
}

// Pause lets a host stand still, as a stopped process does: nothing that has arrived is read, nothing leaves, and
// nobody is told. Its timers run, but what they do reaches nobody before Resume.
func (n *Net) Pause(host string) { n.set(host, true) }

// Resume ends Pause.
func (n *Net) Resume(host string) { n.set(host, false) }

func (n *Net) set(host string, shut bool) {
	n.mu.Lock()
	g := n.gate(host)
	n.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.cond.Broadcast()
}
