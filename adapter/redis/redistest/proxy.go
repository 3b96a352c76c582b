package redistest

import (
	"net"
	"sync"
	"time"
)

// Proxy is a way to a server that can be cut, blocked or slow.
type Proxy struct {
	Addr string
	l    net.Listener
	wg   sync.WaitGroup

	mu      sync.Mutex
	target  string
	open    *sync.Cond
	blocked bool
	held    int // bytes
	refuse  bool
	delay   time.Duration
	conns   map[net.Conn]struct{}
	closed  bool
}

// NewProxy starts a proxy to the address target. It ends with the test.
func NewProxy(t T, target string) *Proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, l: l, conns: map[net.Conn]struct{}{}}
	p.open = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// URL returns the URL of the way.
func (p *Proxy) URL() string { return "redis://" + p.Addr }

func (p *Proxy) accept() {
	for {
		a, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse, target := p.refuse || p.closed, p.target
		p.mu.Unlock()
		if refuse {
			_ = a.Close()
			continue
		}
		b, err := net.Dial("tcp", target)
		if err != nil {
			_ = a.Close()
			continue
		}
		p.mu.Lock()
		p.conns[a], p.conns[b] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.copy(a, b) })
		p.wg.Go(func() { p.copy(b, a) })
	}
}

func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		p.held += n
		for p.blocked && !p.closed {
			p.open.Wait()
		}
		p.held -= n
		delay := p.delay
		p.mu.Unlock()
		time.Sleep(delay) // a way that is slow: time is what it is about
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Lead has new connections lead to the address target, as an endpoint does when another server has been promoted. Those
// that there are stay where they are.
func (p *Proxy) Lead(target string) { p.mu.Lock(); p.target = target; p.mu.Unlock() }

// Block holds all bytes back, as a network does that loses them; Unblock lets them through.
func (p *Proxy) Block() { p.mu.Lock(); p.blocked = true; p.mu.Unlock() }

// Held returns how many bytes Block holds back.
func (p *Proxy) Held() int { p.mu.Lock(); defer p.mu.Unlock(); return p.held }

// Unblock ends Block.
func (p *Proxy) Unblock() {
	p.mu.Lock()
	p.blocked = false
	p.open.Broadcast()
	p.mu.Unlock()
}

// Slow holds up whatever comes through by d, zero not at all. At most 32 KiB come through at a time.
func (p *Proxy) Slow(d time.Duration) { p.mu.Lock(); p.delay = d; p.mu.Unlock() }

// Cut closes all connections and, if refuse is true, every new one.
func (p *Proxy) Cut(refuse bool) {
	p.mu.Lock()
	p.refuse = refuse
	for c := range p.conns {
		_ = c.Close()
		delete(p.conns, c)
	}
	p.mu.Unlock()
}

// Close ends the proxy.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.open.Broadcast()
	p.mu.Unlock()
	_ = p.l.Close()
	p.Cut(true)
	p.wg.Wait()
}
