// Package clients runs the Socket.IO clients that people have against the server, each over polling only,
// over WebSocket only and from one to the other. There are two suites, and tests of clients of ours:
//
// TestClients runs the clients of npm, versions 2.5, 3.1, 4.4 and 4.8, through everything they offer. Its
// tests are JavaScript (*.test.mjs, lib/) and run by node --test; each feature of each client becomes a
// subtest.
//
// TestMatrix runs the clients of every language through the same few cells: connect, auth, acknowledgements
// both ways, binary, namespaces, reconnection after a cut, recovery, and life behind a balancer with cookies
// in front of two nodes (balancer_test.go), set as docs/clients.md says. Each language has a program in
// programs/ that prints one line of JSON for each cell, Go with package client; programs_test.go, java_test.go, python_test.go and
// rust_test.go start them, and fetch what they need, held to checksums.
//
// TestGoClient has package client do all it can on Node's server and on ours, with one and the same expectation of both, and
// TestGoClientOfNodesServer runs its cells of the matrix, with cuts, recovery and two nodes, on Node's.
//
// TestLoadOfNodesServer is the other way round: beanpole load on Node's server, with the handlers of docs/load.md.
//
// The servers are a fixture (server/) in a process of its own. With -reference they are Node's
// (reference.mjs): that is how it is known that what the tests expect is what Node does.
//
//	make clients                           # both, with Rust, and the tables at the end
//	go test ./test/clients                 # both, without Rust
//	go test ./test/clients -reference      # against Node's server
//
// # Decisions
//
// 2026-11: The fixture is a process of its own and not an httptest.Server, because the tests stop,
// freeze, kill and restart it.
//
// 2026-11: The programs of TestMatrix run all their cells in one start and side by side, since a test that is
// run every day must not wait for a JVM twice. Rust takes minutes to compile and so a flag.
//
// 2026-11: The npm clients run in Node, but for what a browser alone decides: cookies and pages of other
// origins (browser.test.mjs, skipped without Chromium).
package clients
