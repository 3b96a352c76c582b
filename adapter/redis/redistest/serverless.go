package redistest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Serverless is a Redis that behaves like ElastiCache Serverless: a cluster behind one address, in which commands with
// keys of several slots are refused, without PSUBSCRIBE, that now and then answers MOVED to the address it has, and
// drops connections that are idle. Source: AWS, Amazon ElastiCache User Guide, Supported and restricted commands.
type Serverless struct {
	Addr string

	idle   time.Duration
	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	closed  bool
	dropped int
	moved   int
	keyed   int
}

// StartServerless runs one until the test ends. Connections without traffic for idle are dropped.
func StartServerless(t T, idle time.Duration) *Serverless {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	s := Start(t, "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", strconv.Itoa(port),
		"--rename-command", "PSUBSCRIBE", "", "--rename-command", "PUNSUBSCRIBE", "")
	c := s.Client()
	ctx := context.Background()
	if err := c.Do(ctx, "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatalf("slots: %v", err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // another process: no event to await
		info, err := c.ClusterInfo(ctx).Result()
		if err == nil && strings.Contains(info, "cluster_state:ok") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the cluster does not form: %v %s", err, info)
		}
	}
	p := &Serverless{Addr: l.Addr().String(), idle: idle, target: s.Addr(), l: l, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// URL returns the URL, which does not say that it is a cluster.
func (p *Serverless) URL() string { return "redis://" + p.Addr }

// Happened returns how many connections were dropped as idle, and how often MOVED was answered.
func (p *Serverless) Happened() (dropped, moved int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped, p.moved
}

func (p *Serverless) accept() {
	for {
		a, err := p.l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = a.Close()
			continue
		}
		p.mu.Lock()
		closed := p.closed
		p.conns[a], p.conns[b] = struct{}{}, struct{}{}
		p.mu.Unlock()
		if closed {
			_, _ = a.Close(), b.Close()
			return
		}
		quiet := time.AfterFunc(p.idle, func() {
			p.mu.Lock()
			p.dropped++
			p.mu.Unlock()
			_, _ = a.Close(), b.Close()
		})
		p.wg.Go(func() {
			defer quiet.Stop()
			defer p.forget(a, b)
			p.commands(b, a, quiet)
		})
		p.wg.Go(func() {
			defer p.forget(a, b)
			buf := make([]byte, 32<<10)
			for {
				n, err := b.Read(buf)
				if n > 0 {
					quiet.Reset(p.idle)
					if _, err := a.Write(buf[:n]); err != nil {
						return
					}
				}
				if err != nil {
					return
				}
			}
		})
	}
}

func (p *Serverless) forget(list ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// commands hands on what a client sends, command by command.
func (p *Serverless) commands(to io.Writer, from io.Reader, quiet *time.Timer) {
	r, w := bufio.NewReader(from), bufio.NewWriter(to)
	for {
		args, err := command(r)
		if err != nil {
			return
		}
		quiet.Reset(p.idle)
		if p.moves(args) {
			// In its place among the answers, without being done.
			args = []string{"EVAL", fmt.Sprintf("return redis.error_reply('MOVED 1 %s')", p.Addr), "0"}
		}
		fmt.Fprintf(w, "*%d\r\n", len(args))
		for _, a := range args {
			fmt.Fprintf(w, "$%d\r\n%s\r\n", len(a), a)
		}
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
	}
}

// moves reports whether a command is to be answered with MOVED: one in twenty of some. Those that publish are left
// out, as they come many in one pipeline whose order then is another.
func (p *Serverless) moves(args []string) bool {
	switch strings.ToUpper(args[0]) {
	case "GET", "SET", "EVALSHA", "XRANGE", "XREVRANGE":
	default:
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keyed++
	if p.keyed%20 != 0 {
		return false
	}
	p.moved++
	return true
}

// command reads one command.
func command(r *bufio.Reader) ([]string, error) {
	n, err := length(r, '*')
	if err != nil || n < 1 || n > 1<<20 {
		return nil, io.ErrUnexpectedEOF
	}
	args := make([]string, n)
	for i := range args {
		size, err := length(r, '$')
		if err != nil || size < 0 || size > 512<<20 {
			return nil, io.ErrUnexpectedEOF
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

func length(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil || len(line) < 3 || line[0] != kind {
		return 0, io.ErrUnexpectedEOF
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

func (p *Serverless) close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	_ = p.l.Close()
	p.wg.Wait()
}
