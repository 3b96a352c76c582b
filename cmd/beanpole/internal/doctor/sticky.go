package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"sort"
	"strings"
)

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }

// checkInstances asks often, each time as a new client, and counts who answers.
func (d *doctor) checkInstances(ctx context.Context) Result {
	versions := make(map[string]bool)
	failed, last := 0, ""
	for range d.Samples {
		if ctx.Err() != nil {
			break
		}
		r, err := d.do(ctx, http.MethodGet, d.target("EIO=4&transport=polling&t=doctor"), nil, nil)
		if err != nil {
			failed, last = failed+1, say(err)
			continue
		}
		if r.status >= 500 || (r.status == http.StatusNotFound && d.polls()) {
			failed, last = failed+1, r.String()
			continue
		}
		if sid := sidOf(r.body); sid != "" {
			s := session{d: d, sid: sid}
			s.jar, _ = cookiejar.New(nil) // never fails
			s.jar.SetCookies(d.base, (&http.Response{Header: r.header}).Cookies())
			s.end(ctx)
		}
		name, version, _ := strings.Cut(r.header.Get(instanceHeader), " ")
		if name != "" {
			d.who[name]++
			versions[version] = true
		}
	}
	d.multi = len(d.who) > 1
	seen := "the application tells no instance"
	if len(d.who) > 0 {
		var list []string
		for name, n := range d.who {
			list = append(list, fmt.Sprintf("%s %d×", name, n))
		}
		sort.Strings(list)
		seen = strings.Join(list, ", ")
	}
	switch {
	case failed > 0:
		return fail(fmt.Sprintf("%d of %d handshakes failed: %s; %s", failed, d.Samples, last, seen),
			"one of the instances does not serve: clients that are sent there cannot connect, and sticky ones stay there until the health check has noticed",
			"see the health of each instance, and make the check quick: HealthCheckInterval 10, UnhealthyThresholdCount 2")
	case len(versions) > 1:
		return warn(seen+"; versions "+strings.Join(sorted(versions), ", "), "a deployment is under way, or has stopped half-way", "wait for it, or deploy again")
	case len(d.who) == 0:
		return warn(seen, "whether there are several cannot be seen: checks of stickiness may be missing", "leave BEANPOLE_NO_INSTANCE_HEADER unset")
	}
	return ok("%s", seen)
}

func sidOf(body []byte) string {
	_, rest, ok := bytes.Cut(body, []byte(`"sid":"`))
	sid, _, ok2 := bytes.Cut(rest, []byte(`"`))
	if !ok || !ok2 {
		return ""
	}
	return string(sid)
}

func sorted(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// checkPolling goes once there and back over polling, into the namespace that clients use.
func (d *doctor) checkPolling(ctx context.Context) Result {
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	s, err := d.handshake(ctx, true)
	if err != nil {
		return fail(say(err), "a second handshake fails where the first did not", "see the instances above")
	}
	defer s.end(ctx)
	if err := s.post(ctx, connect(d.Namespace, d.Auth)); err != nil {
		return d.lost(err)
	}
	prefix := "40"
	refused := "44"
	if d.Namespace != "/" {
		prefix, refused = prefix+d.Namespace, refused+d.Namespace
	}
	p, err := s.expect(ctx, "4")
	switch {
	case err != nil:
		return d.lost(err)
	case strings.HasPrefix(p, refused):
		return warn("CONNECT is refused: "+p, "the way is open and the application's middleware says no", "give --auth and --namespace as the clients do")
	case strings.HasPrefix(p, prefix):
		return ok("connected to %s", d.Namespace)
	}
	return ok("answered with %q", p[:min(len(p), 40)])
}

// lost is the result when a request of a session fails.
func (d *doctor) lost(err error) Result {
	if unknown(err) {
		return fail(say(err), "requests of one session go to several instances even with cookies", "StickinessEnabled: \"true\"")
	}
	return fail(say(err), "polling does not get through", "see who answered, and that one's log")
}

// checkCookies looks at the stickiness cookies of the load balancer.
func (d *doctor) checkCookies(context.Context) Result {
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	found := make(map[string]*http.Cookie)
	for _, c := range d.open.cookies {
		found[c.Name] = c
	}
	plain, cross := found["AWSALB"], found["AWSALBCORS"]
	switch {
	case found["AWSELB"] != nil:
		return fail("AWSELB", "the load balancer is a classic one, which cannot upgrade to WebSocket", "a new environment with LoadBalancerType: application")
	case found["AWSALBTG"] != nil:
		return warn("AWSALBTG", "two target groups share the traffic (TrafficSplitting): a polling session may be moved between them", "DeploymentPolicy: RollingWithAdditionalBatch")
	case plain == nil && cross == nil && len(d.who) > 1:
		return fail("no stickiness cookie, and several instances", "requests of one polling session go to several instances", "StickinessEnabled: \"true\" in aws:elasticbeanstalk:environment:process:default")
	case plain == nil && cross == nil:
		return none("no stickiness cookie: one instance, or no application load balancer")
	case cross == nil:
		return warn("AWSALB without AWSALBCORS", "pages of other sites are not sticky", "leave both cookies as the load balancer sets them")
	case d.base.Scheme == "https" && (cross.SameSite != http.SameSiteNoneMode || !cross.Secure):
		return warn("AWSALBCORS without SameSite=None; Secure", "browsers do not send it from pages of other sites", "something on the way rewrites cookies: see proxies and CDNs")
	case d.Origin != "" && d.base.Scheme != "https":
		return warn("AWSALB, AWSALBCORS without Secure", "browsers keep cookies for pages of other sites over HTTPS only", "connect to https://")
	}
	return ok("AWSALB and AWSALBCORS")
}

// sample sends requests of one session and counts those that did not find it.
func (d *doctor) sample(ctx context.Context, jar bool) (lost, failed int, last string, err error) {
	s, err := d.handshake(ctx, jar)
	if err != nil {
		return 0, 0, "", err
	}
	defer s.end(ctx)
	for range d.Samples {
		switch err := s.post(ctx, "40"+noNamespace+","); {
		case unknown(err):
			lost, last = lost+1, say(err)
		case err != nil:
			failed, last = failed+1, say(err)
			var e errAnswer
			if !errors.As(err, &e) {
				return lost, failed, last, ctx.Err()
			}
		}
	}
	return lost, failed, last, nil
}

// checkSticky sends requests of one session with its cookies.
func (d *doctor) checkSticky(ctx context.Context) Result {
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	lost, failed, last, err := d.sample(ctx, true)
	switch {
	case err != nil:
		return fail(say(err), "a handshake fails", "see above")
	case lost > 0:
		return fail(fmt.Sprintf("%d of %d requests with cookies did not find their session: %s", lost, d.Samples, last),
			"browsers on polling are thrown off again and again", "StickinessEnabled: \"true\", and no proxy in front that drops or shares cookies")
	case failed > 0:
		return fail(fmt.Sprintf("%d of %d requests failed: %s", failed, d.Samples, last), "polling does not work reliably", "see who answered")
	}
	return ok("%d of %d requests with cookies found their session", d.Samples, d.Samples)
}

// checkCookieless does so as a client that keeps no cookies: many on phones, and Node's without
// withCredentials.
func (d *doctor) checkCookieless(ctx context.Context) Result {
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	lost, failed, last, err := d.sample(ctx, false)
	switch {
	case err != nil:
		return fail(say(err), "a handshake fails", "see above")
	case lost > 0:
		return warn(fmt.Sprintf("%d of %d requests without cookies did not find their session", lost, d.Samples),
			"fine for browsers; clients that keep no cookies (Java, Swift, Node before 4.7) break on polling",
			"turn forwarding between instances on (Redis and the rule between nodes), or transports: [\"websocket\"] in those clients")
	case failed > 0:
		return fail(fmt.Sprintf("%d of %d requests failed: %s", failed, d.Samples, last), "polling does not work reliably", "see who answered")
	case !d.multi:
		return ok("%d of %d found their session; only one instance was seen", d.Samples, d.Samples)
	}
	return ok("%d of %d found their session: instances forward to each other", d.Samples, d.Samples)
}
