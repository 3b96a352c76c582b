package doctor

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/transport"
)

func TestHealthyEnvironmentIsAllOK(t *testing.T) {
	e := start(t, world{tls: true, redis: true, probe: true})
	r := e.look(t, func(o *Options) { o.Deep, o.Connections, o.Watch = true, 50, time.Second })
	for _, c := range r.Results {
		if c.Verdict == OK {
			continue
		}
		// The certificate of a test server is one that nobody has signed, which Insecure accepts.
		t.Errorf("%s: %s: %s", c.Check, c.Verdict, c.Seen)
	}
	if r.Worst() != OK {
		t.Errorf("worst verdict %s", r.Worst())
	}
}

// Each environment is broken in one way. The check of that name must say so, with a word of the cause, and no
// other check may fail for a reason of its own.
func TestBrokenEnvironmentsAreNamed(t *testing.T) {
	refuse := func(path string, f http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, path) {
				return false
			}
			f(w, r)
			return true
		}
	}
	page404 := func(w http.ResponseWriter, _ *http.Request) { nginxPage(w, http.StatusNotFound) }
	tests := []struct {
		name    string
		world   world
		options func(*Options)
		check   string
		verdict Verdict
		says    string   // in what was seen, what it means or what to do
		also    []string // other checks that cannot but fail
	}{
		{"no stickiness", world{cookies: "none", lonely: true}, nil, "stickiness", Failure, "StickinessEnabled",
			[]string{"cookies", "polling", "without cookies", "buffering", "body size", "upgrade"}},
		{"clients without cookies", world{lonely: true}, nil, "without cookies", Warning, "websocket", nil},
		{"no upgrade header", world{noUpgrade: true}, nil, "websocket", Failure, "proxy_set_header Upgrade", []string{"upgrade"}},
		{"wrong origin", world{config: func(_ int, c *host.Config) { c.AllowedOrigins = []string{"https://other.example.com"} }}, nil,
			"handshake", Failure, "BEANPOLE_ALLOWED_ORIGINS", nil},
		{"no CORS", world{config: func(_ int, c *host.Config) { c.AllowedOrigins, c.AllowCredentials = nil, false }}, nil,
			"cors", Failure, "no Access-Control-Allow-Origin", []string{"preflight"}},
		{"any origin", world{config: func(_ int, c *host.Config) { c.AllowedOrigins, c.AllowCredentials = []string{"*"}, false }}, nil,
			"cors", Warning, "not with cookies", nil},
		{"no credentials", world{config: func(_ int, c *host.Config) { c.AllowCredentials = false }}, nil, "cors", Warning, "BEANPOLE_ALLOW_CREDENTIALS", nil},
		{"CORS twice", world{after: func(r *http.Response) error {
			r.Header.Add("Access-Control-Allow-Origin", page)
			return nil
		}}, nil, "cors", Failure, "twice", nil},
		{"preflight meets a session check", world{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodOptions {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"code":1,"message":"Session ID unknown"}`))
			return true
		}}, nil, "preflight", Failure, "answer OPTIONS before", nil},
		{"ping above idle", world{}, func(o *Options) { o.Idle = 1500 * time.Millisecond }, "heartbeat", Failure, "idle timeout", nil},
		{"idle cut", world{idle: 400 * time.Millisecond}, func(o *Options) { o.Deep = true }, "idle", Failure, "proxy_read_timeout", nil},
		{"small bodies", world{maxBody: 10000}, nil, "body size", Failure, "client_max_body_size", nil},
		{"bodies to the byte", world{maxBody: 20000}, nil, "body size", Warning, "client_max_body_size", nil},
		{"one application down", world{down: [2]bool{false, true}}, nil, "instances", Failure, "does not serve",
			[]string{"handshake", "health", "polling", "stickiness", "without cookies", "buffering", "body size", "upgrade", "websocket", "cors", "preflight"}},
		{"all down", world{down: [2]bool{true, true}}, nil, "handshake", Failure, "nginx runs and the application does not", nil},
		{"load balancer without instances", world{before: func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Server", "awselb/2.0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}}, nil, "handshake", Failure, "no instance answers", nil},
		{"instances not joined", world{probe: true}, nil, "broadcast", Failure, "REDIS_URL", nil},
		{"wrong probe token", world{probe: true}, func(o *Options) { o.ProbeToken = "another, wrong token" }, "broadcast", Warning, "BEANPOLE_PROBE_TOKEN", nil},
		{"redirect", world{before: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://"+r.Host+r.URL.String(), http.StatusMovedPermanently)
			return true
		}}, nil, "reach", Failure, "do not follow redirects", nil},
		{"health path missing", world{before: refuse("/healthz", page404)}, nil, "health", Failure, "HealthCheckPath", nil},
		{"health path redirected", world{before: refuse("/healthz", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		})}, nil, "health", Failure, "only 200 counts", nil},
		{"no such path", world{before: refuse("/socket.io/", page404)}, nil, "handshake", Failure, "no Socket.IO server at /socket.io/", nil},
		{"classic load balancer", world{cookies: "classic", one: true}, nil, "cookies", Failure, "classic", nil},
		{"traffic splitting", world{cookies: "split"}, nil, "cookies", Warning, "TrafficSplitting", nil},
		{"two versions", world{config: func(i int, c *host.Config) { c.Version = []string{"v1", "v2"}[i] }}, nil, "instances", Warning, "v1, v2", nil},
		{"cookies rewritten", world{tls: true, cookies: "bare"}, nil, "cookies", Warning, "SameSite=None", nil},
		{"certificate nobody knows", world{tls: true}, func(o *Options) { o.Insecure = false }, "tls", Failure, "certificate", []string{"reach"}},
		{"answers held back", world{hold: 2500 * time.Millisecond, one: true}, func(o *Options) { o.Samples, o.Idle = 1, time.Minute }, "buffering", Warning, "held back", []string{"upgrade"}},
		{"target group of HTTP/2", world{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Upgrade") == "" {
				return false
			}
			w.Header().Set("Server", "awselb/2.0")
			w.WriteHeader(464)
			return true
		}}, nil, "websocket", Failure, "HTTP1", []string{"upgrade"}},
		{"worker_connections", world{sockets: 30}, func(o *Options) { o.Connections = 60 }, "connections", Failure, "worker_connections", nil},
		{"no polling", world{config: func(_ int, c *host.Config) { c.Transports = []transport.Name{transport.WebSocket} }}, nil, "handshake", OK, "WebSocket only", nil},
		{"no upgrades", world{config: func(_ int, c *host.Config) { c.NoUpgrades = true }}, nil, "upgrade", Warning, "BEANPOLE_NO_UPGRADES", nil},
		{"no name", world{config: func(_ int, c *host.Config) { c.NoInstanceHeader = true }}, nil, "instances", Warning, "BEANPOLE_NO_INSTANCE_HEADER", nil},
	}
	for _, test := range tests {
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
			if got.Verdict != test.verdict || !strings.Contains(text, test.says) {
				t.Errorf("%s is %q (%s), want %q with %q", test.check, got.Verdict, text, test.verdict, test.says)
			}
			for _, c := range r.Results {
				if c.Verdict == Failure && c.Check != test.check && !has(test.also, c.Check) {
					t.Errorf("%s fails too: %s", c.Check, c.Seen)
				}
			}
		})
	}
}

func has(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func TestDrainedInstanceIsNamed(t *testing.T) {
	e := start(t, world{one: true})
	e.nodes[0].Drain()
	r := e.look(t)
	if got := r.Of("handshake"); got.Verdict != Failure || !strings.Contains(got.Means, "drains") {
		t.Errorf("handshake: %+v", got)
	}
}

func TestWatchSeesADrain(t *testing.T) {
	e := start(t, world{})
	drained := make(chan struct{})
	r := e.look(t, func(o *Options) {
		o.Watch = 4 * time.Second
		o.Progress = func(check string) {
			if check != "watch" {
				return
			}
			go func() {
				defer close(drained)
				time.Sleep(500 * time.Millisecond) // the clients of the watch connect meanwhile
				e.nodes[0].DrainSessions(context.WithoutCancel(t.Context()), 100*time.Millisecond)
				e.nodes[0].Resume()
			}()
		}
	})
	<-drained
	got := r.Of("watch")
	if got.Verdict != Warning || !strings.Contains(got.Seen, "came back") || strings.Contains(got.Seen, cut) {
		t.Errorf("watch: %+v", got)
	}
}

func TestReportIsJSON(t *testing.T) {
	e := start(t, world{one: true})
	raw, err := json.Marshal(e.look(t))
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(raw, &back); err != nil || len(back.Results) != len(checks()) {
		t.Errorf("%v: %s", err, raw)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{}, {URL: "ftp://example.com"}, {URL: "example.com"}, {URL: "http://127.0.0.1:1", Connections: MaxConnections + 1}} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
