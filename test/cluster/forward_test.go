package cluster

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// fleet is servers behind a balancer that sends each request to the next of them.
type fleet struct {
	balancer *httptest.Server
	servers  []*httptest.Server
	forward  []*redis.Forwarder
	dead     []atomic.Bool
	next     atomic.Uint64
}

func nodeOf(sid string) (string, bool) {
	id, ok := transport.NodeOf(sid)
	return hex.EncodeToString(id[:]), ok
}

// target returns the next server that lives.
func (f *fleet) target() *url.URL {
	for {
		i := f.next.Add(1) % uint64(len(f.servers))
		if !f.dead[i].Load() {
			u, _ := url.Parse(f.servers[i].URL)
			return u
		}
	}
}

func newFleet(t *testing.T, n int, redisURL string) *fleet {
	t.Helper()
	f := &fleet{dead: make([]atomic.Bool, n)}
	for i := range n {
		name := fmt.Sprint("server", i)
		c, err := redis.New(redis.Config{URL: redisURL, Prefix: "fleet", HeartbeatInterval: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		id := transport.NodeID{byte(i + 1), 2, 3, 4, 5}
		fw, err := c.Forward(redis.ForwardConfig{Node: hex.EncodeToString(id[:]), NodeOf: nodeOf, URL: "http://" + l.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		io, err := server.New(server.Config{Adapter: c.Adapter(), Transport: transport.Config{NodeID: id, UnknownSession: fw.UnknownSession}})
		if err != nil {
			t.Fatal(err)
		}
		io.OnConnection(func(s *server.Socket) {
			s.On("echo", func(n int) error { return s.Emit("echo", n) })
			_ = s.Emit("home", name)
		})
		h := &httptest.Server{Listener: l, Config: &http.Server{Handler: io}}
		h.Start()
		f.servers, f.forward = append(f.servers, h), append(f.forward, fw)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = io.Shutdown(ctx)
			h.CloseClientConnections()
			h.Close()
			_ = c.Close(ctx)
		})
	}
	f.balancer = httptest.NewServer(&httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConnsPerHost: 1000},
		Rewrite: func(p *httputil.ProxyRequest) {
			u := f.target()
			p.Out.URL.Scheme, p.Out.URL.Host = u.Scheme, u.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(f.balancer.Close)
	return f
}

// Any server serves any session. The end of one is noticed by its own clients, and by those whose poll
// was under way through it.
func TestPollingWithoutSticky(t *testing.T) {
	installed(t)
	s := redistest.Start(t)
	f := newFleet(t, 3, s.URL())
	adaptertest.Eventually(t, func() error {
		if list, err := s.Client().Keys(t.Context(), "fleet-beanpole:node:*").Result(); len(list) != len(f.servers) || err != nil {
			return fmt.Errorf("addresses in Redis: %q, %v", list, err)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "polling.js")
	cmd.Dir = "node"
	cmd.Env = append(os.Environ(), "URL="+f.balancer.URL, "CLIENTS=200", "EVENTS=100")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	passed := false
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "READY":
			forwarded := uint64(0)
			for _, fw := range f.forward {
				counts := fw.Counts()
				forwarded += counts[redis.CauseForwarded]
				for cause, n := range counts {
					if cause != redis.CauseForwarded && n > 0 {
						t.Errorf("%d requests counted as %s", n, cause)
					}
				}
			}
			if forwarded < 400 { // three for each of the 133 that are elsewhere, and more
				t.Errorf("%d requests forwarded", forwarded)
			}
			f.dead[2].Store(true)
			f.servers[2].Listener.Close()
			f.servers[2].CloseClientConnections()
			fmt.Fprintln(in, "server2")
		case line == "PASS":
			passed = true
		case strings.HasPrefix(line, "FAIL"):
			t.Error(line)
			for i, fw := range f.forward {
				t.Logf("server%d has counted %v", i, fw.Counts())
			}
		default:
			t.Log(line)
		}
	}
	if err := cmd.Wait(); err != nil || !passed {
		t.Errorf("polling.js: %v", err)
	}
}
