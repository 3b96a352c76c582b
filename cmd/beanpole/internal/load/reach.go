package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
)

// ErrFar is the error of Run when the server is not on this machine and Options.Yes is not set.
var ErrFar = errors.New("it is not on this machine, and nobody but its owner may put load on it")

// reach is where connections go.
type reach struct {
	to    string // host and port as the requests have it
	addrs []netip.AddrPort
	next  atomic.Uint64
}

// resolve looks the host up, once for the whole run.
func (p *plan) resolve(ctx context.Context) (*reach, error) {
	port := p.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.url.Scheme]
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, err
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", p.url.Hostname())
	if err != nil {
		return nil, err
	}
	r := &reach{to: net.JoinHostPort(p.url.Hostname(), port)}
	for _, ip := range list {
		if ip = ip.Unmap(); !ip.IsLoopback() && !p.Yes {
			return nil, fmt.Errorf("%s is %s: %w", p.url.Hostname(), ip, ErrFar)
		}
		r.addrs = append(r.addrs, netip.AddrPortFrom(ip, uint16(n)))
	}
	return r, nil
}

// dial connects to one of the addresses, each in its turn, and to the next where that fails.
func (r *reach) dial(ctx context.Context, network, to string) (net.Conn, error) {
	if to != r.to {
		return nil, fmt.Errorf("the server leads to %s, which was not asked for", to)
	}
	var d net.Dialer
	var last error
	first := r.next.Add(1)
	for i := range r.addrs {
		c, err := d.DialContext(ctx, network, r.addrs[(first+uint64(i))%uint64(len(r.addrs))].String())
		if err == nil {
			return c, nil
		}
		last = err
	}
	return nil, last
}

// wires are the connections of one session, to be cut.
type wires struct {
	reach *reach

	mu   sync.Mutex
	open map[*wire]struct{}
}

// wire is one of them.
type wire struct {
	net.Conn
	of *wires
}

// Close closes the connection, which is nobody's then.
func (w *wire) Close() error {
	w.of.mu.Lock()
	delete(w.of.open, w)
	w.of.mu.Unlock()
	return w.Conn.Close()
}

func (w *wires) dial(ctx context.Context, network, to string) (net.Conn, error) {
	c, err := w.reach.dial(ctx, network, to)
	if err != nil {
		return nil, err
	}
	x := &wire{c, w}
	w.mu.Lock()
	w.open[x] = struct{}{}
	w.mu.Unlock()
	return x, nil
}

// cut ends all connections without a word of HTTP or WebSocket.
func (w *wires) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		_ = c.Conn.Close()
	}
	clear(w.open)
}

// transport carries the requests of one session over connections of its own.
func (w *wires) transport(insecure bool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.DialContext = nil, w.dial
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: insecure} //nolint:gosec // asked for
	return t
}
