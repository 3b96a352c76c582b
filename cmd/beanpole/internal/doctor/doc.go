// Package doctor looks at a live environment from outside, as a client would, and says what is wrong.
//
//	report, err := doctor.Run(ctx, doctor.Options{URL: "https://chat.example.com"})
//
// # Files
//
//   - doctor.go: Options, Report, Run; print.go: the table
//   - request.go: one request and who answered it; session.go: a polling session; websocket.go: a WebSocket
//   - reach.go: TLS, redirects, the handshake, the health path; sticky.go: cookies and instances;
//     cors.go: other origins; upgrade.go: WebSockets and the upgrade; body.go: sizes
//   - heartbeat.go: pings against idle timeouts; broadcast.go: from instance to instance; ramp.go: many
//     connections; watch.go: what clients see while something happens
//
// # Decisions
//
//   - 2026-11: checks send CONNECT packets for a namespace that does not exist. The server answers them, so that
//     the way there and back is seen, and no code of the application runs.
//   - 2026-11: who answered is told by headers: X-Beanpole is the application, Server: nginx without it is
//     nginx, awselb is the load balancer.
//   - 2026-11: what takes minutes or opens many connections is asked for: Deep, Connections, Watch.
package doctor
