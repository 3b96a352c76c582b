package origin

import (
	"net/netip"
	"strings"
)

// Origin is where a page is from. The zero Origin is nobody's.
type Origin struct {
	Scheme string // in lower case; https for wss, and http for ws
	Host   string // a name in lower case or an address, that of IPv6 in brackets
	Port   string // never empty with http and https
}

// Null is the origin of pages that browsers give none, and File that of files.
const (
	Null = "null"
	File = "file://"
)

// Parse reads the value of an Origin header. It returns the zero Origin for what is none.
func Parse(s string) Origin {
	s = strings.ToLower(s)
	if s == Null || s == File {
		return Origin{Scheme: strings.TrimSuffix(s, "://")}
	}
	scheme, at, _ := strings.Cut(s, "://")
	return of(scheme, at)
}

// OfRequest returns the origin of the pages that a server is itself the source of, by the Host header of a request
// to it and whether that came over TLS.
func OfRequest(host string, secure bool) Origin {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return of(scheme, strings.ToLower(host))
}

func of(scheme, at string) Origin {
	host, port := splitPort(at)
	if scheme == "" || host == "" {
		return Origin{}
	}
	return Origin{plain(scheme), canonical(host), portOf(plain(scheme), port)}
}

// plain returns the scheme of the page for that of its WebSocket, which some clients send as their origin's.
func plain(scheme string) string {
	switch scheme {
	case "ws":
		return "http"
	case "wss":
		return "https"
	}
	return scheme
}

func portOf(scheme, port string) string {
	switch {
	case port != "":
		return port
	case scheme == "http":
		return "80"
	case scheme == "https":
		return "443"
	}
	return ""
}

// splitPort returns the host, and the port if there is one.
func splitPort(at string) (host, port string) {
	if i := strings.LastIndexByte(at, ':'); i > strings.LastIndexByte(at, ']') {
		return at[:i], at[i+1:]
	}
	return at, ""
}

// canonical returns host with an address of IPv6 in the one form in which addresses are compared.
func canonical(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if ip, err := netip.ParseAddr(strings.TrimSuffix(inner, "]")); err == nil {
			return "[" + ip.String() + "]"
		}
	}
	return host
}
