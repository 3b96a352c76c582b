package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// eventually waits until ok holds; for state that no event announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// newNode runs a host of the cluster on r until the test ends.
func newNode(t *testing.T, r *redistest.Server, cfg Config) *Host {
	t.Helper()
	cfg.Port, cfg.Host, cfg.RedisURL = cmp.Or(cfg.Port, AnyPort), "127.0.0.1", r.URL()
	h, _ := newTestHost(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := await(t, done); err != nil {
			t.Error(err)
		}
	})
	ready, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if err := h.cluster.redis.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return h
}

// acquainted waits until two hosts know of each other.
func acquainted(t *testing.T, a, b *Host) {
	t.Helper()
	eventually(t, "each knows of the other", func() bool {
		na, _ := a.IO().Servers(t.Context())
		nb, _ := b.IO().Servers(t.Context())
		return na == 2 && nb == 2 && a.cluster.health() == nil && b.cluster.health() == nil
	})
}

func TestHostsOnOneRedisAreOneCluster(t *testing.T) {
	for _, mode := range []RedisMode{"", "pubsub", "sharded", "streams"} {
		t.Run("mode="+string(mode), func(t *testing.T) {
			r := redistest.Start(t)
			cfg := Config{RedisMode: mode, RedisPrefix: "test", DrainTime: 10 * time.Millisecond, ShutdownTimeout: 5 * time.Second}
			a, b := newNode(t, r, cfg), newNode(t, r, cfg)
			acquainted(t, a, b)
			session := connect(t, a)
			if err := b.IO().Emit("hello", "from b"); err != nil {
				t.Fatal(err)
			}
			if got := get(t, a, session); got != `42["hello","from b"]` {
				t.Errorf("got %q", got)
			}
			// The session lives on a; b serves it all the same.
			if err := a.IO().Emit("hello", "through b"); err != nil {
				t.Fatal(err)
			}
			if got := get(t, b, session); got != `42["hello","through b"]` {
				t.Errorf("got %q", got)
			}
			_, text := askAdmin(t, b, http.MethodGet, "metrics")
			for _, want := range []string{
				"beanpole_cluster_up 1", "beanpole_cluster_servers 2", `beanpole_cluster_unknown_sessions_total{cause="forwarded"} 1`,
			} {
				if !strings.Contains(text, want+"\n") {
					t.Errorf("no %s in the metrics", want)
				}
			}
			res, err := http.Post(a.URL()+session, "text/plain", strings.NewReader("1")) // the client takes its leave
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		})
	}
}

func TestHostGoesOnWithoutRedis(t *testing.T) {
	r := redistest.Start(t)
	h := newNode(t, r, Config{DrainTime: 10 * time.Millisecond, ShutdownTimeout: 5 * time.Second})
	session := connect(t, h)
	r.Kill()
	eventually(t, "the health check says so", func() bool { return strings.Contains(get(t, h, "healthz"), `"status":"degraded"`) })
	if got := get(t, h, "healthz"); got != `{"status":"degraded"}` {
		t.Errorf("strangers are told %s", got)
	}
	w := httptest.NewRecorder()
	h.adminStatus(w, nil)
	if got := w.Body.String(); !strings.Contains(got, `"cluster":"since 2`) {
		t.Errorf("the admin listener says %s", got)
	}
	if code := status(t, h, "healthz"); code != http.StatusOK {
		t.Errorf("the health check answers %d: the load balancer would send nobody any more", code)
	}
	if err := h.IO().Emit("hello"); err != nil {
		t.Log(err) // says that it was delivered here only
	}
	if got := get(t, h, session); got != `42["hello"]` {
		t.Errorf("got %q", got)
	}
	res, err := http.Post(h.URL()+session, "text/plain", strings.NewReader("1"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

func TestRecoveryNeedsStreams(t *testing.T) {
	_, err := New(Config{RedisURL: "redis://127.0.0.1:1", RedisMode: "pubsub", Recovery: time.Minute})
	var bad *ValueError
	if !errors.As(err, &bad) || bad.Variable != "BEANPOLE_REDIS_MODE" {
		t.Errorf("got %v", err)
	}
	if mode := (&Config{Recovery: time.Minute}).redisMode(); mode != "streams" {
		t.Errorf("with recovery and no mode: %s", mode)
	}
}

func TestNodeURL(t *testing.T) {
	for _, c := range []struct{ listener, redis, want string }{
		{"10.0.0.5:5000", "redis://10.0.0.9:6379", "http://10.0.0.5:5000"},
		{"[::]:5000", "redis://127.0.0.1", "http://127.0.0.1:5000"},
		{"0.0.0.0:80", "rediss://127.0.0.1:6380/1", "http://127.0.0.1:80"},
	} {
		got, err := newPlace(&Config{RedisURL: c.redis}, textAddr(c.listener)).url(t.Context())
		if err != nil || got != c.want {
			t.Errorf("%s, %s: %q, %v; want %q", c.listener, c.redis, got, err, c.want)
		}
	}
}

// A URL without a host has that of the instance, and an instance that is not told its address announces none.
func TestNodeURLOfTheInstance(t *testing.T) {
	const given = "http://:5000"
	if cfg, err := fromEnv([]string{"BEANPOLE_NODE_URL=" + given}); err != nil || cfg.NodeURL != given {
		t.Fatalf("%q, %v", cfg.NodeURL, err)
	}
	for _, bad := range []string{"http://", "http://:", "http://:5000/x"} {
		if _, err := fromEnv([]string{"BEANPOLE_NODE_URL=" + bad}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	f := newInstance(t)
	for own, want := range map[string]string{"10.0.0.7": "http://10.0.0.7:5000", "": "", "gibberish": ""} {
		f.set("local-ipv4", own)
		got, err := newPlace(&Config{NodeURL: given}, textAddr("0.0.0.0:80")).url(t.Context())
		if got != want || (err != nil) != (want == "") {
			t.Errorf("on %q: %q, %v; want %q", own, got, err, want)
		}
	}
	f.Close()
	if got, err := newPlace(&Config{NodeURL: given}, textAddr("0.0.0.0:80")).url(t.Context()); err == nil {
		t.Errorf("without metadata: %q", got)
	}
}

// What could not be found out at the start is found out later, and said meanwhile: a session of the first moment is
// forwarded then.
func TestForwardingBeginsWhenItsAddressIsFound(t *testing.T) {
	f := newInstance(t)
	r := redistest.Start(t)
	cfg := Config{RedisPrefix: "test", RedisMode: "streams", DrainTime: 10 * time.Millisecond, ShutdownTimeout: 5 * time.Second}
	late := cfg
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	late.Port, late.AdminPort = Port(l.Addr().(*net.TCPAddr).Port), AnyPort
	late.NodeURL = fmt.Sprintf("http://:%d", late.Port)
	a, b := newNode(t, r, late), newNode(t, r, cfg)
	session := connect(t, a)
	const part = `beanpole_cluster_part_up{of="",part="forwarding"} `
	if _, text := askAdmin(t, a, http.MethodGet, "metrics"); !strings.Contains(text, part+"0\n") {
		t.Error("the metrics do not say that others do not find it")
	}
	if err := a.cluster.health(); err == nil || !strings.Contains(err.Error(), "forwarding: instance metadata") {
		t.Errorf("health is %v", err)
	}
	if got := get(t, a, "healthz"); got != `{"status":"degraded"}` {
		t.Errorf("/healthz says %s", got)
	}

	f.set("local-ipv4", "127.0.0.1")
	eventually(t, "the address is found", func() bool { return a.cluster.health() == nil })
	if err := a.IO().Emit("hello", "through b"); err != nil {
		t.Fatal(err)
	}
	if got := get(t, b, session); got != `42["hello","through b"]` {
		t.Errorf("got %q", got)
	}
	if _, text := askAdmin(t, a, http.MethodGet, "metrics"); !strings.Contains(text, part+"1\n") {
		t.Error("the metrics do not say that others find it")
	}
	res, err := http.Post(a.URL()+session, "text/plain", strings.NewReader("1"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

// An address at which nobody reaches it is said by the server itself, before a client comes to harm. What the host refuses
// of others, by their Host or in a middleware, it does not refuse of the servers that look.
func TestServerThatOthersDoNotReach(t *testing.T) {
	r := redistest.Start(t)
	cfg := Config{RedisPrefix: "test", DrainTime: 10 * time.Millisecond, ShutdownTimeout: 5 * time.Second, AllowedHosts: []string{"chat.example.com"}}
	away := cfg
	away.AdminPort, away.NodeURL = AnyPort, fmt.Sprintf("http://127.0.0.1:%d", redistest.FreePort(t))
	a, b := newNode(t, r, cfg), newNode(t, r, away)
	a.Router().Use(func(c *gin.Context) { c.AbortWithStatus(http.StatusUnauthorized) })
	eventually(t, "b says that nobody reaches it", func() bool {
		_, text := askAdmin(t, b, http.MethodGet, "metrics")
		err := b.cluster.health()
		return err != nil && strings.Contains(err.Error(), "forwarding reach: the other servers do not reach this one") &&
			strings.Contains(text, `beanpole_cluster_part_up{of="reach",part="forwarding"} 0`)
	})
	w := httptest.NewRecorder()
	b.adminStatus(w, nil)
	if got := w.Body.String(); !strings.Contains(got, "do not reach this one") {
		t.Errorf("the admin listener says %s", got)
	}
	if err := a.cluster.health(); err != nil {
		t.Errorf("a, which b has visited: %v", err)
	}
}

// A name that does not resolve yet is asked for again.
func TestNodeURLOfANameThatDoesNotResolve(t *testing.T) {
	var known *redis.Unlocated
	_, err := newPlace(&Config{RedisURL: "redis://nowhere.invalid"}, textAddr("0.0.0.0:5000")).url(t.Context())
	if err == nil || errors.As(err, &known) && known.Known {
		t.Errorf("a name that is not there: %v", err)
	}
}

// What is announced reaches this server from everywhere, or nothing is announced.
func TestAnnouncedAddress(t *testing.T) {
	addr := netip.MustParseAddr
	bridge := netip.MustParsePrefix("172.17.0.0/16")
	for name, c := range map[string]struct {
		listen string
		way    way
		want   string
	}{
		"one machine":                      {"127.0.0.1", way{own: addr("127.0.0.1"), redis: addr("127.0.0.1")}, "127.0.0.1"},
		"one machine, a container":         {"0.0.0.0", way{own: addr("127.0.0.1"), redis: addr("127.0.0.1"), contained: true}, "127.0.0.1"},
		"loopback, with Redis elsewhere":   {"127.0.0.1", way{own: addr("10.0.0.5"), redis: addr("10.0.0.9")}, ""},
		"loopback of IPv6":                 {"::1", way{own: addr("10.0.0.5"), redis: addr("10.0.0.9")}, ""},
		"an instance":                      {"0.0.0.0", way{own: addr("10.0.0.5"), redis: addr("10.0.1.9")}, "10.0.0.5"},
		"an instance of the default VPC":   {"::", way{own: addr("172.31.0.5"), redis: addr("172.31.9.9")}, "172.31.0.5"},
		"Docker's bridge":                  {"0.0.0.0", way{own: addr("172.17.0.2"), redis: addr("172.31.9.9"), network: bridge, contained: true}, ""},
		"a bridge that Redis is on, too":   {"0.0.0.0", way{own: addr("172.17.0.2"), redis: addr("172.17.0.3"), network: bridge, contained: true}, "172.17.0.2"},
		"a container whose network is new": {"0.0.0.0", way{own: addr("172.17.0.2"), redis: addr("172.17.0.3"), contained: true}, ""},
	} {
		got, err := c.way.announced(addr(c.listen))
		if (err != nil) != (c.want == "") || err == nil && got.String() != c.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.want)
		}
	}
}

type textAddr string

func (textAddr) Network() string  { return "tcp" }
func (a textAddr) String() string { return string(a) }

// The password may come by itself; what stands in it is no part of the URL.
func TestRedisPassword(t *testing.T) {
	for _, tt := range []struct{ url, password, want string }{
		{"rediss://a.example:6379/1", "", "rediss://a.example:6379/1"},
		{"rediss://a.example:6379/1", "p@ss/w?rd#", "rediss://:p%40ss%2Fw%3Frd%23@a.example:6379/1"},
		{"rediss://app@a.example:6379?addr=b.example:6379", "pw", "rediss://app:pw@a.example:6379?addr=b.example:6379"},
	} {
		cfg := Config{RedisURL: tt.url, RedisPassword: tt.password}
		if got := cfg.redisURL(); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.url, got, tt.want)
		}
	}
}
