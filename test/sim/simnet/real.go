//go:build !wasip1

package simnet

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Net is a network of real connections on loopback. All methods may be called from any goroutine.
type Net struct {
	seed uint64
	// Profile returns what connections from one host to another are like. Set before use.
	Profile func(from, to string) Profile
	// Opened, if not nil, is told of each connection, when both ends know of it.
	Opened func(*Link)

	mu sync.Mutex
	// Guarded by mu.
	places  map[string]*place // by address
	links   []*Link
	numbers map[string]int  // of connections, by their ends
	down    map[string]bool // hosts that have been killed
	still   map[string]bool // hosts that stand still
	barred  map[string]bool // from>to
}

// place is where an address is on this machine.
type place struct {
	owner  string
	real   string    // host and port: the same whenever somebody listens there again
	listen *Listener // nil when nobody does, or a program of its own
	open   bool
}

// New returns a network whose draws come from seed.
func New(seed uint64) *Net {
	return &Net{seed: seed, places: map[string]*place{}, numbers: map[string]int{},
		down: map[string]bool{}, still: map[string]bool{}, barred: map[string]bool{}}
}

// Listener takes the connections to one address. It is a net.Listener whose connections are *net.TCPConn.
type Listener struct {
	net.Listener
	net   *Net
	place *place
	once  sync.Once
}

// Listen makes owner, a host, take the connections to addr, of which there is one listener at a time.
func (n *Net) Listen(owner, addr string) (*Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.places[addr]
	if p == nil {
		p = &place{real: "127.0.0.1:0"}
		n.places[addr] = p
	}
	if p.open {
		return nil, fmt.Errorf("listen %s: %w", addr, syscall.EADDRINUSE)
	}
	tcp, err := net.Listen("tcp", p.real)
	if err != nil {
		return nil, err
	}
	l := &Listener{Listener: tcp, net: n, place: p}
	p.real, p.owner, p.listen, p.open = tcp.Addr().String(), owner, l, true
	return l, nil
}

// Close is net.Listener's.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		l.net.mu.Lock()
		if l.place.listen == l {
			l.place.listen, l.place.open = nil, false
		}
		l.net.mu.Unlock()
		err = l.Listener.Close()
	})
	return err
}

// Lead makes connections to addr go to a program of its own that listens at real, or refuses them when real is empty.
func (n *Net) Lead(owner, addr, real string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.places[addr] = &place{owner: owner, real: real, open: real != ""}
}

// Dial opens a connection from a host to an address.
func (n *Net) Dial(ctx context.Context, from, to string) (net.Conn, error) {
	profile := n.Profile(from, to)
	n.mu.Lock()
	key := from + ">" + to
	n.numbers[key]++
	l := &Link{From: from, To: to, Number: n.numbers[key]}
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s: %w", to, syscall.ECONNREFUSED)}
	select {
	case <-time.After(2 * profile.Latency): // there and back
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	p := n.places[to]
	open := p != nil && p.open && !n.down[from] && !n.barred[key]
	real := ""
	if open {
		l.Owner, real = p.owner, p.real
	}
	n.mu.Unlock()
	if !open {
		return nil, refused
	}
	client, near, err := pair()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	far, err := d.DialContext(ctx, "tcp", real)
	if err != nil {
		_, _ = client.Close(), near.Close()
		return nil, err
	}
	n.mu.Lock()
	killed := n.down[from] || n.down[l.Owner]
	if !killed {
		l.relay(near, far.(*net.TCPConn), profile, n.seed)
		l.pause(n.still[from] || n.still[l.Owner])
		n.links = append(n.links, l)
	}
	n.mu.Unlock()
	if killed {
		_, _, _ = client.Close(), near.Close(), far.Close()
		return nil, refused
	}
	if n.Opened != nil {
		n.Opened(l)
	}
	return client, nil
}

// pair returns the two ends of a connection on loopback.
func pair() (*net.TCPConn, *net.TCPConn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = l.Close() }()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	for {
		b, err := l.Accept()
		if err != nil {
			_ = a.Close()
			return nil, nil, err
		}
		if b.RemoteAddr().String() == a.LocalAddr().String() {
			return a.(*net.TCPConn), b.(*net.TCPConn), nil
		}
		_ = b.Close() // somebody else's
	}
}

// Links returns the open connections for which match is true, in the order they were opened.
func (n *Net) Links(match func(*Link) bool) []*Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = slices.DeleteFunc(n.links, (*Link).over)
	var out []*Link
	for _, l := range n.links {
		if match(l) {
			out = append(out, l)
		}
	}
	return out
}

// Kill takes a host away as the end of its process does: its connections are reset, and it can open none.
func (n *Net) Kill(host string) {
	n.Resume(host)
	n.mu.Lock()
	n.down[host] = true
	var own []*Listener
	for _, p := range n.places {
		if p.owner == host && p.listen != nil {
			own = append(own, p.listen)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(own, func(a, b *Listener) int { return strings.Compare(a.place.real, b.place.real) })
	for _, l := range own {
		_ = l.Close()
	}
	for _, l := range n.Links(func(l *Link) bool { return l.From == host || l.Owner == host }) {
		l.Cut(Both)
	}
}

// Pause lets a host stand still, as a stopped process does, seen from outside: nothing reaches it and nothing leaves it,
// and nobody is told. What it does meanwhile reaches nobody before Resume.
func (n *Net) Pause(host string) { n.set(host, true) }

// Resume ends Pause.
func (n *Net) Resume(host string) { n.set(host, false) }

func (n *Net) set(host string, still bool) {
	n.mu.Lock()
	n.still[host] = still
	n.mu.Unlock()
	for _, l := range n.Links(func(l *Link) bool { return l.From == host || l.Owner == host }) {
		n.mu.Lock()
		l.pause(n.still[l.From] || n.still[l.Owner])
		n.mu.Unlock()
	}
}
