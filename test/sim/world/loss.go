package main

// losses are the events that lives have missed and that servers must have counted, by who missed them, which is nil in
// streams modes, and by who emitted them.
type losses map[[2]*node]map[*emission]bool

func (x losses) add(by, of *node, e *emission) {
	key := [2]*node{by, of}
	if x[key] == nil {
		x[key] = map[*emission]bool{}
	}
	x[key][e] = true
}

// published is how much the node has lost of what it was to publish.
func (n *node) published() uint64 {
	lost := n.cluster.Stats().Lost
	return lost["outbox full"] + lost["too old"] + lost["refused"] + lost["unconfirmed"] + lost["closed"]
}

// lacks reports whether the node has counted something of another as lost, which keeps little: what that is, is compared
// in the end.
func (n *node) lacks(of *node) bool {
	return of.forgets && n.cluster != nil && n.cluster.Stats().LostOf[of.cluster.UID()] > 0
}

// check compares the losses with what servers have counted, and returns those of which too few are.
func (x losses) check(w *world) (short []shortfall) {
	for _, of := range w.all {
		for _, by := range append([]*node{nil}, w.all...) {
			list := x[[2]*node{by, of}]
			if len(list) == 0 || by != nil && (by.dead || by.draining) {
				continue // who is to count has ended
			}
			counted := of.published()
			if by != nil {
				counted += by.cluster.Stats().LostOf[of.cluster.UID()]
			} else {
				for _, n := range w.all {
					counted += n.cluster.Stats().LostOf[of.cluster.UID()]
				}
			}
			if uint64(len(list)) > counted {
				short = append(short, shortfall{by, of, first(list), len(list), counted})
			}
		}
	}
	return short
}

// shortfall is what has been lost of a node and not counted.
type shortfall struct {
	by, of  *node
	e       *emission
	lost    int
	counted uint64
}

// first is the one that was emitted first.
func first(list map[*emission]bool) (e *emission) {
	for x := range list {
		if e == nil || x.from < e.from {
			e = x
		}
	}
	return e
}

// full reports whether more was to be published than the node's outbox holds, once.
func (n *node) full() bool { return n.cluster != nil && n.cluster.Stats().Lost["outbox full"] > 0 }
