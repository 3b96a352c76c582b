// Package e2e runs a Beanstalk environment on loopback and looks at it with real clients: HAProxy as the load
// balancer, two instances of nginx on the platform's own files with this repository's overlay, the application
// behind each, and Redis. Everything listens on 127.0.0.1, but the applications, which nginx knows by several
// addresses; and ends with its test.
//
// # Files
//
//   - environment_test.go: the environment; process_test.go: its programs; clients_test.go: socket.io-client
//   - through_test.go: every way through it; deploy_test.go: deployments in Beanstalk's own order;
//     fault_test.go: what clients see when a part ends; scalein_test.go: when an instance is taken away
//   - app/: the application; clients.mjs: many clients in one process; haproxy.cfg
//   - direct_test.go: the variant direct, past nginx; compare_test.go: what it saves. With -direct all tests run on it
//   - hooks_test.go: hooks of the bundle; ports_test.go: more WebSockets than ports, in a network of its own;
//     hosts_test.go: containers of one address on two hosts, in networks of theirs; apart_test.go: with -hosts all
//     tests run on such hosts
//
// # Decisions
//
//   - 2026-11: the timers of the load balancer are a tenth of the real ones, and so are the pings.
//   - 2026-11: what cannot be emulated here is not claimed: encryption of the cookies, several nodes of one
//     load balancer, and how long the real one keeps WebSockets of a deregistered instance.
package e2e
