package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Browsers let any page open a WebSocket anywhere, send forms, and load what it likes as a script, each with
// the cookies of the site it goes to; CORS headers only say who may read an answer. So the list of origins is
// kept here, for every request of the path, and not left to the browser.

// Check reports what is wrong with c, on one line.
func (c *CORS) Check() error {
	if c.AllowOrigin != nil {
		return nil
	}
	if len(c.Origins) == 0 && c.Credentials {
		return errors.New("credentials need Origins or AllowOrigin: without either every origin is allowed, " +
			"and browsers refuse credentials then")
	}
	for _, o := range c.Origins {
		if err := checkOrigin(o, c.Credentials); err != nil {
			return fmt.Errorf("origin %q: %w", o, err)
		}
	}
	return nil
}

func checkOrigin(o string, credentials bool) error {
	if o != "*" && o != "null" {
		scheme, rest, ok := strings.Cut(o, "://")
		switch {
		case strings.Count(o, "*") > 1:
			return errors.New(`more than one "*"`)
		case !ok:
			return errors.New("no scheme, as in https://app.example.com")
		case strings.Contains(scheme, "*"):
			return errors.New(`"*" in the scheme`)
		}
		u, err := url.Parse(scheme + "://" + strings.ReplaceAll(rest, "*", "0"))
		if err != nil {
			return err
		}
		if u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return errors.New("an origin is scheme://host[:port], nothing after it")
		}
		if _, err := netip.ParseAddr(u.Hostname()); err != nil && !hostName(strings.ToLower(u.Hostname())) {
			return errors.New("browsers send no such host name; others than ASCII's letters are written xn--…")
		}
	}
	if credentials && anybodys(o) {
		return errors.New(`credentials would go to pages of anybody: list the origins, use "*" in front of a domain ` +
			`of your own, as in https://*.example.com, or set AllowOrigin`)
	}
	return nil
}

// anybodys reports whether anybody can have a page of the origin o: no domain that one owner has registered
// stands behind its "*", or it is that of pages without an origin, which every frame with the attribute sandbox is.
func anybodys(o string) bool {
	if o == "*" || o == "null" {
		return true
	}
	before, after, wild := strings.Cut(o, "*")
	if !wild {
		return false
	}
	_, host, _ := strings.Cut(before, "://")
	if strings.HasPrefix(host, "[") {
		return !strings.Contains(host, "]") // in the address, else in the port
	}
	if strings.Contains(host, ":") { // in the port
		return false
	}
	name, _, _ := strings.Cut(after, ":")
	_, domain, _ := strings.Cut(name, ".")
	domain = strings.ToLower(strings.Trim(domain, "."))
	if domain == "localhost" {
		return false
	}
	suffix, _ := publicsuffix.PublicSuffix(domain) // https://publicsuffix.org, co.uk and github.io among it
	return domain == suffix
}

// list returns who is allowed, or nil if everybody is.
func (c *CORS) list() func(r *http.Request, origin string) bool {
	switch {
	case c == nil || c.AllowOrigin == nil && len(c.Origins) == 0:
		return nil
	case c.AllowOrigin != nil:
		return c.AllowOrigin
	}
	patterns := make([]string, len(c.Origins))
	for i, o := range c.Origins {
		if o == "*" {
			return nil
		}
		patterns[i] = strings.ToLower(o)
	}
	return func(_ *http.Request, origin string) bool {
		origin = strings.ToLower(origin)
		for _, p := range patterns {
			if matches(p, origin) {
				return true
			}
		}
		return false
	}
}

// matches reports whether origin is p, or is so with part of a host name or port for the "*" in p.
func matches(p, origin string) bool {
	before, after, wild := strings.Cut(p, "*")
	if !wild {
		return p == origin
	}
	return len(origin) > len(before)+len(after) && strings.HasPrefix(origin, before) &&
		strings.HasSuffix(origin, after) && hostName(origin[len(before):len(origin)-len(after)])
}

// hostName reports whether s, in lower case, has only what host names in browsers have.
func hostName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != ""
}

// foreign reports whether a page has made r that may not: with a list of origins, a page of an origin that is
// neither in it nor the server's own. Browsers leave Origin out of what a page loads without reading, such as
// scripts and pictures, and say in Sec-Fetch-Site whose page it was; clients that are no pages send neither.
func (s *Server) foreign(r *http.Request) bool {
	if s.listed == nil {
		return false
	}
	switch origins := r.Header["Origin"]; {
	case len(origins) > 1:
		return true // no browser sends two; a proxy may add one, and which of them counts?
	case len(origins) == 0 || origins[0] == "":
		return !OwnSite(r)
	default:
		return !s.listed(r, origins[0]) && !s.own(r, origins[0])
	}
}

// OwnSite reports whether the browser that sent r, if it was one, says in Sec-Fetch-Site that no page of another
// site or origin made it: the page is the server's own, or a person has typed the address. Programs and old
// browsers do not say.
func OwnSite(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "" && site != "same-origin" && site != "none" {
			return false
		}
	}
	return true
}

// own reports whether pages of the origin are the server's own: from the scheme and host that r is for. Proxies
// that drop the port from the Host header are common (nginx's $host), so a host without port has any. The
// schemes ws and wss are the Swift client's.
func (s *Server) own(r *http.Request, origin string) bool {
	scheme, at, _ := strings.Cut(strings.ToLower(origin), "://")
	name, port := splitPort(at)
	host, hostPort := splitPort(strings.ToLower(r.Host))
	if name == "" || name != host {
		return false
	}
	_, secure := s.cfg.ClientAddr(r)
	own, defaultPort := scheme == "http" || scheme == "ws", "80"
	if secure {
		own, defaultPort = scheme == "https" || scheme == "wss", "443"
	}
	if port == "" {
		port = defaultPort
	}
	if own && (hostPort == "" || port == hostPort) {
		return true
	}
	if s.notice.News(causeForeign, time.Now()) {
		s.log.Warn("pages of this host are refused, as their scheme or port is not that of their requests: "+
			"trust the proxies that tell it, or list the origin", "origin", origin, "host", r.Host, "tls", secure)
	}
	return false
}

// splitPort returns the host, and the port if there is one.
func splitPort(at string) (host, port string) {
	if i := strings.LastIndexByte(at, ':'); i > strings.LastIndexByte(at, ']') {
		return at[:i], at[i+1:]
	}
	return at, ""
}

// CheckHosts reports what is wrong with a list for Config.AllowedHosts, on one line.
func CheckHosts(list []string) error {
	for _, v := range list {
		if u, err := url.Parse("http://" + v); err != nil || v == "" || u.Host != v || u.User != nil {
			return fmt.Errorf("%q is no host[:port]", v)
		}
	}
	return nil
}

// hosts are the values that Host may have, in lower case. The empty list is any.
type hosts []string

func newHosts(list []string) hosts {
	h := make(hosts, len(list))
	for i, v := range list {
		h[i] = strings.ToLower(v)
	}
	return h
}

// has reports whether a request for host is one for this server: any port will do where none is said.
func (list hosts) has(host string) bool {
	if len(list) == 0 {
		return true
	}
	host = strings.ToLower(host)
	name, _ := splitPort(host)
	return slices.Contains(list, host) || slices.Contains(list, name)
}
