package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkTLS looks at the certificate that clients see.
func (d *doctor) checkTLS(ctx context.Context) []Result {
	if d.base.Scheme != "https" {
		if d.loopback() {
			return []Result{none("plain HTTP on loopback")}
		}
		return []Result{warn("plain HTTP", "anybody on the way reads along; cookies for pages of other sites (SameSite=None) are refused by browsers, and so is stickiness for them",
			"add a listener on 443 with a certificate and connect to https://")}
	}
	if !d.direct {
		return []Result{none("a proxy is in between: HTTPS_PROXY")}
	}
	conn, err := d.connect(ctx, d.base.Hostname())
	if err != nil {
		return []Result{d.broken(err, "nobody can connect")}
	}
	defer func() { _ = conn.Close() }()
	state := conn.(*tls.Conn).ConnectionState()
	left := time.Until(state.PeerCertificates[0].NotAfter)
	if left < 14*24*time.Hour {
		return []Result{warn(fmt.Sprintf("the certificate ends in %.0f days", left.Hours()/24), "then browsers refuse the connection", "renew it")}
	}
	return []Result{ok("%s, certificate for %.0f days more", tls.VersionName(state.Version), left.Hours()/24)}
}

// connect connects to a name or address as one of the URL's: over TLS if it is https.
func (d *doctor) connect(ctx context.Context, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	plain, to := &net.Dialer{}, net.JoinHostPort(to, d.port())
	if d.base.Scheme != "https" {
		return plain.DialContext(ctx, "tcp", to)
	}
	config := d.http.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = d.base.Hostname()
	return (&tls.Dialer{NetDialer: plain, Config: config}).DialContext(ctx, "tcp", to)
}

// loopback reports whether the environment is one on this machine, which nobody has to encrypt.
func (d *doctor) loopback() bool {
	ip := net.ParseIP(d.base.Hostname())
	return d.base.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (d *doctor) port() string {
	if d.base.Port() != "" {
		return d.base.Port()
	}
	return map[string]string{"http": "80", "https": "443"}[d.base.Scheme]
}

// checkAddresses connects to every address that the name stands for: clients take any of them, and those with IPv6
// that of IPv6 first.
func (d *doctor) checkAddresses(ctx context.Context) []Result {
	if !d.direct {
		return []Result{none("a proxy is in between: HTTP_PROXY")}
	}
	list, err := d.lookup(ctx, d.base.Hostname())
	if err != nil {
		return []Result{d.broken(err, "nobody can connect")}
	}
	names, results := make([]string, len(list)), make([]Result, len(list))
	dead := 0
	for i, a := range list {
		names[i] = a.Unmap().String()
		conn, err := d.connect(ctx, names[i])
		if err == nil {
			_ = conn.Close()
			results[i] = ok("%s connects", names[i])
			continue
		}
		// A machine without IPv6 says nothing of others' way.
		if a.Unmap().Is6() && unreachable(err) {
			results[i] = none("%s: no IPv6 here", names[i])
			continue
		}
		dead++
		c := explain(err)
		results[i] = fail(names[i]+": "+say(err), "one of the addresses of the name does not answer as the others do: clients that take it wait, or cannot connect. There "+c.means,
			"see the DNS record (an AAAA without a dualstack load balancer? an address of an instance that is gone, or of another environment?), the subnets of the load balancer, "+
				"and its security group: it must let in both 0.0.0.0/0 and ::/0. "+c.do)
	}
	four := slices.ContainsFunc(list, func(a netip.Addr) bool { return a.Unmap().Is4() || a.IsLoopback() || a.String() == d.base.Hostname() })
	if !four && dead < len(list) {
		return []Result{warn(strings.Join(names, ", "), "the name has addresses of IPv6 alone: clients that have only IPv4 cannot connect",
			"an A record beside the AAAA: the alias of a dualstack load balancer has both")}
	}
	switch dead {
	case len(list):
		return []Result{none("%s: none answers", strings.Join(names, ", "))} // the next check says why
	case 0:
		return []Result{ok("%s", strings.Join(names, ", "))}
	}
	return merge(names, results)
}

// unreachable reports whether this machine has no way to such addresses at all.
func unreachable(err error) bool {
	text := err.Error()
	return strings.Contains(text, "network is unreachable") || strings.Contains(text, "cannot assign requested address") || strings.Contains(text, "no route to host")
}

// checkReach looks whether the Socket.IO path is redirected, which WebSocket clients do not follow.
func (d *doctor) checkReach(ctx context.Context) []Result {
	r, err := d.anybody(false).ask(ctx)
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return []Result{ok("one request was not answered")} // by one of them: the instances are looked at below
		}
		return []Result{d.broken(err, "nobody can connect")}
	}
	if r.status/100 == 3 {
		return []Result{d.redirected(r)}
	}
	if d.base.Scheme != "https" {
		return []Result{ok("no redirect")}
	}
	plain := *d.target("EIO=4")
	plain.Scheme, plain.Host = "http", d.base.Hostname()
	if d.base.Port() != "" {
		return []Result{ok("no redirect on https")}
	}
	r, err = d.anybody(false).do(ctx, http.MethodGet, &plain, nil)
	switch {
	case err != nil:
		return []Result{ok("plain HTTP is closed")}
	case r.status/100 == 3:
		to, err := plain.Parse(r.header.Get("Location"))
		if err != nil || to.Path != plain.Path || to.RawQuery != plain.RawQuery {
			return []Result{warn("plain HTTP is redirected "+r.String(), "the redirect drops the "+dropped(to, plain.Path)+": who follows it is somewhere else", "redirect to https://#{host}:443/#{path}?#{query} on the listener")}
		}
		return []Result{warn(fmt.Sprintf("plain HTTP is redirected: %d", r.status), "clients that connect to http:// or ws:// fail instead of being redirected", "see that all clients use https:// or wss://")}
	case r.by() == byApplication:
		return []Result{warn("plain HTTP is answered too", "clients that use it are read along", "turn aws:elbv2:listener:default off when no client needs it")}
	}
	return []Result{ok("plain HTTP answers %d", r.status)}
}

// dropped says what a redirect does not take along.
func dropped(to *url.URL, path string) string {
	if to != nil && to.Path == path {
		return "query"
	}
	return "path"
}

// redirected says where the Socket.IO path leads, and what to do about it.
func (d *doctor) redirected(r *reply) Result {
	const means = "WebSocket clients do not follow redirects, and a POST that is redirected loses its body"
	to, err := d.base.Parse(r.header.Get("Location"))
	switch {
	case err != nil:
		return fail(r.String(), means, "see who redirects")
	case to.Path != d.Path && to.Path != strings.TrimSuffix(d.Path, "/"):
		if to.Hostname() == d.base.Hostname() && to.Scheme == d.base.Scheme || strings.Contains(to.Path, "login") || strings.Contains(to.RawQuery, "redirect_uri") {
			return fail(r.String(), means+". It leads to another page: a login or a site's own rule stands in front", "leave the Socket.IO path out of it")
		}
		return fail(r.String(), means+". It drops the path, so that who follows it is somewhere else",
			"connect to "+to.Scheme+"://"+to.Host+"; redirect to https://#{host}:443/#{path}?#{query} on the load balancer's listener")
	case to.Hostname() != d.base.Hostname():
		return fail(r.String(), means+". The site goes by another name", "connect to "+to.Scheme+"://"+to.Host+" in the clients")
	}
	if to.RawQuery == "" {
		return fail(r.String(), means+". It drops the query, so that who follows it asks for nothing", "connect to "+to.Scheme+":// in the clients; redirect to https://#{host}:443/#{path}?#{query} on the load balancer's listener")
	}
	return fail(r.String(), means, "connect to "+to.Scheme+":// in the clients; redirect on the load balancer's listener and leave this path out")
}

// checkCaching looks whether something on the way answers out of its memory: two clients would get one session. Out of a
// cache comes what is another instance's too, so that whoever answers is taken.
func (c *client) checkCaching(ctx context.Context) Result {
	seen := make(map[string]bool)
	anybody := &client{doctor: c.doctor, jar: c.jar}
	same := c.target("EIO=4&transport=polling")
	for i, u := range []*url.URL{c.target("EIO=4&transport=polling"), same, same} {
		r, err := anybody.do(ctx, http.MethodGet, u, nil)
		if err != nil {
			return none("no session to look at: %s", say(err)) // the next check says why
		}
		if r.status != http.StatusOK {
			continue
		}
		sid := sidOf(r.body)
		s := session{c: anybody, sid: sid}
		defer s.end(ctx)
		if !c.stays && r.name() != c.name {
			continue // it is looked at for another
		}
		age, _ := strconv.Atoi(r.header.Get("Age"))
		hit := strings.Contains(strings.ToLower(r.header.Get("X-Cache")+r.header.Get("Cf-Cache-Status")), "hit")
		const means = "one client's session is given to another, and polls get old packets: connections end again and again, and one reads what is another's"
		const do = "forward the whole query and cache nothing for the Socket.IO path: in CloudFront the policies CachingDisabled and AllViewer; no proxy_cache in nginx"
		switch {
		case sid != "" && seen[sid] && i == 2:
			return warn("the same URL is answered with the same session", means+"; clients that add no time to the URL (timestampRequests off, many beyond browsers) are hit", do)
		case sid != "" && (seen[sid] || age > 0 || hit):
			return fail(fmt.Sprintf("an answer to a poll comes out of a cache (%s)", r.by()), means, do)
		}
		seen[sid] = true
	}
	return ok("each handshake is a new session")
}

func sidOf(body []byte) string {
	_, rest, _ := strings.Cut(string(body[:min(len(body), 200)]), `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	return sid
}
