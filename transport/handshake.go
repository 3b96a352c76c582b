package transport

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Handshake describes the request that opened a session. It is one string from which the maps are built
// when asked for: most sessions are never asked, and http.Header alone costs more than a kilobyte each.
type Handshake struct {
	// text holds the URL, the address and the header's names and values, each ended by fieldEnd.
	text   string
	issued int64 // milliseconds since 1970, as Node's issued
	secure bool
	cross  bool
}

// fieldEnd cannot be in a header value (RFC 9110 section 5.5) nor in a request line.
const fieldEnd = "\x00"

// target returns the path and the raw query of r, as the client sent them.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI() // an absolute form, or a request made by hand
}

// handshakeSize returns how many bytes the Handshake of r has.
func handshakeSize(r *http.Request, addr string) int {
	size := len(target(r)) + len(addr) + len("Host") + len(r.Host) + 4
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 2
		}
	}
	return size
}

// newHandshake takes down r, which it does not keep. addr is the client's address without port.
func newHandshake(r *http.Request, addr string, secure bool) *Handshake {
	var b strings.Builder
	b.Grow(handshakeSize(r, addr))
	put := func(s string) {
		// A server never passes on a field with a NUL; the fields after it would move.
		if strings.Contains(s, fieldEnd) {
			s = strings.ReplaceAll(s, fieldEnd, "")
		}
		b.WriteString(s)
		b.WriteString(fieldEnd)
	}
	put(target(r))
	put(addr)
	if r.Host != "" { // net/http takes Host out of the header
		put("Host")
		put(r.Host)
	}
	for name, values := range r.Header {
		for _, v := range values {
			put(name)
			put(v)
		}
	}
	return &Handshake{
		text:   b.String(),
		issued: time.Now().UnixMilli(),
		secure: secure,
		cross:  r.Header.Get("Origin") != "",
	}
}

// Header returns a copy of the request's header, Host included, with the names in canonical form.
func (h *Handshake) Header() http.Header {
	_, rest, _ := strings.Cut(h.text, fieldEnd)
	_, rest, _ = strings.Cut(rest, fieldEnd)
	out := make(http.Header, strings.Count(rest, fieldEnd)/2)
	for rest != "" {
		var name, value string
		name, rest, _ = strings.Cut(rest, fieldEnd)
		value, rest, _ = strings.Cut(rest, fieldEnd)
		out[name] = append(out[name], value)
	}
	return out
}

// Query returns a copy of the URL's query. Parts that are not valid are left out.
func (h *Handshake) Query() url.Values {
	_, raw, _ := strings.Cut(h.URL(), "?")
	q, _ := url.ParseQuery(raw)
	return q
}

// URL returns the path and the raw query, as the client sent them.
func (h *Handshake) URL() string {
	u, _, _ := strings.Cut(h.text, fieldEnd)
	return u
}

// Addr returns the client's address without port, as Config.ClientAddr told it.
func (h *Handshake) Addr() string {
	_, rest, _ := strings.Cut(h.text, fieldEnd)
	addr, _, _ := strings.Cut(rest, fieldEnd)
	return addr
}

// Secure reports whether the client came over TLS, as Config.ClientAddr told it.
func (h *Handshake) Secure() bool { return h.secure }

// CrossOrigin reports whether the request had an Origin header (Node: xdomain).
func (h *Handshake) CrossOrigin() bool { return h.cross }

// Time returns when the session was opened, to the millisecond.
func (h *Handshake) Time() time.Time { return time.UnixMilli(h.issued) }
