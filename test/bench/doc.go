// Command bench measures Beanpole side by side with Node's Socket.IO, with the bare limit and with
// zishang's v2, and writes what it finds into docs/performance.md.
//
//	go run . [-quick] [-only regexp] [-servers list] [-rounds n] [-write]
//
// Every run is a fresh server process on a port of its own. The servers take turns (A B C, C B A, …), and
// medians over the rounds are compared within one scenario only. Package load has the generator.
//
//	main.go       flags, the order of runs
//	peers.go      the servers that Go does not build
//	process.go    a server's process: its processor time, its memory, its orders
//	scenario.go   what is measured: the list
//	measure.go    how: the runs
//	growth.go     how cost grows with sessions, rooms, namespaces and handlers
//	overload.go   clients that stop reading, storms of handshakes, cluster
//	results.go    numbers, medians, the file they are kept in
//	report.go     tables in markdown
//	goals.go      what was promised, and whether it is kept
//	plot.go       the picture
//
// # Decisions
//
// 2026-11-23: processor time of the server per message is the main figure, for it holds when neighbours
// use the machine; throughput is given beside it, together with the generator's own share of a core.
//
// 2026-11-23: a module of its own, so that what only the benchmark needs is nobody's dependency. It
// replaces quic-go by an older version, without which zishang's v2.5.0 does not compile.
package main
