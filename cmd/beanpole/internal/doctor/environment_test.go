package doctor

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	page  = "https://www.example.com"
	token = "a token of the probe"
)

// world is an environment: two instances behind something that does what a load balancer and nginx do. The
// zero value is a healthy one, each field breaks something.
type world struct {
	tls    bool
	one    bool // one instance only
	redis  bool // instances are joined
	probe  bool
	lonely bool // instances do not forward sessions to each other
	config func(node int, cfg *host.Config)

	cookies   string // "" for those of an application load balancer, "none", "classic", "split", "bare"
	noUpgrade bool   // Upgrade and Connection are not passed on
	before    func(w http.ResponseWriter, r *http.Request) (done bool)
	after     func(*http.Response) error
	down      [2]bool       // the application of an instance
	idle      time.Duration // connections that are quiet so long are cut
	sockets   int           // WebSockets that nginx holds
	hold      time.Duration // answers are held back so long
	maxBody   int64         // client_max_body_size
}

// environment is a world that runs.
type environment struct {
	world
	nodes [2]*host.Host
	back  [2]*httptest.Server
	front *httptest.Server
	turn  atomic.Int64
	open  atomic.Int64 // WebSockets
}

func start(t *testing.T, w world) *environment {
	t.Helper()
	e := &environment{world: w}
	var url string
	if w.redis {
		url = redistest.Start(t).URL()
	}
	for i := range e.nodes {
		e.nodes[i] = e.node(t, i, url)
		e.back[i] = httptest.NewServer(e.nodes[i])
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			_ = e.nodes[i].Shutdown(ctx)
			e.back[i].CloseClientConnections()
			e.back[i].Close()
		})
	}
	handler := http.HandlerFunc(e.serve)
	if w.tls {
		e.front = httptest.NewTLSServer(handler)
	} else {
		e.front = httptest.NewServer(handler)
	}
	e.front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(func() {
		e.front.CloseClientConnections()
		e.front.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return e
}

// record is a log that is shown when its test has failed.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func logger(t *testing.T) *slog.Logger {
	t.Helper()
	r := &record{}
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if t.Failed() {
			t.Logf("the server says\n%s", r.buf.String())
		}
	})
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (e *environment) node(t *testing.T, i int, url string) *host.Host {
	t.Helper()
	cfg := host.Config{
		Instance: []string{"a", "b"}[i], Version: "v1", Logger: logger(t), MaxPayload: 20000,
		PingInterval: time.Second, PingTimeout: 6*time.Second + 4*e.hold, AllowedOrigins: []string{page}, AllowCredentials: true,
		DrainTime: 50 * time.Millisecond, ShutdownTimeout: time.Second,
	}
	if e.probe {
		cfg.ProbeToken = token
	}
	if url != "" {
		c, err := redis.New(redis.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Adapter = c.Adapter()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = c.Close(ctx)
		})
	}
	if !e.lonely {
		cfg.Adjust = func(c *server.Config) {
			c.Transport.UnknownSession = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if r.Header.Get("X-Forwarded-Once") != "" {
					return false
				}
				r.Header.Set("X-Forwarded-Once", "1")
				w.Header().Del(host.InstanceHeader)
				e.nodes[1-i].ServeHTTP(w, r)
				return true
			}
		}
	}
	if e.config != nil {
		e.config(i, &cfg)
	}
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// serve is the load balancer and nginx in one.
func (e *environment) serve(w http.ResponseWriter, r *http.Request) {
	if e.before != nil && e.before(w, r) {
		return
	}
	i := e.pick(r)
	e.stick(w, i)
	if e.down[i] {
		nginxPage(w, http.StatusBadGateway)
		return
	}
	if e.maxBody > 0 && r.ContentLength > e.maxBody {
		nginxPage(w, http.StatusRequestEntityTooLarge)
		return
	}
	upgrade := r.Header.Get("Upgrade") != ""
	if upgrade && e.sockets > 0 {
		if e.open.Add(1) > int64(e.sockets) {
			panic(http.ErrAbortHandler) // worker_connections are not enough
		}
	}
	target, _ := url.Parse(e.back[i].URL)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
			if e.noUpgrade {
				p.Out.Header.Del("Upgrade")
				p.Out.Header.Del("Connection")
			}
		},
		ModifyResponse: e.after,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { nginxPage(w, http.StatusGatewayTimeout) },
		Transport:      &http.Transport{DisableKeepAlives: true, DialContext: e.dial},
	}
	if e.hold > 0 && r.Method == http.MethodGet && r.URL.Query().Has("sid") && !upgrade {
		late := httptest.NewRecorder()
		proxy.ServeHTTP(late, r)
		select {
		case <-time.After(e.hold):
		case <-r.Context().Done():
		}
		for k, v := range late.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(late.Code)
		_, _ = w.Write(late.Body.Bytes())
		return
	}
	proxy.ServeHTTP(w, r)
}

// pick returns the instance of the cookie, or the next.
func (e *environment) pick(r *http.Request) int {
	if e.one {
		return 0
	}
	if c, err := r.Cookie("AWSALB"); err == nil && len(c.Value) > 0 {
		return int(c.Value[0]-'a') & 1
	}
	return int(e.turn.Add(1)) & 1
}

func (e *environment) stick(w http.ResponseWriter, i int) {
	value := string(rune('a'+i)) + "~" + fmt.Sprint(e.turn.Load())
	switch e.cookies {
	case "none":
	case "classic":
		w.Header().Add("Set-Cookie", "AWSELB="+value+"; Path=/")
	case "split":
		w.Header().Add("Set-Cookie", "AWSALBTG="+value+"; Path=/")
		fallthrough
	case "":
		w.Header().Add("Set-Cookie", "AWSALB="+value+"; Path=/")
		w.Header().Add("Set-Cookie", "AWSALBCORS="+value+"; Path=/; SameSite=None; Secure")
	case "bare":
		w.Header().Add("Set-Cookie", "AWSALB="+value+"; Path=/")
		w.Header().Add("Set-Cookie", "AWSALBCORS="+value+"; Path=/")
	}
}

func nginxPage(w http.ResponseWriter, status int) {
	w.Header().Set("Server", "nginx")
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<html><head><title>%d</title></head><body><center><h1>%[1]d</h1></center><hr><center>nginx</center></body></html>\r\n", status)
}

// dial connects to an instance; with idle set the connection is cut when it is quiet.
func (e *environment) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil || e.idle == 0 {
		return c, err
	}
	return &quiet{Conn: c, idle: e.idle}, nil
}

// quiet is a connection that ends when nothing has been read or written for idle.
type quiet struct {
	net.Conn
	idle time.Duration
	mu   sync.Mutex
}

func (q *quiet) touch() {
	q.mu.Lock()
	defer q.mu.Unlock()
	_ = q.SetReadDeadline(time.Now().Add(q.idle))
}

func (q *quiet) Read(b []byte) (int, error) {
	q.touch()
	return q.Conn.Read(b)
}

func (q *quiet) Write(b []byte) (int, error) {
	q.touch()
	return q.Conn.Write(b)
}

// look runs doctor against the environment.
func (e *environment) look(t *testing.T, change ...func(*Options)) Report {
	t.Helper()
	o := Options{URL: e.front.URL, Origin: page, Timeout: 5 * time.Second, Idle: 8 * time.Second, Samples: 8, Insecure: true}
	if e.probe {
		o.ProbeToken = token
	}
	for _, c := range change {
		c(&o)
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		var b bytes.Buffer
		r.Print(&b)
		t.Log("\n" + strings.TrimSpace(b.String()))
	}
	return r
}
