package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// checkTLS looks at the certificate that clients see.
func (d *doctor) checkTLS(ctx context.Context) Result {
	if d.base.Scheme != "https" {
		if ip := net.ParseIP(d.base.Hostname()); d.base.Hostname() == "localhost" || (ip != nil && ip.IsLoopback()) {
			return none("plain HTTP on loopback")
		}
		return warn("plain HTTP", "anybody on the way reads along; cookies for pages of other sites (SameSite=None) are refused by browsers, and so is stickiness for them",
			"add a listener on 443 with a certificate and connect to https://")
	}
	port := d.base.Port()
	if port == "" {
		port = "443"
	}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: d.Timeout}, Config: &tls.Config{ServerName: d.base.Hostname(), InsecureSkipVerify: d.Insecure}} //nolint:gosec // asked for by name
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(d.base.Hostname(), port))
	if err != nil {
		var certificate *tls.CertificateVerificationError
		if errors.As(err, &certificate) {
			return fail(say(err), "browsers refuse the connection", "a certificate for this very name, in force, with its chain")
		}
		return fail(say(err), "nobody can connect", "see that the listener is on and its security group open")
	}
	defer func() { _ = conn.Close() }()
	state := conn.(*tls.Conn).ConnectionState()
	left := time.Until(state.PeerCertificates[0].NotAfter)
	if left < 14*24*time.Hour {
		return warn(fmt.Sprintf("the certificate ends in %.0f days", left.Hours()/24), "then browsers refuse the connection", "renew it")
	}
	return ok("%s, certificate for %.0f days more", tls.VersionName(state.Version), left.Hours()/24)
}

// checkReach looks whether the Socket.IO path is redirected, which WebSocket clients do not follow.
func (d *doctor) checkReach(ctx context.Context) Result {
	r, err := d.do(ctx, http.MethodGet, d.target("EIO=4&transport=polling"), nil, nil)
	if err != nil {
		return fail(say(err), "nobody can connect", "see that the environment is up and the name right")
	}
	if r.status/100 == 3 {
		return fail(fmt.Sprintf("%d to %s", r.status, r.header.Get("Location")), "WebSocket clients do not follow redirects, and a POST that is redirected loses its body",
			"connect to https:// in the clients; redirect on the load balancer's listener and leave this path out")
	}
	if d.base.Scheme != "https" {
		return ok("no redirect")
	}
	plain := *d.target("EIO=4&transport=polling")
	plain.Scheme, plain.Host = "http", d.base.Hostname()
	if d.base.Port() != "" {
		return ok("no redirect on https")
	}
	r, err = d.do(ctx, http.MethodGet, &plain, nil, nil)
	switch {
	case err != nil:
		return ok("plain HTTP is closed")
	case r.status/100 == 3:
		return warn(fmt.Sprintf("plain HTTP is redirected: %d", r.status), "clients that connect to http:// or ws:// fail instead of being redirected", "see that all clients use https:// or wss://")
	case r.status == http.StatusOK:
		return warn("plain HTTP is answered too", "clients that use it are read along", "turn aws:elbv2:listener:default off when no client needs it")
	}
	return ok("plain HTTP answers %d", r.status)
}

// checkHandshake opens a session.
func (d *doctor) checkHandshake(ctx context.Context) Result {
	s, err := d.handshake(ctx, true)
	if err != nil {
		var e errAnswer
		if !errors.As(err, &e) {
			return fail(say(err), "nobody can connect", "see that the environment is up")
		}
		switch {
		case e.status == http.StatusNotFound:
			return fail(say(err), "there is no Socket.IO server at "+d.Path, "give the path in the URL, or see that nginx passes it on")
		case e.status == http.StatusBadGateway && e.by() == "nginx":
			return fail(say(err), "nginx runs and the application does not, or it listens on another port or address", "see web.stdout.log; PORT (default 5000) must be what nginx passes to, HOST not the loopback of a container")
		case e.status == http.StatusServiceUnavailable && e.by() == "the application":
			return fail(say(err), "the instance drains or is full", "wait for the deployment to end; see BEANPOLE_MAX_SESSIONS")
		case e.status == http.StatusServiceUnavailable || e.status == http.StatusBadGateway || e.status == http.StatusGatewayTimeout:
			return fail(say(err), "no instance answers behind the load balancer", "see the health of the target group: HealthCheckPath must answer 200")
		case e.status == http.StatusForbidden:
			return fail(say(err), "the handshake is refused", "see BEANPOLE_ALLOWED_ORIGINS and BEANPOLE_ALLOWED_HOSTS, and give --origin as the page has it")
		case e.code() == 0:
			return d.polledOff(ctx, e)
		}
		return fail(say(err), "the handshake is refused", "see the application's log")
	}
	defer s.end(ctx)
	d.open = &s.open
	return ok("ping every %v, answered within %v; messages up to %d bytes; from %s", s.open.interval(),
		time.Duration(s.open.PingTimeout)*time.Millisecond, s.open.MaxPayload, orUnknown(s.open.instance))
}

// polledOff says what a server without polling has to say.
func (d *doctor) polledOff(ctx context.Context, e errAnswer) Result {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	s, err := d.dial(ctx, nil)
	if err != nil {
		return fail(e.String(), "neither polling nor WebSocket is let in", "see BEANPOLE_TRANSPORTS")
	}
	defer s.close()
	d.open = &s.open
	d.open.Upgrades = nil
	d.open.instance = s.spoke
	return ok("WebSocket only; ping every %v", s.open.interval())
}

// polls reports whether the server lets clients poll.
func (d *doctor) polls() bool { return d.open != nil && d.open.Upgrades != nil }

func orUnknown(s string) string {
	if s == "" {
		return "an instance without a name (X-Beanpole)"
	}
	return s
}

// checkHealth asks for the health path as the load balancer does.
func (d *doctor) checkHealth(ctx context.Context) Result {
	u := *d.base
	u.Path, u.RawQuery = d.HealthPath, ""
	r, err := d.do(ctx, http.MethodGet, &u, nil, nil, "User-Agent", "ELB-HealthChecker/2.0")
	switch {
	case err != nil:
		return fail(say(err), "the load balancer sees the same", "see that the environment is up")
	case r.status/100 == 3:
		return fail(fmt.Sprintf("%s is redirected to %s", d.HealthPath, r.header.Get("Location")), "only 200 counts: every instance is taken out", "answer it without a redirect, whatever the Host header")
	case r.status == http.StatusServiceUnavailable && r.by() == "the application":
		return warn(r.String(), "this instance drains", "wait for the deployment to end; a host that stays drained resumes after two minutes")
	case r.status != http.StatusOK:
		return fail(fmt.Sprintf("%s answers %s", d.HealthPath, r), "instances are taken out, and when all are the load balancer sends to all", "HealthCheckPath: /healthz in aws:elasticbeanstalk:environment:process:default")
	case string(r.body) != "" && contains(r.body, `"degraded"`):
		return warn(r.String(), "this instance is cut off from the others: Redis", "see the security group, TLS (rediss://) and the application's log")
	}
	return ok("%s answers 200", d.HealthPath)
}
