package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// samePage reports whether the page is the server's own, which needs no CORS.
func (d *doctor) samePage() bool {
	o, err := url.Parse(d.Origin)
	return err == nil && strings.EqualFold(o.Scheme, d.base.Scheme) && strings.EqualFold(o.Hostname(), d.base.Hostname()) &&
		(&doctor{base: o}).port() == d.port()
}

// crosses says why CORS is nothing to look at, or "".
func (c *client) crosses() string {
	switch {
	case c.Origin == "":
		return "no --origin given"
	case c.samePage():
		return "the page is of this very site: browsers ask for no permission"
	case !c.polls():
		return c.noPolls().Seen
	}
	return ""
}

// checkPreflight sends the request that browsers send before a POST with special headers: without cookies, so
// that it reaches any instance, also one that does not know the session.
func (c *client) checkPreflight(ctx context.Context) Result {
	if why := c.crosses(); why != "" {
		return none("%s", why)
	}
	r, err := c.do(ctx, http.MethodOptions, c.target("EIO=4&transport=polling&sid="+foreignSession), nil,
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if err != nil {
		return c.broken(ctx, err, "browsers do not send the request")
	}
	if r.status/100 != 2 {
		if answer := (errAnswer{r}); r.by() != byApplication {
			return c.broken(ctx, answer, "OPTIONS is refused, and browsers give up")
		}
		return fail(fmt.Sprintf("OPTIONS with a foreign session id answers %s", r), "a preflight carries no cookie and lands anywhere: browsers give up",
			"answer OPTIONS before looking at the session: set BEANPOLE_ALLOWED_ORIGINS")
	}
	if origin := r.header.Get("Access-Control-Allow-Origin"); origin != c.Origin && origin != "*" {
		switch {
		case c.name != "" && r.name() == "":
			return fail(fmt.Sprintf("the preflight is answered %s, and allows %q", r, origin), "browsers refuse polls from "+c.Origin+": OPTIONS is answered before it comes to the application",
				"pass OPTIONS on at the Socket.IO path: no if ($request_method = OPTIONS) in nginx, no rule of a CDN or load balancer that answers it")
		case origin == "":
			means, do := c.unnamed(ctx)
			return fail("the preflight allows no origin", means, do)
		}
		return fail(fmt.Sprintf("the preflight allows %q", origin), c.misnamed(), notOurs)
	}
	return ok("a preflight with a foreign session id is answered")
}

// strange is the origin of a page that nobody allows by its name.
const strange = "https://beanpole-doctor.invalid"

const notOurs = "take Access-Control-Allow-Origin out of what is in front (add_header, a CDN's policy of headers), and set BEANPOLE_ALLOWED_ORIGINS"

// misnamed is what it means that an answer allows another origin.
func (c *client) misnamed() string {
	return "browsers refuse polls from " + c.Origin + ": another origin is named, and the application names the one that asks"
}

// checkCORS looks at what a page of the other origin gets.
func (c *client) checkCORS(ctx context.Context) Result {
	if why := c.crosses(); why != "" {
		return none("%s", why)
	}
	r, err := c.ask(ctx)
	if err != nil {
		return c.broken(ctx, err, "polls fail")
	}
	origins := r.header.Values("Access-Control-Allow-Origin")
	origin := strings.Join(origins, ", ")
	credentials := r.header.Get("Access-Control-Allow-Credentials")
	switch {
	case len(origins) > 1:
		return fail("Access-Control-Allow-Origin stands twice: "+origin, "browsers refuse the answer", "let either nginx or the application set it")
	case origin == "":
		means, do := c.unnamed(ctx)
		return fail("no Access-Control-Allow-Origin", means, do)
	case origin == "*" && credentials == "true":
		return fail("Access-Control-Allow-Origin: * with credentials", "browsers refuse that together: polls with withCredentials fail", "name the origin in BEANPOLE_ALLOWED_ORIGINS; nothing else adds CORS headers")
	case origin == "*":
		return warn("Access-Control-Allow-Origin: *", "not with cookies: polls of pages with withCredentials are refused, and those without are not sticky", "name the origin in BEANPOLE_ALLOWED_ORIGINS, and set BEANPOLE_ALLOW_CREDENTIALS to true")
	case origin != c.Origin:
		return fail("Access-Control-Allow-Origin: "+origin, c.misnamed(), notOurs)
	case credentials != "true":
		return warn("the origin is allowed, credentials are not", "polls of that page carry no stickiness cookie", "set BEANPOLE_ALLOW_CREDENTIALS to true, and withCredentials: true in the client")
	}
	if r, err := c.do(ctx, http.MethodGet, c.target("EIO=4"), nil, "Origin", strange); err == nil && r.header.Get("Access-Control-Allow-Origin") == strange {
		return warn("a page of "+strange+" is allowed too, with credentials", "any page may connect with the visitor's cookies and read along", "list the origins; no $http_origin in add_header of nginx")
	}
	return ok("%s with credentials", origin)
}
