// Package load puts load on a Socket.IO server, whoever's it is, and tells what became of every message.
//
//	report, err := load.Run(ctx, load.Options{URL: "http://127.0.0.1:3000", Sessions: 100, Arrival: 50, Rate: 1000, Event: "echo"})
//
// # Files
//
//   - options.go: Options and their bounds; reach.go: which addresses are dialled, and which are refused
//   - run.go: the course of a run: a trial, arrivals, the load, the end; pace.go, nap_linux.go, nap_other.go: what is due, when it is; end.go: what came of it
//   - session.go: one session, by package client; tap.go: every packet of it, as it comes and goes
//   - message.go: the number by which a message is known again; book.go: what was sent, and what came of it; row.go: broadcasts in it
//   - report.go: Report; print.go, html.go and page.html: its forms
//   - process.go, process_other.go: open files and processor time of this process
//
// # Decisions
//
//   - 2026-11: sessions are those of package client, which reconnects, upgrades and polls as applications' clients do. A generator of
//     prebuilt frames, as that of the benchmarks, is ten times cheaper a message; what this one costs is in docs/load.md.
//   - 2026-11: packets are looked at in the Parser that the client is given. There, an acknowledgement that comes twice is still
//     seen, and no handler's turn is part of a latency.
//   - 2026-11: the number of a message is a word inside a string argument, and is looked for in the bytes of whatever comes. So nothing
//     has to be known of the events by which an application passes a message on, and nothing is remembered of those on their way.
//   - 2026-11: messages are sent when they are due, whether or not earlier ones were answered, and latencies count from then. A loop
//     that waits for answers sends least when the server is slowest, and so leaves out what it is there to show.
//   - 2026-11: connections go to the addresses that the name had at the start and nowhere else: what was allowed is what is reached,
//     whatever is redirected or resolved anew.
//   - 2026-11: github.com/HdrHistogram/hdrhistogram-go counts latencies, in fixed memory at three digits. github.com/go-analyze/charts draws
//     them as SVG within the page, which needs no network then, with four small modules; go-echarts has the page load a script from
//     elsewhere, gonum.org/v1/plot brings eight modules and three times the bytes.
package load
