// Package host makes a Socket.IO application out of handlers: it reads the configuration from the
// environment, mounts the server beside the application's own routes and files, answers health checks,
// writes the logs and stops in order.
//
//	func main() {
//		host.Main(func(h *host.Host) error {
//			h.IO().OnConnection(func(s *server.Socket) { … })
//			return nil
//		})
//	}
//
// Main is all that most programs need; MainWith is for those with settings of their own. Those that want the parts use FromEnv, New and Host.Run.
//
// # Files
//
//   - config.go: Config, one field a variable
//   - environment.go: Config from the environment, and the one line about a bad value; allowed.go: which values may be; problems.go: all that is wrong with
//     one, for beanpole lint
//   - variables.go: names that are no variable's, and variables that do nothing
//   - options.go: Config as the server's own options
//   - application.go: what a host carries, of package server or package zishang
//   - host.go: Host, its routes, its life; run.go: signals and the graceful stop
//   - log.go: the log, for whose reader nobody waits; accept.go: what is said when there are no descriptors left
//   - router.go: the gin router; access.go: the access log; static.go: files, compress.go: their compressed form, change.go: whether they are those still
//   - client.go: the client bundle; health.go: /healthz and /livez
//   - tls.go: https, and the certificate that is read again
//   - proxy.go: the client's address behind trusted proxies
//   - drain.go: sessions closed a few at a time; admin.go: the loopback listener that a deployment drains
//     by; exchange.go: how long a request waits for its client; connections.go: those that a stop
//     does not wait for
//   - adminui.go: the Admin UI by variables; tracing.go: OpenTelemetry by variables,
//     otlp.go: spans on their way to a collector
//   - memory.go: the limit of the process, and sessions refused before it
//   - cloudwatch.go: figures for CloudWatch, by lines of a log; healthd.go: the log of Elastic Beanstalk's enhanced health
//   - lifecycle.go: what is done when AWS takes the instance away; imds.go, autoscaling.go: whom it asks and tells
//   - instance.go: the header that says who answered; probe.go: the namespace of beanpole doctor
//   - cluster.go: where REDIS_URL becomes an adapter; requests.go: what it asks other servers, measured
//   - metrics.go, cluster_metrics.go, drain_metrics.go: the address of the metrics; the cluster and drains, for Prometheus
//
// # Decisions
//
//   - 2026-11: variables are named BEANPOLE_ but for PORT, HOST and REDIS_URL, which platforms set.
//     Switches are off by default and named for what they turn on or off, so that the zero Config is the
//     default Config.
//   - 2026-11: the client's address is counted from the right of X-Forwarded-For by the number of
//     proxies in front. The left-most entry is whatever the client sent.
//   - 2026-11: allowed origins are enforced at the handshake too. CORS alone does not stop a page of
//     another site from opening a WebSocket with the visitor's cookies.
//   - 2026-11: allowed hosts hold for every route but health checks, which load balancers ask for by address. The
//     rule is the transport's (RefuseHost), so that its counters and hooks see every refusal.
//   - 2026-11: the route of Socket.IO is added last, when the host listens: gin's Use is for routes that come later, and
//     an application's guard has to hold for Socket.IO too. Health checks are there from the start, without it.
//   - 2026-11: requests of the protocol pass the router by where no middleware of the application's and no log is to see
//     them: what the router and the host's own middlewares did for them was a twentieth of a handshake.
//   - 2026-11: with a certificate the port speaks HTTP/1.1 alone. WebSockets need it, and a stop looks at connections, of
//     which each has one request at a time.
//   - 2026-11: spans are sent by an exporter of our own. The official one brings gRPC along, even for HTTP:
//     examples/chat is 51 MB with it, 33 MB with ours and 32 MB with none.
//   - 2026-11: http.Server has neither ReadTimeout nor WriteTimeout, which count from the request's beginning: they
//     would cut polls that wait and what is large, and a ReadTimeout ends a handler's context. The deadlines are
//     each request's: for a body that has not come, and for each part of an answer. IdleTimeout is above the keep-alive time of nginx and of load balancers, so that it is never
//     the server that closes a connection which a proxy is about to use.
package host
