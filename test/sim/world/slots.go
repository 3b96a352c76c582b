package main

// Slots of a Redis Cluster on the way from one master to another, key by key. The rules stand here without the rest of the
// model, so that one script asks them and a real Redis: TestSlotsAreAsRedisHasThem. Source: redis.io, Redis cluster
// specification, ASK redirection; cluster.c, getNodeByQuery. What is not played: commands with several keys, of which some have
// gone (TRYAGAIN).

// holding is what a master has to do with a slot.
type holding struct {
	mine  bool
	goes  bool // it is on its way to another (MIGRATING)
	comes bool // it is on its way from another (IMPORTING)
}

// refusal begins the error with which a command for a key, or a sharded channel, is answered; it is empty when the command is
// carried out.
func (h holding) refusal(has, channel, asking bool) string {
	switch {
	case h.mine && h.goes && !has && !channel:
		return "ASK"
	case h.mine, h.comes && asking:
		return ""
	}
	return "MOVED"
}

// asker is what a connection has said before: ASKING is of the next command, or of the next transaction, which is looked at
// again when it is carried out.
type asker struct {
	asking, multi bool
	keys          []string // of the transaction
}

// next takes a command for a key, if it is for one, and reports whether ASKING is said of it, and which keys are to be there.
func (a *asker) next(cmd, key string) (asking bool, keys []string) {
	asking = a.asking
	if key != "" {
		keys = []string{key}
	}
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
	if a.multi {
		a.keys = append(a.keys, keys...)
	}
	a.asking = a.asking && a.multi
	return asking, keys
}

// refused takes the last command out of the transaction again.
func (a *asker) refused() {
	if k := len(a.keys); k > 0 {
		a.keys = a.keys[:k-1]
	}
}
