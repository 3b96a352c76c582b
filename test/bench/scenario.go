package main

// scenario is something measured with every server in its list.
type scenario struct {
	name    string
	servers []string // in the order of the table; ratios are to the first
	rounds  int      // at most; zero means as many as asked for
	full    bool     // left out of a quick run
	args    []string // of the server
	run     func(*run) error
	tables  []table
}

// table is a part of a scenario's metrics.
type table struct {
	title   string
	columns []column
}

// column is one metric. title has its unit.
type column struct{ metric, title string }

var (
	all       = []string{"node", "beanpole", "limit", "zishang"}
	noLimit   = []string{"node", "beanpole", "zishang"}
	onlyOwn   = []string{"beanpole"}
	withNode  = []string{"node", "beanpole"}
	echoForms = []struct{ name, title string }{
		{"w1", "Echo, 32 B, 1 outstanding"},
		{"w16", "Echo, 32 B, 16 outstanding"},
		{"w64", "Echo, 32 B, 64 outstanding"},
		{"1k", "Echo, 1 KiB, 1 outstanding"},
		{"1k w16", "Echo, 1 KiB, 16 outstanding"},
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

// scenarios is the list.
func scenarios() []scenario {
	var echo []table
	for _, f := range echoForms {
		echo = append(echo, echoTable(f.name, f.title+" (100 sessions)"))
	}
	return []scenario{
		{name: "echo", servers: all, run: echoes, tables: echo},
		{name: "broadcast", servers: all, run: broadcast1000, tables: []table{
			broadcastTable("all", "Broadcast, 128 B to 1,000 sessions"),
		}},
		{name: "websocket", servers: all, run: webSockets, tables: append(idleTables("WebSocket sessions (10,000)"),
			broadcastTable("all", "Broadcast, 128 B to 10,000 sessions"),
			broadcastTable("room", "Rooms, 128 B to one of 100 rooms of 100 sessions, 8 at once"),
		)},
		{name: "polling", servers: noLimit, run: polls, tables: idleTables("polling sessions with their GET pending (8,000)")},
		{name: "polling-echo", servers: noLimit, run: pollEchoes, tables: []table{
			echoTable("poll", "Polling echo, 32 B, 1 outstanding (100 of 1,000 sessions)"),
			broadcastTable("all", "Polling broadcast, 128 B to 1,000 sessions"),
		}},
		{name: "paced", servers: all, run: paced, tables: []table{
			echoTable("paced", "Echo at 12,000 messages/s over 1,000 sessions, from the time each was due"),
		}},
		{name: "cycles", servers: all, rounds: 1, run: cycles, tables: []table{
			{"Connect, echo, disconnect: 100,000 cycles, 100 at a time (one round)", []column{
				{"cycles/s", "cycles/s"}, {"cycle us", "CPU µs/cycle"}, {"rss before MB", "RSS MB after 5,000"},
				{"rss after MB", "RSS MB at the end"}, {"heap bytes", "heap growth, bytes/cycle"},
				{"left", "sessions left"}, {"cycle busy", "generator busy"},
			}},
		}},
	}
}
