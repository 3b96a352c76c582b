package host

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// origins decides which pages may connect. The zero value leaves it to the browser's own rules.
type origins []string

// validOrigin reports whether o can be in the list: a scheme and a host without path, "*" or "null".
func validOrigin(o string) bool {
	if o == "*" || o == "null" {
		return true
	}
	u, err := url.Parse(strings.Replace(o, "*", "x", 1))
	return err == nil && u.Scheme != "" && u.Host != "" && u.User == nil && u.Path == "" && u.RawQuery == "" &&
		u.Fragment == "" && !strings.ContainsAny(u.Host, "*,")
}

// allow reports whether the list has the origin.
func (list origins) allow(origin string) bool {
	origin = strings.ToLower(origin)
	for _, o := range list {
		o = strings.ToLower(o)
		before, after, wild := strings.Cut(o, "*")
		if !wild && o == origin {
			return true
		}
		if wild && len(origin) > len(before)+len(after) && strings.HasPrefix(origin, before) &&
			strings.HasSuffix(origin, after) && (o == "*" || plain(origin[len(before):len(origin)-len(after)])) {
			return true
		}
	}
	return false
}

// plain reports whether s can stand for the * inside an origin: part of a host name, and no more.
func plain(s string) bool { return !strings.ContainsAny(s, "/:@?#") }

var errOrigin = errors.New("origin not allowed")

// check refuses the handshake of a page of an origin that is neither the server's own nor in the list.
// Browsers let any page open a WebSocket anywhere, with the cookies of the site it goes to.
func (list origins) check(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" || len(list) == 0 || list.allow(origin) || sameOrigin(origin, r.Host) {
		return nil
	}
	return errOrigin
}

// sameOrigin reports whether a page of the origin was served by host. Proxies that drop the port from
// the Host header are common (nginx's $host), so a host without port matches any. The schemes ws and wss
// are the Swift client's.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if name, port, err := net.SplitHostPort(host); err == nil {
		want := u.Port()
		if want == "" {
			want = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443"}[u.Scheme]
		}
		return strings.EqualFold(u.Hostname(), name) && want == port
	}
	return strings.EqualFold(u.Hostname(), strings.Trim(host, "[]"))
}
