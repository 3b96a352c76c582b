package main

// Slots of a Redis Cluster on the way from one master to another, key by key. The rules stand here without the rest of the
// model, so that one script asks them and a real Redis: TestSlotsAreAsRedisHasThem. Source: redis.io, Redis cluster
// specification, ASK redirection, multiple keys operations; cluster.c, getNodeByQuery.

// holding is what a master has to do with a slot.
type holding struct {
	mine  bool
	goes  bool // it is on its way to another (MIGRATING)
	comes bool // it is on its way from another (IMPORTING)
}

// refusal begins the error with which a command is answered; it is empty when the command is carried out. has says of each of
// its keys whether it is there; of a sharded channel that does not matter.
func (h holding) refusal(has map[string]bool, channel, asking bool) string {
	here := 0
	for _, x := range has {
		if x || channel {
			here++
		}
	}
	switch all := here == len(has); {
	case !h.mine && !(h.comes && asking):
		return "MOVED"
	case all || h.mine && !h.goes || !h.mine && len(has) == 1: // one that is new is made where the slot goes
		return ""
	case h.mine && here == 0:
		return "ASK"
	}
	return "TRYAGAIN" // until all are at one place
}

// asker is what a connection has said before: ASKING is of the next command, or of the next transaction, which is looked at
// again when it is carried out.
type asker struct {
	asking, multi bool
	keys          []string // of the transaction
	last          int      // of these, of the last command
}

// next takes a command for these keys, if it is for any, and reports whether ASKING is said of it, and which keys are to be
// looked for.
func (a *asker) next(cmd string, keys ...string) (asking bool, of []string) {
	asking = a.asking
	switch cmd {
	case "ASKING":
		a.asking = true
		return asking, nil
	case "MULTI":
		a.multi = true
	case "EXEC":
		keys = a.keys
		fallthrough
	case "DISCARD":
		a.multi, a.keys = false, nil
	}
	if a.last = 0; a.multi {
		a.keys, a.last = append(a.keys, keys...), len(keys)
	}
	a.asking = a.asking && a.multi
	return asking, keys
}

// refused takes the last command out of the transaction again.
func (a *asker) refused() {
	a.keys, a.last = a.keys[:len(a.keys)-a.last], 0
}
