package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// checkPreflight sends the request that browsers send before a POST with special headers: without cookies, so
// that it reaches any instance, also one that does not know the session.
func (d *doctor) checkPreflight(ctx context.Context) Result {
	if d.Origin == "" {
		return none("no --origin given")
	}
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	for range 6 {
		r, err := d.do(ctx, http.MethodOptions, d.target("EIO=4&transport=polling&sid=aaaaaaaaaaaaaaaaaaaa"), nil, nil,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
		if err != nil {
			return fail(say(err), "browsers do not send the request", "see who refuses OPTIONS")
		}
		if r.status/100 != 2 {
			return fail(fmt.Sprintf("OPTIONS with a foreign session id answers %s", r), "a preflight carries no cookie and lands anywhere: browsers give up",
				"answer OPTIONS before looking at the session: set BEANPOLE_ALLOWED_ORIGINS")
		}
		if origin := r.header.Get("Access-Control-Allow-Origin"); origin != d.Origin && origin != "*" {
			return fail(fmt.Sprintf("the preflight allows %q", origin), "browsers refuse polls from "+d.Origin, "set BEANPOLE_ALLOWED_ORIGINS to "+d.Origin)
		}
	}
	return ok("6 preflights with a foreign session id were answered")
}

// checkCORS looks at what a page of the other origin gets.
func (d *doctor) checkCORS(ctx context.Context) Result {
	if d.Origin == "" {
		return none("no --origin given")
	}
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	r, err := d.do(ctx, http.MethodGet, d.target("EIO=4&transport=polling"), nil, nil)
	if err != nil {
		return fail(say(err), "polls fail", "see above")
	}
	origins := r.header.Values("Access-Control-Allow-Origin")
	origin := strings.Join(origins, ", ")
	credentials := r.header.Get("Access-Control-Allow-Credentials")
	switch {
	case len(origins) > 1:
		return fail("Access-Control-Allow-Origin stands twice: "+origin, "browsers refuse the answer", "let either nginx or the application set it")
	case origin == "":
		return fail("no Access-Control-Allow-Origin", "browsers refuse polls from "+d.Origin, "set BEANPOLE_ALLOWED_ORIGINS to "+d.Origin)
	case origin == "*":
		return warn("Access-Control-Allow-Origin: *", "not with cookies: polls of pages with withCredentials are refused, and those without are not sticky", "name the origin in BEANPOLE_ALLOWED_ORIGINS, and set BEANPOLE_ALLOW_CREDENTIALS to true")
	case origin != d.Origin:
		return fail("Access-Control-Allow-Origin: "+origin, "browsers refuse polls from "+d.Origin, "set BEANPOLE_ALLOWED_ORIGINS to "+d.Origin)
	case credentials != "true":
		return warn("the origin is allowed, credentials are not", "polls of that page carry no stickiness cookie", "set BEANPOLE_ALLOW_CREDENTIALS to true, and withCredentials: true in the client")
	}
	return ok("%s with credentials", origin)
}
