//go:build wasip1

package simnet

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Net is a network. All methods may be called from any goroutine.
type Net struct {
	seed uint64
	// Profile returns what connections from one host to another are like. Set before use.
	Profile func(from, to string) Profile
	// Opened, if not nil, is told of each connection, when both ends know of it.
	Opened func(*Link)

	mu sync.Mutex
	// Guarded by mu.
	listeners map[string]*Listener
	links     []*Link
	numbers   map[string]int  // of connections, by their ends
	down      map[string]bool // hosts that have been killed
	gates     map[string]*gate
	barred    map[string]bool // from>to
	ports     int
}

// New returns a network whose draws come from seed.
func New(seed uint64) *Net {
	return &Net{seed: seed, listeners: map[string]*Listener{}, numbers: map[string]int{}, down: map[string]bool{},
		gates: map[string]*gate{}, barred: map[string]bool{}}
}

// Listener takes the connections to one address. It is a net.Listener.
type Listener struct {
	net         *Net
	owner, addr string
	accept      chan *Conn
	done        chan struct{}
	once        sync.Once
}

// Listen makes owner, a host, take the connections to addr, of which there is one listener at a time.
func (n *Net) Listen(owner, addr string) (*Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, fmt.Errorf("listen %s: %w", addr, syscall.EADDRINUSE)
	}
	l := &Listener{net: n, owner: owner, addr: addr, accept: make(chan *Conn, 1024), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// Accept is net.Listener's.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.accept:
		c.gate.pass()
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close is net.Listener's. Connections that nobody has accepted are reset.
func (l *Listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		if l.net.listeners[l.addr] == l {
			delete(l.net.listeners, l.addr)
		}
		l.net.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.accept:
				c.link.Cut(Both)
			default:
				return
			}
		}
	})
	return nil
}

// Addr is net.Listener's.
func (l *Listener) Addr() net.Addr { return address(l.addr) }

// address is the name of one end of a connection.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// Link is one connection, seen from outside.
type Link struct {
	// Set when it is opened, then read only: the host that opened it, the address it is to, and the host that
	// listened there.
	From, To, Owner string
	Number          int // of those between the same two

	net            *Net
	client, server *Conn
}

// String names the link in a history.
func (l *Link) String() string { return fmt.Sprintf("%s>%s.%d", l.From, l.To, l.Number) }

// Dial opens a connection from a host to an address.
func (n *Net) Dial(ctx context.Context, from, to string) (net.Conn, error) {
	p := n.Profile(from, to)
	n.mu.Lock()
	key := from + ">" + to
	n.numbers[key]++
	l := &Link{From: from, To: to, Number: n.numbers[key], net: n}
	own := n.gate(from)
	n.ports++
	port := 1024 + n.ports%60000
	n.mu.Unlock()
	own.pass()
	rng := Rand(n.seed, l.String())
	wait := p.Latency + time.Duration(rng.Int64N(int64(p.Jitter)+1))
	t := time.NewTimer(2 * wait) // there and back
	select {
	case <-t.C:
	case <-ctx.Done():
		t.Stop()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address(to), Err: ctx.Err()}
	}
	n.mu.Lock()
	listener := n.listeners[to]
	if listener == nil || n.down[from] || n.barred[key] {
		n.mu.Unlock()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address(to), Err: syscall.ECONNREFUSED}
	}
	there := newStream(p, Rand(n.seed, l.String()+" there"))
	back := newStream(p, Rand(n.seed, l.String()+" back"))
	here := address(fmt.Sprintf("10.0.%d.%d:%d", n.hostNumber(from), 1, port))
	l.Owner = listener.owner
	l.client = &Conn{link: l, local: here, remote: address(to), in: back, out: there, gate: own}
	l.server = &Conn{link: l, local: address(to), remote: here, in: there, out: back, gate: n.gate(l.Owner)}
	n.links = append(n.links, l)
	n.mu.Unlock()
	select {
	case listener.accept <- l.server:
	default:
		l.Cut(Both)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address(to), Err: syscall.ECONNREFUSED}
	}
	if n.Opened != nil {
		n.Opened(l)
	}
	return l.client, nil
}

// hostNumber is a number below 256 for the addresses of a host.
func (n *Net) hostNumber(host string) byte {
	h := fnv.New32a()
	_, _ = h.Write([]byte(host))
	return byte(h.Sum32())
}

// Links returns the open connections for which match is true, in the order they were opened.
func (n *Net) Links(match func(*Link) bool) []*Link {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = slices.DeleteFunc(n.links, func(l *Link) bool { return l.client.shut() && l.server.shut() })
	var out []*Link
	for _, l := range n.links {
		if match(l) {
			out = append(out, l)
		}
	}
	return out
}

// Kill takes a host away as the end of its process does: nobody hears of it any more but that its connections
// are reset, what it had written and was not under way is lost, and it can open none.
func (n *Net) Kill(host string) {
	n.mu.Lock()
	n.down[host] = true
	var own []*Listener
	for _, l := range n.listeners {
		if l.owner == host {
			own = append(own, l)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(own, func(a, b *Listener) int { return strings.Compare(a.addr, b.addr) })
	for _, l := range own {
		_ = l.Close()
	}
	for _, l := range n.Links(func(l *Link) bool { return l.From == host || l.Owner == host }) {
		l.Cut(Both)
	}
	n.Resume(host)
}

var errReset = syscall.ECONNRESET

// Cut ends the connection. What is under way is lost.
func (l *Link) Cut(side Side) {
	there, back := l.client.out, l.server.out
	there.silence()
	back.silence()
	if side == Both || side == ClientOnly {
		back.cutReader(errReset)
		there.cutWriter(errReset)
	}
	if side == Both || side == ServerOnly {
		there.cutReader(errReset)
		back.cutWriter(errReset)
	}
}

// CutAfter cuts the connection when so many more bytes have been written by the client, or by the server: in
// the middle of a message, most of the time. Those bytes arrive.
func (l *Link) CutAfter(byClient bool, bytes int, side Side) {
	s := l.server.out
	if byClient {
		s = l.client.out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.limited = bytes, func() {
		// The bytes before arrive first.
		time.AfterFunc(s.profile.Latency+s.profile.Jitter, func() { l.Cut(side) })
	}
}

// Spare takes back what CutAfter is still to do.
func (l *Link) Spare() {
	for _, s := range []*stream{l.client.out, l.server.out} {
		s.mu.Lock()
		s.limited = nil
		s.mu.Unlock()
	}
}

// Idle is how long nothing has been written on the connection, 0 while the server owes an answer.
func (l *Link) Idle() time.Duration {
	asked, answered := l.client.out.written(), l.server.out.written()
	if asked.After(answered) {
		return 0
	}
	return time.Since(answered)
}

// HangUp closes the server's end.
func (l *Link) HangUp() { _ = l.server.Close() }

// Stall keeps everything that is written from now on, in both directions, from arriving for so long.
func (l *Link) Stall(d time.Duration) {
	until := time.Now().Add(d)
	l.client.out.stall(until)
	l.server.out.stall(until)
}
