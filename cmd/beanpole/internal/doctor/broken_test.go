package doctor

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/transport"
)

// refuse answers what is below a path.
func refuse(path string, f http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, path) {
			return false
		}
		f(w, r)
		return true
	}
}

func page404(w http.ResponseWriter, _ *http.Request) { nginxPage(w, http.StatusNotFound) }

// says answers everything with one status, as a server of that name.
func says(server string, status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Server", server)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func redirect(to func(*http.Request) string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, to(r), http.StatusMovedPermanently)
		return true
	}
}

// broken is an environment that is broken in one way. The check of that name must say so, of the instance whose fault it
// is, with a word of the cause or of what to do; no other check may fail for a reason of its own.
type broken struct {
	name     string // as in docs/doctor.md
	world    world
	options  func(*Options)
	check    string
	verdict  Verdict
	instance string
	says     string
	also     []string // other checks that cannot but warn or fail
}

func quick(o *Options) { o.Timeout = 3 * time.Second }

var brokenEnvironments = []broken{
	// One of several.
	{"one of two applications dead", world{b: nginx{down: true}}, nil, "instances", Failure, "1 without a name", "nginx runs and the application does not", nil},
	{"one of three applications dead", world{count: 3, b: nginx{down: true}}, nil, "instances", Failure, "1 without a name", "nginx runs and the application does not", nil},
	{"one of two applications frozen", world{b: nginx{frozen: true}}, quick, "instances", Failure, "1 without a name", "taken and not answered", nil},
	{"one of two applications dead, no stickiness", world{cookies: "none", b: nginx{down: true}}, nil, "instances", Failure, "1 without a name", "nginx runs and the application does not", nil},
	{"body limit of one nginx", world{b: nginx{maxBody: 10000}}, nil, "body size", Failure, "b", "client_max_body_size", nil},
	{"no upgrade headers on one instance", world{b: nginx{noUpgrade: true}}, nil, "websocket", Failure, "b", "proxy_set_header Upgrade", []string{"upgrade"}},
	{"no upgrade headers on one instance, no stickiness", world{lonely: true, cookies: "none", b: nginx{noUpgrade: true}}, nil, "websocket", Failure, "b",
		"proxy_set_header Upgrade", []string{"upgrade", "stickiness", "without cookies"}},
	{"old version on one instance", world{count: 3, config: func(i int, c *host.Config) { c.Version = []string{"v2", "v1", "v2"}[i] }}, nil, "alike", Warning, "b", "v1 on b; v2 on a, c", nil},
	{"another configuration on one instance", world{count: 3, config: func(i int, c *host.Config) { c.MaxPayload = []int64{20000, 9000, 20000}[i] }}, nil,
		"alike", Warning, "b", "BEANPOLE_MAX_PAYLOAD", nil},
	{"another Redis on one instance", world{count: 3, redis: true, apart: true, probe: true}, quick, "broadcast", Failure, "b", "REDIS_URL", []string{"without cookies"}},
	{"one instance does not forward", world{count: 3, apart: true}, nil, "without cookies", Failure, "b", "security group", nil},
	{"one instance without Redis", world{b: nginx{serve: refuse("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(host.InstanceHeader, "b v1")
		_, _ = w.Write([]byte(`{"status":"degraded","cluster":"redis unreachable"}`))
	})}}, nil, "health", Warning, "b", "does not all work: Redis", nil},
	{"one instance drains", world{b: nginx{serve: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("sid") || !r.URL.Query().Has("transport") && r.URL.Path != "/healthz" {
			return false
		}
		w.Header().Set(host.InstanceHeader, "b v1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"code":4,"message":"Service unavailable"}`))
		return true
	}}}, nil, "handshake", Failure, "b", "the instance drains", nil},
	{"one instance short of memory", world{b: nginx{serve: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("sid") || !r.URL.Query().Has("transport") {
			return false
		}
		w.Header().Set(host.InstanceHeader, "b v1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"code":4,"message":"Service unavailable"}`))
		return true
	}}}, nil, "handshake", Failure, "b", "does not drain", nil},
	{"disk of one instance full", world{b: nginx{serve: func(w http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength < 10000 {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		nginxPage(w, http.StatusInternalServerError)
		return true
	}}}, nil, "body size", Failure, "b", "df -h", nil},
	{"another list of origins on one instance", world{config: func(i int, c *host.Config) {
		if i == 1 {
			c.AllowedOrigins = []string{"https://old.example.com"}
		}
	}}, nil, "handshake", Failure, "b", "BEANPOLE_ALLOWED_ORIGINS", nil},
	{"clock of one instance", world{b: nginx{ahead: 10 * time.Minute}}, nil, "alike", Warning, "", "one clock is wrong", nil},
	{"maintenance page on one instance", world{b: nginx{serve: says("nginx", 200, "<html>Back soon</html>")}}, nil, "instances", Failure, "1 without a name", "maintenance page", nil},
	{"one name on every instance", world{config: func(_ int, c *host.Config) { c.Instance = "chat" }}, nil, "instances", Warning, "", "BEANPOLE_INSTANCE unset", nil},
	{"fewer instances than there should be", world{}, func(o *Options) { o.Instances = 3 }, "instances", Warning, "", "2 of 3", nil},

	{"a limit of events that is below what doctor sends", world{config: func(_ int, c *host.Config) { c.EventsPerSecond = 1 }}, nil, "upgrade", Warning, "*", "BEANPOLE_EVENTS_PER_SECOND", []string{"websocket", "polling", "buffering", "stickiness", "without cookies"}},
	{"a limit of events for an address", world{count: 1, config: func(_ int, c *host.Config) { c.EventsPerSecondPerAddr = 1 }}, nil, "upgrade", Warning, "", "_PER_ADDR", []string{"websocket", "polling", "buffering", "stickiness", "without cookies", "cookies"}},
	{"a namespace that the application does not have", world{}, func(o *Options) { o.Namespace = "/nope" }, "polling", Warning, "*", "no namespace /nope", nil},

	// Stickiness.
	{"no stickiness", world{cookies: "none", lonely: true}, nil, "stickiness", Failure, "", "StickinessEnabled", []string{"without cookies"}},
	{"no stickiness, and instances forward", world{cookies: "none"}, nil, "stickiness", Warning, "", "StickinessEnabled", nil},
	{"no stickiness over three", world{cookies: "none", lonely: true, count: 3}, nil, "stickiness", Failure, "", "StickinessEnabled", []string{"without cookies"}},
	{"stickiness of another balancer", world{cookies: "other"}, nil, "cookies", OK, "", "SERVERID", nil},
	{"stickiness shorter than a poll, by the cookie", world{cookies: "short"}, nil, "cookies", Failure, "", "StickinessLBCookieDuration", nil},
	{"stickiness shorter than a poll, by the balancer", world{cookies: "forgetful", lonely: true}, func(o *Options) { o.Deep, o.Timeout = true, 5*time.Second }, "idle", Failure, "*", "StickinessLBCookieDuration", []string{"without cookies"}},
	{"clients without cookies", world{lonely: true}, nil, "without cookies", Warning, "", "websocket", nil},
	{"classic load balancer", world{cookies: "classic", count: 1}, nil, "cookies", Failure, "", "classic", nil},
	{"traffic splitting", world{cookies: "split"}, nil, "cookies", Warning, "", "TrafficSplitting", nil},
	{"cookies rewritten", world{tls: true, cookies: "bare"}, nil, "cookies", Warning, "", "SameSite=None", nil},

	// In front of the instances.
	{"CDN that caches polls", world{cached: map[string]bool{"transport": true, "sid": true}}, nil, "caching", Failure, "", "CachingDisabled", nil},
	{"CDN that caches by the whole URL", world{cached: map[string]bool{"*": true}}, nil, "caching", Warning, "", "CachingDisabled", nil},
	{"WAF refuses", world{before: says("awselb/2.0", 403, "<html><head><title>403 Forbidden</title></head></html>")}, nil, "instances", Failure, "", "web ACL", nil},
	{"WAF challenges", world{before: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("X-Amzn-Waf-Action", "challenge")
		w.WriteHeader(http.StatusAccepted)
		return true
	}}, nil, "instances", Failure, "", "web ACL", nil},
	{"WAF refuses large bodies", world{before: func(w http.ResponseWriter, r *http.Request) bool {
		return r.ContentLength > 8192 && says("awselb/2.0", 403, "<html>403 Forbidden</html>")(w, r)
	}}, nil, "body size", Failure, "", "SizeRestrictions_BODY", nil},
	{"WAF refuses POST", world{before: func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPost && says("CloudFront", 403, "Request blocked.")(w, r)
	}}, nil, "polling", Failure, "", "web ACL", []string{"buffering", "upgrade", "body size"}},
	{"basic authentication", world{before: says("nginx", 401, "<html><center>nginx</center></html>")}, nil, "instances", Failure, "", "auth_basic", nil},
	{"rate limit in front", world{before: says("cloudflare", 429, "error 1015")}, nil, "instances", Failure, "", "rate limit", nil},
	{"redirect to https", world{before: redirect(func(r *http.Request) string { return "https://" + r.Host + r.URL.String() })}, nil, "reach", Failure, "", "connect to https://", nil},
	{"redirect that drops the path", world{before: redirect(func(*http.Request) string { return "https://chat.example.com/" })}, nil, "reach", Failure, "", "drops the path", nil},
	{"redirect to www", world{before: redirect(func(r *http.Request) string { return "http://www.example.com" + r.URL.String() })}, nil, "reach", Failure, "", "another name", nil},
	{"redirect to a login", world{before: redirect(func(*http.Request) string { return "/login" })}, nil, "reach", Failure, "", "a login", nil},
	{"maintenance page that answers 200", world{before: says("nginx", 200, "<html>Back soon</html>")}, nil, "instances", Failure, "", "maintenance page", nil},
	{"an IPv6 target dead", world{lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.77")}, nil
	}}, nil, "addresses", Failure, "127.0.0.77", "AAAA", nil},
	{"certificate nobody knows", world{tls: true}, func(o *Options) { o.Insecure = false }, "tls", Failure, "", "certificate", []string{"reach"}},
	{"load balancer without instances", world{before: says("awselb/2.0", 503, "")}, nil, "instances", Failure, "", "no instance answers", nil},
	{"nginx closed behind the load balancer", world{before: says("awselb/2.0", 502, "")}, nil, "instances", Failure, "", "security group", nil},
	{"instance too slow for the load balancer", world{before: says("awselb/2.0", 504, "")}, nil, "instances", Failure, "", "frozen", nil},
	{"target group of HTTP/2", world{before: func(w http.ResponseWriter, r *http.Request) bool {
		return r.Header.Get("Upgrade") != "" && says("awselb/2.0", 464, "")(w, r)
	}}, nil, "websocket", Failure, "", "HTTP1", []string{"upgrade"}},
	{"polls compressed twice", world{after: func(r *http.Response) error {
		if r.StatusCode == http.StatusOK && r.Request.Method == http.MethodGet {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = fmt.Fprint(z, "0{}")
			_ = z.Close()
			r.Body, r.ContentLength = http.NoBody, 0
			r.Header.Set("Content-Length", fmt.Sprint(b.Len()))
			r.Body = readCloser{&b}
		}
		return nil
	}}, nil, "handshake", Failure, "", "compressed", nil},

	// Every instance.
	{"all applications dead", world{all: nginx{down: true}, b: nginx{down: true}}, nil, "instances", Failure, "", "nginx runs and the application does not", nil},
	{"no upgrade headers", world{all: nginx{noUpgrade: true}}, nil, "websocket", Failure, "", "proxy_set_header Upgrade", []string{"upgrade"}},
	{"no such path", world{before: refuse("/socket.io/", page404)}, nil, "instances", Failure, "", "no Socket.IO server at this path", nil},
	{"health path missing", world{before: refuse("/healthz", page404)}, nil, "health", Failure, "", "HealthCheckPath", nil},
	{"health path redirected", world{before: refuse("/healthz", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) })}, nil,
		"health", Failure, "", "only 200 counts", nil},
	{"health path by the site's name only", world{before: refuse("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "127.") {
			w.Header().Set(host.InstanceHeader, "a v1")
			return
		}
		w.Header().Set("Server", "nginx")
		http.Redirect(w, r, "https://chat.example.com/", http.StatusMovedPermanently)
	}), count: 1}, nil, "health", Failure, "", "an address as Host", nil},
	{"health path of nginx itself", world{before: refuse("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Server", "nginx") })}, nil,
		"health", Warning, "", "passes for healthy", nil},
	{"wrong origin", world{config: func(_ int, c *host.Config) { c.AllowedOrigins = []string{"https://other.example.com"} }}, nil, "handshake", Failure, "", "BEANPOLE_ALLOWED_ORIGINS", nil},
	{"wrong host", world{config: func(_ int, c *host.Config) { c.AllowedHosts = []string{"chat.example.com"} }}, nil, "handshake", Failure, "", "BEANPOLE_ALLOWED_HOSTS", nil},
	{"no CORS", world{config: func(_ int, c *host.Config) { c.AllowedOrigins, c.AllowCredentials = nil, false }}, nil, "cors", Failure, "", "no Access-Control-Allow-Origin", []string{"preflight"}},
	{"any origin", world{config: func(_ int, c *host.Config) { c.AllowedOrigins, c.AllowCredentials = []string{"*"}, false }}, nil, "cors", Warning, "", "not with cookies", nil},
	{"any origin with credentials", world{after: func(r *http.Response) error {
		r.Header.Set("Access-Control-Allow-Origin", "*")
		r.Header.Set("Access-Control-Allow-Credentials", "true")
		return nil
	}}, nil, "cors", Failure, "", "refuse that together", nil},
	{"whatever origin asks", world{after: func(r *http.Response) error {
		r.Header.Set("Access-Control-Allow-Origin", r.Request.Header.Get("Origin"))
		r.Header.Set("Access-Control-Allow-Credentials", "true")
		return nil
	}}, nil, "cors", Warning, "", "$http_origin", nil},
	{"no credentials", world{config: func(_ int, c *host.Config) { c.AllowCredentials = false }}, nil, "cors", Warning, "", "BEANPOLE_ALLOW_CREDENTIALS", nil},
	{"CORS twice", world{after: func(r *http.Response) error { r.Header.Add("Access-Control-Allow-Origin", page); return nil }}, nil, "cors", Failure, "", "twice", nil},
	{"the page of the server itself", world{}, func(o *Options) { o.Origin = o.URL }, "cors", NotApplicable, "", "of this very site", nil},
	{"preflight meets a session check", world{before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodOptions {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"code":1,"message":"Session ID unknown"}`))
		return true
	}}, nil, "preflight", Failure, "", "answer OPTIONS before", nil},
	{"ping above the idle timeout", world{}, func(o *Options) { o.Idle = 1500 * time.Millisecond }, "heartbeat", Failure, "", "idle timeout", nil},
	{"idle timeout below the ping", world{all: nginx{idle: 2 * time.Second}, config: func(_ int, c *host.Config) { c.PingInterval, c.PingTimeout = 4*time.Second, 3*time.Second }}, func(o *Options) { o.Deep, o.Timeout = true, 5*time.Second }, "idle", Failure, "*", "proxy_read_timeout", nil},
	{"small bodies", world{all: nginx{maxBody: 10000}}, nil, "body size", Failure, "", "client_max_body_size", nil},
	{"bodies to the byte", world{all: nginx{maxBody: 20000}}, nil, "body size", Warning, "", "client_max_body_size", nil},
	{"answers held back", world{all: nginx{hold: time.Second}, count: 1}, func(o *Options) { o.Samples, o.Idle, o.hold = 1, time.Minute, 250*time.Millisecond }, "buffering", Warning, "", "held back", []string{"upgrade"}},
	{"answers held back for good", world{all: nginx{hold: time.Minute}, count: 1}, func(o *Options) { o.Timeout, o.Idle = time.Second, time.Hour }, "buffering", Failure, "", "proxy_buffering",
		[]string{"polling", "upgrade"}},
	{"a way that is slow", world{all: nginx{slow: 150 * time.Millisecond}, count: 1}, func(o *Options) { o.Samples, o.Idle = 2, time.Minute }, "buffering", OK, "", "answered", nil},
	{"instances not joined", world{probe: true}, quick, "broadcast", Failure, "", "REDIS_URL", nil},
	{"wrong probe token", world{probe: true}, func(o *Options) { o.ProbeToken = "another, wrong token" }, "broadcast", Warning, "*", "BEANPOLE_PROBE_TOKEN", nil},
	{"worker_connections", world{all: nginx{sockets: 60}}, func(o *Options) { o.Connections = 120 }, "connections", Failure, "", "worker_connections", nil},
	{"our own limit of sessions per address", world{config: func(_ int, c *host.Config) { c.MaxSessionsPerAddr = 2 }, count: 1}, func(o *Options) { o.Connections = 10 },
		"connections", Warning, "", "_PER_ADDR", []string{"limits"}},
	{"our own limit of handshakes per address", world{config: func(_ int, c *host.Config) { c.HandshakesPerSecondPerAddr = 1 }, count: 1}, func(o *Options) { o.Timeout = 5 * time.Second },
		"limits", Warning, "", "BEANPOLE_TRUSTED_HOPS", nil},
	{"an address that may have no session", world{before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("sid") || !r.URL.Query().Has("transport") {
			return false
		}
		w.Header().Set(host.InstanceHeader, "a v1")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"code":4,"message":"Too many requests"}`))
		return true
	}, count: 1}, func(o *Options) { o.Timeout = time.Second }, "limits", Warning, "", "BEANPOLE_MAX_SESSIONS_PER_ADDR", nil},
	{"no polling", world{config: func(_ int, c *host.Config) { c.Transports = []transport.Name{transport.WebSocket} }}, nil, "handshake", OK, "", "WebSocket only", nil},
	{"no upgrades", world{config: func(_ int, c *host.Config) { c.NoUpgrades = true }}, nil, "upgrade", Warning, "", "BEANPOLE_NO_UPGRADES", nil},
	{"no name", world{config: func(_ int, c *host.Config) { c.NoInstanceHeader = true }}, nil, "instances", Warning, "", "BEANPOLE_NO_INSTANCE_HEADER", nil},
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

func TestBrokenEnvironmentsAreNamed(t *testing.T) { lookAt(t, brokenEnvironments) }

func lookAt(t *testing.T, list []broken) {
	t.Helper()
	for _, test := range list {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := start(t, test.world)
			var options []func(*Options)
			if test.options != nil {
				options = append(options, test.options)
			}
			r := e.look(t, options...)
			got := r.Of(test.check)
			text := got.Seen + " | " + got.Means + " | " + got.Do
			if got.Verdict != test.verdict || !strings.Contains(text, test.says) || test.instance != "*" && got.Instance != test.instance {
				t.Errorf("%s is %q on %q (%s), want %q on %q with %q", test.check, got.Verdict, got.Instance, text, test.verdict, test.instance, test.says)
			}
			for _, c := range r.Results {
				if c.Verdict.severity() > OK.severity() && (c.Check != test.check || c.Verdict != test.verdict) && !slices.Contains(test.also, c.Check) {
					t.Errorf("%s too is %s on %q: %s | %s", c.Check, c.Verdict, c.Instance, c.Seen, c.Means)
				}
			}
		})
	}
}

// The document lists every environment that is broken here, and what is said of it.
func TestDocumentListsTheBrokenEnvironments(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, b := range slices.Concat(brokenEnvironments, furtherEnvironments) {
		want = append(want, fmt.Sprintf("| %s | %s | %s |", b.name, b.check, b.verdict))
	}
	_, table, ok := strings.Cut(string(text), "\n## Broken environments\n")
	if !ok {
		t.Fatal("there is no such chapter")
	}
	table, _, _ = strings.Cut(table, "\n### ")
	got := regexp.MustCompile(`(?m)^\| [^|]+ \| [a-z ]+ \| (?:ok|warning|failure|not applicable) \|$`).FindAllString(table, -1)
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("%s is not in docs/doctor.md", row)
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("docs/doctor.md has %s, which no test shows", row)
		}
	}
	if n := fmt.Sprintf("%d environments", len(want)); !strings.Contains(table, n) {
		t.Errorf("docs/doctor.md does not say that they are %s", n)
	}
}

// An address that nobody listens on is refused on loopback, as long as the test's server listens on another.
func TestLoopbackHasManyAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.77", port)); err == nil {
		_ = c.Close()
		t.Error("127.0.0.77 answers")
	}
}
