package main

// whole reports whether the node keeps what it has published, for all that a run takes, and was in the list of servers
// all the time.
func (n *node) whole() bool { return !n.forgets && !n.parted && !n.dead && !n.draining && !n.closed }

// givenUp checks that nothing of a server is counted as lost by another that the server still keeps: who missed it could
// have had it. Where servers share streams, a stream that Redis has lost may have lost what nobody has seen.
func (w *world) givenUp() {
	if !w.plan.Redis() || w.plan.Streams() {
		return
	}
	for _, by := range w.slots {
		lost := by.cluster.Stats()
		for _, of := range w.slots {
			w.mu.Lock()
			judged := by != of && by.whole() && of.whole()
			w.mu.Unlock()
			if k := lost.LostOf[of.cluster.UID()]; judged && k > 0 {
				w.violated("given-up", of.name, "%s counts %d events of %s as lost, which keeps all: %v", by.name, k, of.name, lost.Lost)
			}
		}
	}
}
