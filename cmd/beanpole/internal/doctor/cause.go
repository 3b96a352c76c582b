package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// cause is why something has failed, and what to change where.
type cause struct {
	verdict   Verdict
	means, do string
}

// roomFor is what to do about a server that takes no more sessions.
const roomFor = "the application's log says which limit it is: short of memory (BEANPOLE_MEMORY_PERCENT, which the bundle sets: more instances, or larger ones), " +
	"BEANPOLE_MAX_SESSIONS or BEANPOLE_HANDSHAKES_PER_SECOND"

// toTLS matches what nginx, Apache and Go answer to plain HTTP.
var toTLS = regexp.MustCompile(`(?i)plain HTTP (request )?(was sent )?to (an )?(HTTPS|SSL)|HTTP request to an HTTPS`)

var changedQuery = cause{Failure, "the query does not arrive as it was sent: something on the way drops or changes it",
	"forward the whole query, letter by letter: in CloudFront the policy AllViewer; no rewrite in nginx that builds it anew"}

// broken is the finding that what does not work, for the cause of err.
func (d *doctor) broken(err error, what string) Result {
	c := explain(err)
	if unknown(err) && len(d.clients) == 1 {
		c.means = "the session is not known to the one instance there is: its id is changed on the way, or the application has started anew"
		c.do = "forward the whole query, letter by letter; see whether the application ends again and again (web.stdout.log)"
	}
	return Result{Verdict: c.verdict, Seen: say(err), Means: what + ": " + c.means, Do: c.do}
}

// explain finds the cause of an error or of an answer that is not the expected one. It is the one place where that is
// decided: what a check adds is what does not work because of it.
func explain(err error) cause {
	var answer errAnswer
	if errors.As(err, &answer) {
		return answer.cause()
	}
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	var timeout net.Error
	var op *net.OpError
	var moved errMoved
	switch {
	case errors.As(err, &moved) && moved.blind:
		return cause{Warning, "the instance was taken out while it was looked at, or few requests come to it", "run doctor again; a deployment, a scale-in or the health check takes instances out"}
	case errors.As(err, &moved):
		return cause{Warning, "the instance was taken out while it was looked at", "run doctor again; a deployment, a scale-in or the health check has taken it out"}
	case errors.Is(err, errClosed):
		return cause{Warning, "the application itself has closed the session: events beyond a limit (the doctor sends a few at once), a drain, or code of its own",
			"see the application's log, and BEANPOLE_EVENTS_PER_SECOND, which counts CONNECT too, and those of an address (_PER_ADDR) and identity"}
	case errors.As(err, &certificate):
		return certified(certificate)
	case errors.As(err, new(errHandshake)):
		return cause{Failure, "browsers refuse such an answer to a WebSocket handshake: it is not the application's, or changed on the way",
			"see what answers or rewrites headers in front of the application: a CDN that remembers answers, a proxy that speaks WebSocket itself"}
	case errors.As(err, &name):
		return cause{Failure, "the name leads nowhere", "see the DNS record: an alias of the environment's load balancer"}
	case strings.Contains(err.Error(), "tls: no application protocol"): // an alert, whose type nobody else can name
		return cause{Failure, "what ends TLS speaks HTTP/2 alone: WebSockets come over HTTP/1.1, and so do many clients",
			"let it offer http/1.1 too: a network load balancer's AlpnPolicy HTTP2Preferred or HTTP1Preferred"}
	case errors.As(err, new(tls.RecordHeaderError)), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return cause{Failure, "what listens there speaks no TLS", "Protocol: HTTPS and SSLCertificateArns for the listener: port 443 alone does not make it one of HTTPS"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return cause{Failure, "nobody listens", "see that the environment is up, its listener on this port is on, and the name is that of the environment"}
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EHOSTUNREACH):
		return cause{Failure, "this machine has no way to the address: no IPv6 here, or no network", "run doctor where there is one; a name that has an A record too is reached without IPv6"}
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return cause{Failure, "no connection comes about: packets to this port are dropped", "let the port in: the security group of the load balancer, its listener, and the name it is reached by"}
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return cause{Failure, "the request is taken and not answered: the application is frozen or overloaded, or what is on the way drops packets",
			"see processor and memory of the instance, the goroutines of the application (/debug/pprof/ of its admin listener), and restart it"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return cause{Failure, "the connection is closed without an answer", "see error.log of nginx (worker_connections), and firewalls that inspect what goes through"}
	case strings.Contains(err.Error(), "transport connection broken"): // by what was read of it, whose errors have no type
		return cause{Failure, "what answers sends no HTTP that a client can read: another protocol, a header that is none, or headers or answers of 1xx without end",
			"see what listens there, and what adds headers to answers"}
	}
	return cause{Failure, "it is refused on the way", "see the log of who refuses"}
}

// errClosed is returned when the application has closed a session in its own way, which nothing on the way does.
var errClosed = errors.New("the server closed the session")

// lost is a failure of what a session was to carry, unless the application has closed it.
func (d *doctor) lost(err error, seen, means, do string) Result {
	if errors.Is(err, errClosed) {
		return d.broken(err, means)
	}
	return fail(seen+say(err), means, do)
}

// certified says what is wrong with a certificate.
func certified(err *tls.CertificateVerificationError) cause {
	c := cause{Failure, "browsers refuse the certificate", "a certificate for this very name, in force, with its chain"}
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if ago := time.Since(invalid.Cert.NotAfter); ago > 0 {
			c.means += fmt.Sprintf(": it ended %s ago", several(int(ago.Hours()/24+0.5), "day"))
			c.do = "renew it: Certificate Manager does so by itself where the name can be validated by DNS. See which certificate the listener has"
		} else {
			c.means += ": it is not in force yet, or the clock of this machine is wrong"
		}
	case errors.As(err, &name):
		names := append(slices.Clone(name.Certificate.DNSNames), addresses(name.Certificate)...)
		c.means += fmt.Sprintf(": it is of %s, and not of %s", orElse(strings.Join(names, ", "), "nobody"), name.Host)
		c.do = "add a certificate of this name to the listener (SSLCertificateArns takes several), and see that the name leads to this environment: a server that does not know the name sends another's"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		c.means += ": nobody that browsers trust has signed it, or it is sent without those between"
	}
	return c
}

func addresses(c *x509.Certificate) (list []string) {
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return list
}

// cause is why the answer is what it is.
func (r *reply) cause() cause {
	by := r.by()
	switch {
	case r.status == http.StatusBadRequest && by != byApplication && toTLS.Match(r.body):
		return cause{Failure, "what listens there speaks TLS alone", "connect to https://, and give it in the URL"}
	case r.status/100 == 3:
		return cause{Failure, by + " redirects, which neither WebSockets nor POSTs follow", "connect to where it leads, or leave " + "the Socket.IO path out of the redirect"}
	case r.status == http.StatusTooManyRequests && by == byApplication:
		return cause{NotApplicable, "this address has as many sessions as the server allows one", "see the check of limits"}
	case r.status == http.StatusTooManyRequests:
		return cause{Warning, by + " limits how often one address may ask", "leave the Socket.IO path out of its rate limit: a client on polling asks many times a minute"}
	case r.code() == 0:
		return cause{Failure, "the server takes no such transport", "BEANPOLE_TRANSPORTS: polling,websocket, or clients that use the one there is"}
	case r.code() == 1:
		return cause{Failure, "the session is not known where the request went: requests of one session go to several instances, or it has ended",
			`StickinessEnabled: "true" in aws:elasticbeanstalk:environment:process:default`}
	case r.code() == 5: // no version, as it is sent with every request
		return changedQuery
	case r.method == http.MethodPost && r.status == http.StatusBadRequest && by == byApplication && r.code() < 0:
		return cause{Failure, "the application cannot read the body that arrives: something on the way drops or changes it",
			"see proxies and firewalls that inspect what goes through; POST must be passed on as it is, with its body"}
	case r.status == http.StatusOK && r.header.Get(instanceHeader) != "" && bytes.HasPrefix(r.body, []byte("0{")):
		return cause{Failure, "something on the way changes answers of the application: clients cannot read them",
			"see what puts scripts or pages into what passes: a CDN's optimisations, sub_filter in nginx, a firewall. Leave the Socket.IO path out of it"}
	case r.code() == 3, r.status == http.StatusBadRequest && by == byApplication:
		return cause{Failure, "the application got a request without Upgrade, or one that does not fit its session: nginx or another proxy has taken headers away",
			"proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and Connection $connection_upgrade in the location that serves the path; delete server{} blocks of your own"}
	case errAnswer{r}.refusesOrigin():
		return cause{Failure, "the application refuses pages of this origin", "BEANPOLE_ALLOWED_ORIGINS; give --origin as the page has it"}
	case r.status == http.StatusForbidden && r.says("host not allowed"):
		return cause{Failure, "the application refuses the host that arrives", "BEANPOLE_ALLOWED_HOSTS; " +
			"no proxy may pass on another Host than it gets (proxy_set_header Host $host; AllViewer in CloudFront)"}
	case r.status == http.StatusForbidden && by == byApplication:
		return cause{Failure, "a check of the application's own refuses", "see what it lets in: AllowRequest, a middleware, the origins and hosts that it allows"}
	case r.firewall():
		return cause{Failure, "a firewall for web applications refuses (AWS WAF or its like), and no instance has seen the request",
			"look for the rule in the sampled requests of the web ACL, and let the Socket.IO path through; clients cannot solve its challenges"}
	case r.status == http.StatusForbidden, r.status == http.StatusUnauthorized:
		return cause{Failure, by + " lets nobody in: an access rule or a login stands in front of the application", "allow the Socket.IO path in " + by + " (deny, auth_basic, an authenticate action of the listener)"}
	case r.status == http.StatusServiceUnavailable && by == byApplication:
		return cause{Failure, "the instance drains, or takes no more sessions", "wait for the deployment to end, if there is one (a host that stays drained resumes after two minutes); " + roomFor}
	case r.status == http.StatusMethodNotAllowed:
		return cause{Failure, by + " takes no " + r.method + " here", "pass every method on at the Socket.IO path: no limit_except and no if ($request_method …) in nginx, all methods in a CDN"}
	case r.status == http.StatusNotFound:
		return cause{Failure, "there is no Socket.IO server at this path", "give the path in the URL, see that " + by + " passes it on, and BEANPOLE_PATH"}
	case r.status == http.StatusRequestEntityTooLarge && by == byNginx:
		return cause{Failure, "nginx refuses what the server takes", "client_max_body_size above BEANPOLE_MAX_PAYLOAD in .platform/nginx"}
	case r.status == http.StatusInternalServerError && by == byNginx:
		return cause{Failure, "nginx itself fails: most often the disk of the instance is full, where it puts bodies of more than 128 kB and its logs, or it has no connection left",
			"see the disk (df -h, df -i), the owner of nginx's folders for bodies, worker_connections and worker_rlimit_nofile; its error.log says which, if the location has one"}
	case r.status == http.StatusBadGateway && by == byNginx:
		return cause{Failure, "nginx runs and the application does not, or it listens on another port or address",
			"see web.stdout.log; PORT (default 5000) must be what nginx passes to, HOST not the loopback of a container"}
	case r.status == http.StatusServiceUnavailable && by == byNginx:
		return cause{Failure, "nginx refuses by a rule of its own: a limit, or a maintenance page", "see limit_req, limit_conn and return 503 in .platform/nginx: a client on polling asks many times a minute"}
	case r.status == http.StatusGatewayTimeout && by == byNginx:
		return cause{Failure, "the application does not answer nginx in time: it is frozen or overloaded", "see processor and memory of the instance, and restart the application; proxy_read_timeout must be above the ping interval"}
	case r.status == 464:
		return cause{Failure, "the target group does not speak HTTP/1.1", "protocol version HTTP1 for the target group"}
	case by == byBalancer && r.status == http.StatusServiceUnavailable:
		return cause{Failure, "no instance answers behind the load balancer: it has none that is registered", "see the target group: instances must be in service, and HealthCheckPath must answer 200"}
	case r.status == http.StatusGatewayTimeout:
		return cause{Failure, "an instance does not answer " + by + " in time: it is frozen, or the poll waits longer than the idle timeout",
			"see processor and memory of the instance; the ping interval must be below IdleTimeout"}
	case r.status >= http.StatusInternalServerError && by != byApplication:
		return cause{Failure, "an instance behind " + by + " does not answer, or closes its connections", "see that nginx runs on each instance, and the security group between load balancer and instances"}
	case bytes.HasPrefix(r.body, []byte{0x1f, 0x8b}):
		return cause{Failure, "the answer is compressed and does not say so, or twice: clients cannot read it", "let one of nginx, CDN and application compress; Content-Encoding must pass through"}
	case r.status/100 == 2:
		return cause{Failure, "something else answers for the application: a maintenance page, or a catch-all of a site (try_files, a custom error page of the CDN)",
			"see which location or behaviour serves the Socket.IO path, and pass it to the application; a maintenance page answers 503"}
	}
	return cause{Failure, by + " refuses", fmt.Sprintf("see the log of %s for a %d", strings.TrimPrefix(by, "the "), r.status)}
}

// firewall reports whether the answer looks like that of a WAF: of what stands in front of instances and knows no other
// reason to refuse.
func (r *reply) firewall() bool {
	if r.header.Get("X-Amzn-Waf-Action") != "" || r.header.Get("Cf-Mitigated") != "" {
		return true
	}
	by := r.by()
	return r.status == http.StatusForbidden && (by == byBalancer || by == byCloudFront || by == byCloudflare ||
		bytes.Contains(bytes.ToLower(r.body), []byte("request blocked")))
}
