// Package clients runs the Socket.IO clients that people have, from npm, against the server: versions
// 2.5, 3.1, 4.4 and 4.8, each over polling only, over WebSocket only and from one to the other.
//
// The tests are JavaScript (*.test.mjs, lib/) and run by node --test; clients_test.go builds the
// fixture (server/), starts them, and reports each feature of each client as a subtest of its own,
// with the table of all. Run alone with "npm test", they run against Node's own server
// (reference.mjs): that is how it is known that what they expect is what Node does.
//
//	make clients                          # against this server
//	cd test/clients && npm ci && npm test # against Node's
//
// # Decisions
//
// 2026-11: The fixture is a process of its own and not an httptest.Server, because the tests stop,
// freeze, kill and restart it.
//
// 2026-11: The clients run in Node, but for what a browser alone decides: cookies and pages of other
// origins (browser.test.mjs, skipped without Chromium).
package clients
