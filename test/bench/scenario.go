package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// scenario is something measured with several variants.
type scenario struct {
	name     string
	variants []variant // in the order of the table; ratios are to the first
	rounds   int       // at most; zero means as many as asked for
	full     bool      // left out of a quick run
	redis    bool      // wants a Redis, and servers that are joined by it
	run      func(*run) error
	tables   []table
}

// variant is what takes its turn in a scenario: a server, or a server with so much of something.
type variant struct {
	name   string
	server string
	n      int
	args   []string // of the server; see start
}

// servers makes variants of servers with default options.
func servers(names ...string) []variant {
	out := make([]variant, len(names))
	for i, name := range names {
		out[i] = variant{name: name, server: name}
	}
	return out
}

// amounts makes variants of Beanpole that differ in an amount; arg, if not empty, is the option that
// tells it.
func amounts(arg string, of ...int) []variant {
	out := make([]variant, len(of))
	for i, n := range of {
		out[i] = variant{name: group(int64(n)), server: "beanpole", n: n}
		if arg != "" {
			out[i].args = []string{arg, fmt.Sprint(n)}
		}
	}
	return out
}

// table is a part of a scenario's metrics.
type table struct {
	title   string
	columns []column
}

// column is one metric. title has its unit.
type column struct{ metric, title string }

var (
	all       = servers("node", "bun", "socketioxide", "beanpole", "limit", "zishang")
	noLimit   = servers("node", "bun", "socketioxide", "beanpole", "zishang")
	uploaders = servers("node", "bun", "socketioxide", "beanpole")
	onlyOwn   = servers("beanpole")
	withNode  = servers("node", "beanpole")
	echoForms = []struct{ name, title string }{
		{"w1", "Echo, 32 B, 1 outstanding"},
		{"w16", "Echo, 32 B, 16 outstanding"},
		{"w64", "Echo, 32 B, 64 outstanding"},
		{"1k", "Echo, 1 KiB, 1 outstanding"},
		{"1kw16", "Echo, 1 KiB, 16 outstanding"},
		{"bin", "Echo, 1 KiB binary, 1 outstanding"},
	}
)

func echoTable(name, title string) table {
	return table{title, []column{
		{name + "/s", "messages/s"}, {name + " us", "CPU µs/message"},
		{name + " p50", "p50 µs"}, {name + " p99", "p99 µs"}, {name + " p99.9", "p99.9 µs"}, {name + " busy", "generator busy"},
	}}
}

func broadcastTable(name, title string) table {
	return table{title, []column{
		{name + "/s", "deliveries/s"}, {name + " us", "CPU µs/delivery"},
		{name + " last ms", "time to the last client, ms"}, {name + " busy", "generator busy"},
	}}
}

func idleTables(what string) []table {
	return []table{
		{"Idle " + what, []column{
			{"bytes", "RSS bytes/session"}, {"bytes after gc", "after a collection"}, {"goroutines", "goroutines/session"},
		}},
		{"Connecting " + what, []column{
			{"connect/s", "sessions/s"}, {"connect us", "CPU µs/session"}, {"connect busy", "generator busy"},
		}},
	}
}

// sessionAmounts is how many sessions the growth of cost is shown for: 50,000 too where a process may have so
// many descriptors, or this one, as root, may raise that.
func sessionAmounts() []int {
	const wanted = 52000
	n := []int{1000, 10000, 19000}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return n
	}
	if limit.Max < wanted && unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: wanted, Max: wanted}) != nil {
		return n
	}
	return append(n, 50000)
}

// scenarios is the list.
func scenarios() []scenario {
	var echo []table
	for _, f := range echoForms {
		echo = append(echo, echoTable(f.name, f.title+" (100 sessions)"))
	}
	return []scenario{
		{name: "echo", variants: all, run: echoes, tables: echo},
		{name: "host", variants: []variant{{name: "library", server: "beanpole"}, {name: "host", server: "beanpole", args: []string{"-host"}}},
			run: hosts, tables: append([]table{
				{"In a host", []column{{"connect us", "CPU µs/handshake"}, {"connect/s", "handshakes/s"}}}}, echo[:2]...)},
		{name: "upload", variants: uploaders, run: uploads, tables: []table{
			echoTable("up8", "Upload, 8 KiB, 1 outstanding (20 sessions)"),
			echoTable("up64", "Upload, 64 KiB, 1 outstanding (20 sessions)"),
			echoTable("up512", "Upload, 512 KiB, 1 outstanding (20 sessions)"),
		}},
		{name: "broadcast", variants: all, run: broadcast1000, tables: []table{
			broadcastTable("all", "Broadcast, 128 B to 1,000 sessions"),
			broadcastTable("all8", "The same, 8 in flight"),
			broadcastTable("all32", "The same, 32 in flight"),
		}},
		{name: "websocket", variants: all, run: webSockets, tables: append(idleTables("WebSocket sessions (10,000)"),
			broadcastTable("all", "Broadcast, 128 B to 10,000 sessions"),
			broadcastTable("room", "Rooms, 128 B to one of 100 rooms of 100 sessions, 8 at once"),
		)},
		{name: "polling", variants: noLimit, run: polls, tables: idleTables("polling sessions with their GET pending (8,000)")},
		{name: "polling-echo", variants: noLimit, run: pollEchoes, tables: []table{
			echoTable("poll", "Polling echo, 32 B, 1 outstanding (100 of 1,000 sessions)"),
			broadcastTable("all", "Polling broadcast, 128 B to 1,000 sessions"),
		}},
		{name: "paced", variants: all, run: paced, tables: []table{
			echoTable("paced", "Echo at 12,000 messages/s over 1,000 sessions, from the time each was due"),
		}},
		{name: "cycles", variants: all, rounds: 1, run: cycles, tables: []table{
			{"Connect, echo, disconnect: 100,000 cycles, 100 at a time (one round; limit and zishang 20,000)", []column{
				{"cycles/s", "cycles/s"}, {"cycle us", "CPU µs/cycle"}, {"rss before MB", "RSS MB after 5,000"},
				{"rss after MB", "RSS MB at the end"}, {"heap bytes", "heap growth, bytes/cycle"},
				{"left", "sessions left"}, {"cycle busy", "generator busy"},
			}},
		}},
		{name: "cluster", variants: withNode, redis: true, run: cluster, tables: []table{
			broadcastTable("all", "Cluster: broadcast, 128 B to 1,000 sessions on two servers joined by Redis (CPU of both)"),
		}},
		{name: "slow", variants: withNode, rounds: 1, run: oneSlow, tables: []table{
			{"One of 11 clients stops reading during 1,000 broadcasts of 64 KiB", []column{
				{"seconds", "seconds"}, {"growth MB", "RSS growth at the peak, MB"},
			}},
		}},
		{name: "slow-200", variants: []variant{{name: "beanpole", server: "beanpole",
			args: []string{"SNDBUF=65536", "-backlog", "262144"}}}, rounds: 1, full: true, run: manySlow, tables: []table{
			{"200 of 10,000 clients stop reading: broadcasts of 8 KiB, 3 a second, outboxes of at most 256 KiB", []column{
				{"p50 before ms", "p50 before, ms"}, {"p50 ms", "p50 of the others, ms"},
				{"p99 before ms", "p99 before, ms"}, {"p99 ms", "p99 of the others, ms"},
				{"growth MB", "RSS growth at the peak, MB"}, {"bound MB", "200 outboxes, MB"}, {"left", "sessions closed of the 200"},
			}},
		}},
		{name: "storm", variants: []variant{
			{name: "beanpole", server: "beanpole", n: 20000, args: []string{"-handshakes", "1000"}},
			{name: "node, of 15,000", server: "node", n: 15000}, // it lets all in, for which there must be descriptors
		}, rounds: 1, full: true, run: storm, tables: []table{
			{"20,000 clients in 5 s, 1,000 handshakes a second admitted; 1,000 sessions echo 2,000 messages/s meanwhile", []column{
				{"in", "let in"}, {"refused", "answered 503 with Retry-After"}, {"p50 before", "p50 before, µs"},
				{"p50 elsewhere", "p50, storm at another server"}, {"p50", "p50 during, µs"}, {"p99 before", "p99 before, µs"},
				{"p99 elsewhere", "p99, storm at another server"}, {"p99", "p99 during, µs"}, {"storm p99 ms", "handshake p99, ms"},
			}},
		}},
		{name: "block", variants: onlyOwn, rounds: 1, full: true, run: block, tables: []table{
			{"Handlers that block 1 s on 1% of 1,000 sockets; the others echo 5,000 messages/s", []column{
				{"p50 before", "p50 before, µs"}, {"p50", "p50 during, µs"}, {"p99 before", "p99 before, µs"}, {"p99", "p99 during, µs"},
			}},
		}},
		{name: "pause", variants: onlyOwn, rounds: 1, full: true, run: pause, tables: []table{
			echoTable("alone", "Echo at 5,000 messages/s over 500 sessions, alone"),
			echoTable("beside", "The same beside 19,000 idle sessions"),
		}},
		{name: "grow-sessions", variants: amounts("", sessionAmounts()...), rounds: 1, full: true, run: growSessions, tables: []table{
			{"Growth with sessions", []column{
				{"bytes after gc", "RSS bytes/session"}, {"connect us", "CPU µs/connect"}, {"all us", "broadcast: CPU µs/delivery"},
				{"w1 us", "echo over 100 of them: CPU µs/message"},
			}},
		}},
		{name: "grow-rooms", variants: amounts("", 1, 10, 100, 1000), rounds: 1, full: true, run: growRooms, tables: []table{
			{"Growth with rooms per socket (1,000 sockets in the same rooms)", []column{
				{"join us", "CPU µs/join"}, {"bytes", "RSS bytes/membership"}, {"w1 us", "echo: CPU µs/message"},
			}},
		}},
		{name: "grow-namespaces", variants: amounts("", 10, 100, 1000, 10000), rounds: 1, full: true, run: growNamespaces, tables: []table{
			{"Growth with namespaces (10,000 sessions spread over them)", []column{
				{"bytes after gc", "RSS bytes/session"}, {"connect us", "CPU µs/connect"},
			}},
		}},
		{name: "grow-handlers", variants: amounts("-handlers", 1, 10, 100), rounds: 1, full: true, run: growHandlers, tables: []table{
			{"Growth with handlers per socket (2,000 sessions)", []column{
				{"bytes after gc", "RSS bytes/session"}, {"connect us", "CPU µs/connect"}, {"w1 us", "echo: CPU µs/message"},
			}},
		}},
	}
}
