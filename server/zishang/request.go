package zishang

import (
	"crypto/tls"
	"net/http"
	"net/url"

	"github.com/zishang520/engine.io/v2/types"

	"github.com/beanpole/beanpole/transport"
)

// newContext makes the library's view of a request that nothing may be written to. The library starts a
// goroutine for it, which Flush ends.
func newContext(r *http.Request) *types.HttpContext {
	c := types.NewHttpContext(nowhere{}, r)
	c.Flush()
	return c
}

// newRequest makes a request of what is left of the one that opened a session.
func newRequest(h *transport.Handshake) *http.Request {
	u, err := url.ParseRequestURI(h.URL())
	if err != nil {
		u = &url.URL{Path: "/"}
	}
	r := (&http.Request{
		Method: http.MethodGet, URL: u, RequestURI: h.URL(), Header: h.Header(), RemoteAddr: h.Addr(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}).WithContext(h.Context())
	r.Host = r.Header.Get("Host")
	if h.Secure() {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	return r
}

// nowhere is a ResponseWriter for requests that have been answered.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
