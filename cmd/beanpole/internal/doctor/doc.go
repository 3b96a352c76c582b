// Package doctor looks at a live environment from outside, as a client would, and says what is wrong.
//
//	report, err := doctor.Run(ctx, doctor.Options{URL: "https://chat.example.com"})
//
// # Files
//
//   - doctor.go: Options, the checks, Run; report.go: Result, Report, what several instances have in common;
//     print.go: the table
//   - client.go: requests that reach one instance; reply.go: an answer and who gave it; cause.go: what an answer or
//     an error means and what to do; particular.go: what another request tells of one that failed; session.go: a polling session; websocket.go: a WebSocket
//   - reach.go: TLS, addresses, redirects, caches; instances.go: who there is; alike.go: whether they are alike
//   - handshake.go: the handshake, the health path, CONNECT; sticky.go: cookies and stickiness; cluster.go: from
//     instance to instance; cors.go: other origins; upgrade.go: WebSockets and the upgrade; body.go: sizes
//   - heartbeat.go: pings against idle timeouts; ramp.go: many connections; watch.go: what clients see while
//     something happens
//
// # Decisions
//
//   - 2026-11: checks send CONNECT packets for a namespace that does not exist. The server answers them, so that
//     the way there and back is seen, and no code of the application runs.
//   - 2026-11: who answered is told by headers: X-Beanpole is the application, Server: nginx without it is
//     nginx, awselb is the load balancer.
//   - 2026-11-29: a check looks at one instance, and Run has it look at each: what is asked of whoever the balancer
//     chooses is said of an instance that is not known, and with two of them every second time.
//   - 2026-11-29: instances are found by requests that are no handshakes. They open nothing, no limit holds for them, and
//     they are not paired with others, by which a balancer that takes turns shows one instance only.
//   - 2026-11-29: what fails now and then is the fault of who meets it: of one instance when it alone does of those to whom
//     clients are kept, of what is in front when several do, of one that never answers when none does.
//   - 2026-11-29: what an instance has failed at is said once: checks of all leave it out then, or say no more of it.
//   - 2026-11-29: stickiness is what cookies do, not what they are called.
//   - 2026-11-30: a cause that would hold for every request to an instance is named when none is answered. Else a second request
//     is sent, which differs in one thing: what was said of one kind only by its status was wrong as often as not.
//   - 2026-11-30: an answer of another instance is taken where plain requests still come to the one looked at: something in front
//     sends that kind there, clients live with it, and where the two forward nothing is wrong.
//   - 2026-11-30: a watch is bounded by its time and a pace, not by the requests of a run, which a namespace with many events uses up:
//     the watch ended early, with ok. Its clients know the ping timeout of Node's; an instance that stands still ends nothing.
//   - 2026-11-30: of a check that was interrupted nothing is said, but of the last, the watch: what was on its way then has failed of it.
//   - 2026-11: what takes minutes or opens many connections is asked for: Deep, Connections, Watch.
package doctor
