package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// checkHandshake opens a session.
func (c *client) checkHandshake(ctx context.Context) Result {
	s, err := c.handshake(ctx)
	if err != nil {
		var e errAnswer
		if errors.As(err, &e) && e.code() == 0 {
			return c.polledOff(ctx, e)
		}
		if errors.As(err, &e) && e.status == http.StatusServiceUnavailable && e.by() == byApplication {
			return c.noRoom(ctx, e)
		}
		if e.reply != nil && e.refusesOrigin() && c.samePage() {
			why := c.foreignSelf(ctx)
			return fail(e.String(), "pages of the site cannot connect: "+why.means, why.do)
		}
		return c.broken(ctx, err, "nobody can connect")
	}
	defer s.end(ctx)
	c.open = &s.open
	return ok("ping every %v, answered within %v; messages up to %d bytes", s.open.interval(), s.open.silence()-s.open.interval(), s.open.MaxPayload)
}

// noRoom says why an instance opens no session: one that drains says so of its health too.
func (c *client) noRoom(ctx context.Context, e errAnswer) Result {
	u := *c.base
	u.Path, u.RawQuery = c.HealthPath, ""
	r, err := c.do(ctx, http.MethodGet, &u, nil)
	if err != nil || r.status != http.StatusOK {
		return c.broken(ctx, e, "nobody can connect")
	}
	return fail(e.String(), "nobody can connect: the instance takes no more sessions, and does not drain: it is full, or short of memory", roomFor)
}

// polledOff says what a server without polling has to say.
func (c *client) polledOff(ctx context.Context, e errAnswer) Result {
	s, err := c.dial(ctx, nil)
	if err != nil {
		why := explain(err)
		if other := (errAnswer{}); errors.As(err, &other) && other.code() == 0 { // a server takes one of the two
			why = changedQuery
		}
		return fail(e.String()+"; "+say(err), "neither polling nor WebSocket is let in: "+why.means, why.do)
	}
	defer s.close()
	c.open = &s.open
	c.open.Upgrades = nil
	return ok("WebSocket only; ping every %v", s.open.interval())
}

// polls reports whether the server lets clients poll.
func (c *client) polls() bool { return c.open != nil && c.open.Upgrades != nil }

// polling are the clients whose instances let them poll.
func (d *doctor) polling() (list []*client) {
	for _, c := range d.clients {
		if c.polls() {
			list = append(list, c)
		}
	}
	return list
}

// counts reports whether an answer of that instance says anything about polling: what does not poll, or is out of
// the question already, has been said.
func (d *doctor) counts(name string) bool {
	return name == "" || slices.ContainsFunc(d.polling(), func(c *client) bool { return c.name == "" || c.name == name })
}

// noPolls is what checks of polling come to without it.
func (c *client) noPolls() Result {
	if c.open == nil {
		return none("not looked at: no session, see the check of limits")
	}
	return none("the server takes WebSockets only")
}

// foreignHost is the Host of a load balancer's health check: an address of the instance.
const foreignHost = "10.0.0.10"

// checkHealth asks for the health path by the site's name, and by an address as the load balancer does.
func (c *client) checkHealth(ctx context.Context) Result {
	u := *c.base
	u.Path, u.RawQuery = c.HealthPath, ""
	r, err := c.do(ctx, http.MethodGet, &u, nil, "User-Agent", "ELB-HealthChecker/2.0")
	if err != nil {
		return c.broken(ctx, err, "the load balancer sees the same")
	}
	const path = "HealthCheckPath: /healthz in aws:elasticbeanstalk:environment:process:default (give another as --health-path)"
	switch {
	case c.foreign(r): // what it says is looked at for that one
		return none("%s is answered%s", c.HealthPath, c.place(r))
	case r.status/100 == 3:
		return fail(c.HealthPath+" is redirected: "+r.String(), "only 200 counts: every instance is taken out", "answer it without a redirect, whatever the Host header")
	case r.status == http.StatusServiceUnavailable && r.by() == byApplication:
		return warn(r.String(), "this instance drains", "wait for the deployment to end; a host that stays drained resumes after two minutes")
	case r.status != http.StatusOK && errAnswer{r}.firewall():
		return c.broken(ctx, errAnswer{r}, "the health path is refused to clients, whatever it answers to the load balancer")
	case r.status != http.StatusOK:
		return fail(fmt.Sprintf("%s answers %s", c.HealthPath, r), "instances are taken out, and when all are the load balancer sends to all", path)
	case bytes.Contains(r.body, []byte(`"degraded"`)):
		c.degraded = true
		return warn(r.String(), "what joins this instance to the others does not all work: Redis, the way between instances, or settings that differ",
			"see `cluster degraded` in the application's log, or GET /drain on its admin listener, which say the part, the cause and what to do: the security group and TLS (rediss://) of Redis; for forwarding, BEANPOLE_NODE_URL and the rule between nodes")
	case c.name != "" && r.by() != byApplication:
		return warn(c.HealthPath+" is answered 200 by "+r.by(), "an instance whose application is dead passes for healthy, and clients are sent there", "let the health path through to the application: "+path)
	}
	byAddress, err := c.do(ctx, http.MethodGet, &u, nil, "User-Agent", "ELB-HealthChecker/2.0", "Host", foreignHost)
	if err == nil && byAddress.status != http.StatusOK && c.instanceSpoke(byAddress) {
		return fail(fmt.Sprintf("%s answers 200, and with an address as Host %s", c.HealthPath, byAddress),
			"the load balancer's health check sends an address, and only 200 counts: every instance is taken out",
			"answer the health path before looking at the Host: server_name and return 301 in .platform/nginx, or hosts that the application allows")
	}
	return ok("%s answers 200", c.HealthPath)
}

// instanceSpoke reports whether an answer comes from an instance, as far as can be seen, rather than from a listener's
// rule or a CDN that knows no such host.
func (c *client) instanceSpoke(r *reply) bool {
	return r.by() == byApplication || r.by() == byNginx || strings.Contains(strings.ToLower(r.header.Get("Server")), "nginx")
}

// checkPolling goes once there and back over polling, into the namespace that clients use.
func (c *client) checkPolling(ctx context.Context) Result {
	if !c.polls() {
		return c.noPolls()
	}
	s, err := c.handshake(ctx)
	if err != nil {
		return c.broken(ctx, err, "a second handshake fails where the first did not")
	}
	defer s.end(ctx)
	if err := s.post(ctx, connect(c.Namespace, c.Auth)); err != nil {
		return c.broken(ctx, err, "polling does not get through")
	}
	prefix := "40"
	refused := "44"
	if c.Namespace != "/" {
		prefix, refused = prefix+c.Namespace, refused+c.Namespace
	}
	start := time.Now()
	p, err := s.expect(ctx, "4")
	switch {
	case err != nil:
		return c.broken(ctx, err, "polling does not get through")
	case strings.HasPrefix(p, refused) && strings.Contains(p, `"Invalid namespace"`):
		return warn("CONNECT is refused: "+p, "the way is open and the application has no namespace "+c.Namespace, "give --namespace as the clients do")
	case strings.HasPrefix(p, refused):
		return warn("CONNECT is refused: "+p, "the way is open and the application's middleware says no", "give --auth and --namespace as the clients do")
	case strings.HasPrefix(p, prefix):
		return ok("connected to %s after %v", c.Namespace, about(time.Since(start)))
	}
	return ok("answered with %q", p[:min(len(p), 40)])
}
