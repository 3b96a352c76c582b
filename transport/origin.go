package transport

import (
	"net/http"
	"time"

	"github.com/beanpole/beanpole/internal/origin"
)

// Browsers let any page open a WebSocket anywhere, send forms, and load what it likes as a script, each with
// the cookies of the site it goes to; CORS headers only say who may read an answer. So the list of origins is
// kept here, for every request of the path, and not left to the browser.

// foreign reports whether a page has made r that may not: with a list of origins, a page of an origin that is
// neither in it nor the server's own.
func (s *Server) foreign(r *http.Request) bool {
	if s.listed == nil || !s.ofOthers(r) {
		return false
	}
	_, secure := s.cfg.ClientAddr(r)
	own, page := origin.OfRequest(r.Host, secure), origin.Parse(r.Header.Get("Origin"))
	switch mine := page.Host != "" && (page.Host == own.Host || r.Header.Get("Sec-Fetch-Site") == "same-origin"); {
	case mine && s.notice.News(causeForeign, time.Now()):
		s.log.Warn("pages of this host are refused, as their scheme, name or port is not that of their requests: "+
			"have the proxies pass Host on and trust those that tell the scheme, or list the origin",
			"origin", short(r.Header.Get("Origin")), "host", short(r.Host), "tls", secure)
	case !mine && s.notice.News(causeForeign+", of others", time.Now()):
		s.log.Info("pages of another origin are refused: if they are yours, add it to the list (CORS, BEANPOLE_ALLOWED_ORIGINS)",
			"origin", short(r.Header.Get("Origin")), "host", short(r.Host))
	}
	return true
}

// ofOthers reports whether a page has made r of an origin that is neither the server's own nor in the list, if there
// is one. Browsers leave Origin out of what a page loads without reading, such as scripts and pictures, and say in
// Sec-Fetch-Site whose page it was. Most clients that are no pages send neither; the others send the server's own.
func (s *Server) ofOthers(r *http.Request) bool {
	switch pages := r.Header["Origin"]; {
	case len(pages) > 1:
		return true // no browser sends two; a proxy may add one, and which of them counts?
	case len(pages) == 0 || pages[0] == "":
		// No client of the protocol is a page that somebody goes to: whoever makes a browser go there means no good.
		return !OwnSite(r) || r.Header.Get("Sec-Fetch-Site") == "none" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	default:
		return !(s.listed != nil && s.listed(r, pages[0])) && !s.own(r, origin.Parse(pages[0]))
	}
}

// own reports whether pages of the origin are the server's own: from the scheme and host that r is for. Where the
// list has the host with https, TLS ends before this server, and pages of its plain HTTP are whoever's is on the wire.
func (s *Server) own(r *http.Request, page origin.Origin) bool {
	_, secure := s.cfg.ClientAddr(r)
	return page.Host != "" && page == origin.OfRequest(r.Host, secure) &&
		(secure || s.listed == nil || !s.listed(r, "https://"+r.Host))
}

// OwnSite reports whether the browser that sent r, if it was one, says in Sec-Fetch-Site that no page of another
// site or origin made it: the page is the server's own, or a person has typed the address. A page can have its
// browser fetch addresses ahead of a visit, which counts as neither. Programs and old browsers do not say. A typed
// address of another site that redirects here cannot be told from one of this server's.
func OwnSite(r *http.Request) bool {
	ahead := r.Header.Get("Sec-Purpose") != "" || r.Header.Get("Purpose") != "" || r.Header.Get("X-Moz") != ""
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "" && site != "same-origin" && (site != "none" || ahead) {
			return false
		}
	}
	return true
}

// RefuseHost answers r with 403 and returns true if Config.AllowedHosts does not have its host. ServeHTTP asks it
// first; a program asks it for its own routes.
func (s *Server) RefuseHost(w http.ResponseWriter, r *http.Request) bool {
	if s.hosts.Has(r.Host) {
		return false
	}
	if s.notice.News(causeHost, time.Now()) {
		s.log.Warn("requests for a host that is not allowed are refused: if clients use this name, add it to the allowed hosts "+
			"(AllowedHosts, BEANPOLE_ALLOWED_HOSTS)", "host", short(r.Host))
	}
	s.refuse(&request{w: w, r: r, upgrade: isUpgrade(r)}, CodeForbidden, causeHost, map[string]any{"message": causeHost, "host": r.Host})
	return true
}

// short is as much of a header's value as a line of the log has room for.
func short(v string) string { return v[:min(len(v), 100)] }
