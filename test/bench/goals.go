package main

import (
	"fmt"
	"io"
)

// goal is a promise about the ratio of two servers in one run.
type goal struct {
	text     string
	scenario string
	metric   string
	than     string  // the server compared with, best, or "" for Beanpole itself
	base     string  // without than: the metric compared with, or "" for the bare number
	ratio    float64 // Beanpole's figure over the other's
	atLeast  bool    // at least ratio; else at most
}

// best, as the server compared with, is the one of the peers that has the least, be it not in order.
const best = "best"

// ahead are the rows in which no peer is to come near: CPU at most 0.9 of the best one's. For broadcasts in flight the mark
// would be 1.5 of uWebSockets.js's, which is in no registry.
var ahead = []struct{ text, scenario, metric string }{
	{"echo, 1 outstanding", "echo", "w1 us"},
	{"echo, 16 outstanding", "echo", "w16 us"},
	{"echo, 64 outstanding", "echo", "w64 us"},
	{"echo 1 KiB, 1 outstanding", "echo", "1k us"},
	{"echo 1 KiB, 16 outstanding", "echo", "1kw16 us"},
	{"echo 1 KiB binary, 1 outstanding", "echo", "bin us"},
	{"upload of 8 KiB", "upload", "up8 us"},
	{"upload of 64 KiB", "upload", "up64 us"},
	{"upload of 512 KiB", "upload", "up512 us"},
	{"broadcast to 1,000", "broadcast", "all us"},
	{"broadcast to 1,000, 8 in flight", "broadcast", "all8 us"},
	{"broadcast to 1,000, 32 in flight", "broadcast", "all32 us"},
	{"broadcast to 10,000", "websocket", "all us"},
	{"rooms", "websocket", "room us"},
	{"handshake", "websocket", "connect us"},
	{"polling handshake", "polling", "connect us"},
	{"polling echo", "polling-echo", "poll us"},
	{"polling broadcast", "polling-echo", "all us"},
	{"cycles", "cycles", "cycle us"},
}

// goals is the list.
func goals() []goal {
	list := []goal{
		{"idle WebSocket session: memory at most 0.5 of Node's", "websocket", "bytes after gc", "node", "", 0.5, false},
		{"idle WebSocket session, parked in epoll: memory at most 0.25 of Node's", "websocket", "bytes after gc", "node", "", 0.25, false},
		{"idle polling session with its GET pending: memory at most 0.7 of Node's", "polling", "bytes after gc", "node", "", 0.7, false},
		{"echo, 1 outstanding: CPU at most 0.5 of Node's", "echo", "w1 us", "node", "", 0.5, false},
		{"echo, 1 outstanding: p99 no worse than Node's", "echo", "w1 p99", "node", "", 1, false},
		{"echo 1 KiB, 1 outstanding: CPU at most 0.5 of Node's", "echo", "1k us", "node", "", 0.5, false},
		{"echo 1 KiB binary, 1 outstanding: CPU at most 0.5 of Node's", "echo", "bin us", "node", "", 0.5, false},
		{"echo, 16 outstanding: at least 8 times Node's messages/s", "echo", "w16/s", "node", "", 8, true},
		{"echo, 64 outstanding: at least 8 times Node's messages/s", "echo", "w64/s", "node", "", 8, true},
		{"broadcast to 1,000: CPU at most 0.55 of Node's", "broadcast", "all us", "node", "", 0.55, false},
		{"broadcast to 1,000: CPU at most 1.15 of the limit's", "broadcast", "all us", "limit", "", 1.15, false},
		{"broadcast to 10,000: CPU at most 0.55 of Node's", "websocket", "all us", "node", "", 0.55, false},
		{"broadcast to 10,000: CPU at most 1.15 of the limit's", "websocket", "all us", "limit", "", 1.15, false},
		{"rooms: CPU at most 0.55 of Node's", "websocket", "room us", "node", "", 0.55, false},
		{"rooms: CPU at most 1.15 of the limit's", "websocket", "room us", "limit", "", 1.15, false},
		{"broadcast to 10,000: time to the last at most half of Node's", "websocket", "all last ms", "node", "", 0.5, false},
		{"polling echo: CPU at most 0.6 of Node's", "polling-echo", "poll us", "node", "", 0.6, false},
		{"connect rate: at least 2.5 times Node's", "websocket", "connect/s", "node", "", 2.5, true},
		{"cycles: memory at the end at most 1.1 of that after 5,000", "cycles", "rss after MB", "", "rss before MB", 1.1, false},
		{"cycles: no session left", "cycles", "left", "", "", 0, false},
		{"cluster broadcast: CPU at most 0.55 of Node's", "cluster", "all us", "node", "", 0.55, false},
		{"200 clients that stop reading: memory at most their outboxes", "slow-200", "growth MB", "", "bound MB", 1, false},
		{"200 clients that stop reading: p99 of the others within 2x", "slow-200", "p99 ms", "", "p99 before ms", 2, false},
		{"handlers that block on 1% of sockets: p99 of the others within 2x", "block", "p99", "", "p99 before", 2, false},
		{"GC pause budget: p99.9 of a paced echo beside 19,000 idle sessions within 2x of it alone", "pause", "beside p99.9", "", "alone p99.9", 2, false},
		{"handshake storm: p99 of the sessions there are within 2x", "storm", "p99", "", "p99 before", 2, false},
		{"idle WebSocket session: at most 2.5 KB", "websocket", "bytes after gc", "", "", 2500, false},
		{"paced echo: CPU at most 0.8 of Node's", "paced", "paced us", "node", "", 0.8, false},
		{"paced echo: p99 below that of every peer", "paced", "paced p99", best, "", 1, false},
	}
	for _, row := range ahead {
		list = append(list, goal{row.text + ": CPU at most 0.9 of the best peer's", row.scenario, row.metric, best, "", 0.9, false})
	}
	return list
}

// value returns the figure that g is about.
func (g *goal) value(r *results) (float64, bool) {
	switch {
	case g.than == best:
		return r.ratioToBest(g.scenario, g.metric, "beanpole")
	case g.than != "":
		return r.ratio(g.scenario, g.metric, "beanpole", g.than)
	case g.base != "":
		a, ok := r.median(g.scenario, "beanpole", g.metric)
		b, ok2 := r.median(g.scenario, "beanpole", g.base)
		return a / b, ok && ok2
	default:
		return r.median(g.scenario, "beanpole", g.metric)
	}
}

// printGoals writes which goals are met.
func printGoals(w io.Writer, r *results) {
	fmt.Fprint(w, "| goal | measured | |\n|---|--:|---|\n")
	for _, g := range goals() {
		v, ok := g.value(r)
		if !ok {
			continue
		}
		met := "**not met**"
		if g.atLeast && v >= g.ratio || !g.atLeast && v <= g.ratio {
			met = "met"
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", g.text, number(v), met)
	}
	fmt.Fprintln(w)
}
