package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"reflect"
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
	"github.com/beanpole/beanpole/transport"
)

func TestMain(m *testing.M) {
	// Most environments wait for something, most of the time.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const (
	page  = "https://www.example.com"
	token = "a token of the probe"
)

// world is an environment: instances behind something that does what a load balancer does. The zero value is a healthy
// one of two, each field breaks something.
type world struct {
	tls    bool
	count  int  // of instances; zero is two
	redis  bool // instances are joined
	apart  bool // the second has a Redis of its own
	probe  bool
	lonely bool // instances do not forward sessions to each other
	config func(node int, cfg *host.Config)

	cookies string                                  // "" for those of an application load balancer, "none", "classic", "split", "bare", "other", "once", "short", "forgetful"
	rule    func(*http.Request) (node int, ok bool) // sends some to one instance, whatever their cookies
	before  func(w http.ResponseWriter, r *http.Request) (done bool)
	after   func(*http.Response) error
	cached  map[string]bool // parameters of the query that a CDN looks at, when it remembers answers
	all, b  nginx           // of every instance, and of the second
	lookup  func(context.Context, string) ([]netip.Addr, error)

	certificate *tls.Certificate // in the place of the test's
	alone       string           // the one protocol that TLS offers
}

// nginx is what stands in front of one application.
type nginx struct {
	down      bool          // no application
	frozen    bool          // or one that is stopped
	noUpgrade bool          // Upgrade and Connection are not passed on
	maxBody   int64         // client_max_body_size
	idle      time.Duration // connections that are quiet so long are cut
	sockets   int           // WebSockets that it holds
	hold      time.Duration // answers are held back so long
	slow      time.Duration // so is everything
	ahead     time.Duration // its clock
	life      time.Duration // WebSockets last no longer
	still     *still        // what the instance says
	mute      time.Duration // connections that are older say nothing
	serve     func(w http.ResponseWriter, r *http.Request) (done bool)
}

// environment is a world that runs.
type environment struct {
	world
	nodes  []*host.Host
	back   []*httptest.Server
	front  *httptest.Server
	turn   atomic.Int64
	open   atomic.Int64 // WebSockets
	mu     sync.Mutex
	cache  map[string]*httptest.ResponseRecorder
	forgot map[string]bool // cookies
	issued atomic.Int64
	gone   chan struct{} // closed at the end, for what is frozen
}

func start(t *testing.T, w world) *environment {
	t.Helper()
	n := max(w.count, 1)
	if w.count == 0 {
		n = 2
	}
	e := &environment{world: w, nodes: make([]*host.Host, n), back: make([]*httptest.Server, n), cache: make(map[string]*httptest.ResponseRecorder), forgot: make(map[string]bool), gone: make(chan struct{})}
	t.Cleanup(func() { close(e.gone) })
	var url, other string
	if w.redis {
		url = redistest.Start(t).URL()
		other = url
	}
	if w.apart {
		other = redistest.Start(t).URL()
	}
	for i := range e.nodes {
		if i == 1 {
			e.nodes[i] = e.node(t, i, other)
		} else {
			e.nodes[i] = e.node(t, i, url)
		}
		e.back[i] = httptest.NewServer(e.nodes[i])
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			_ = e.nodes[i].Shutdown(ctx)
			e.back[i].CloseClientConnections()
			e.back[i].Close()
		})
	}
	e.front = httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	e.front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	config := &tls.Config{} //nolint:gosec // a test's
	if w.certificate != nil {
		config.Certificates = []tls.Certificate{*w.certificate}
	}
	if w.alone != "" {
		config.NextProtos = []string{w.alone}
	}
	if e.front.TLS = config; w.tls {
		e.front.StartTLS()
	} else {
		e.front.Start()
	}
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
		Instance: string(rune('a' + i)), Version: "v1", Logger: logger(t), MaxPayload: 20000,
		PingInterval: time.Second, PingTimeout: 6*time.Second + 4*e.all.hold + 8*e.all.slow, AllowedOrigins: []string{page}, AllowCredentials: true,
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
	cfg.Adjust = func(c *server.Config) {
		c.Transport.NodeID = transport.NodeID{1, byte(i)}
		if e.lonely {
			return
		}
		c.Transport.UnknownSession = func(w http.ResponseWriter, r *http.Request, sid string) bool {
			id, _ := transport.NodeOf(sid)
			of := int(id[1])
			if id[0] != 1 || of == i || e.apart && (of == 1) != (i == 1) {
				return false
			}
			w.Header().Del(host.InstanceHeader)
			e.nodes[of].ServeHTTP(w, r)
			return true
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

// serve is the load balancer, and a CDN in front of it.
func (e *environment) serve(w http.ResponseWriter, r *http.Request) {
	if e.cached != nil && r.Method == http.MethodGet && r.Header.Get("Upgrade") == "" && r.URL.RawQuery != "" {
		e.remember(w, r)
		return
	}
	e.balance(w, r)
}

// remember answers out of its memory what was asked before.
func (e *environment) remember(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Path
	for name, v := range r.URL.Query() {
		if e.cached[name] {
			key += " " + name + v[0]
		}
	}
	if e.cached["*"] {
		key += r.URL.RawQuery
	}
	e.mu.Lock()
	answer := e.cache[key]
	e.mu.Unlock()
	if answer == nil {
		answer = httptest.NewRecorder()
		e.balance(answer, r)
		if answer.Code == http.StatusOK {
			e.mu.Lock()
			e.cache[key] = answer
			e.mu.Unlock()
		}
	}
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (e *environment) balance(w http.ResponseWriter, r *http.Request) {
	if e.before != nil && e.before(w, r) {
		return
	}
	i := e.pick(r)
	if e.rule != nil {
		if node, ok := e.rule(r); ok {
			e.all.pass(e, node, w, r)
			return
		}
	}
	if _, err := r.Cookie("SERVERID"); e.cookies == "once" && err == nil {
		e.all.pass(e, i, w, r)
		return
	}
	if c, err := r.Cookie("AWSALB"); e.cookies != "forgetful" || err != nil || int(c.Value[0]-'0') != i {
		e.stick(w, i)
	}
	n := e.all
	if i == 1 && !reflect.DeepEqual(e.b, nginx{}) {
		n = e.b
	}
	n.pass(e, i, w, r)
}

// pass is the nginx of an instance.
func (n nginx) pass(e *environment, i int, w http.ResponseWriter, r *http.Request) {
	if n.ahead != 0 {
		w.Header().Set("Date", time.Now().Add(n.ahead).UTC().Format(http.TimeFormat))
	}
	if n.serve != nil && n.serve(w, r) {
		return
	}
	if n.frozen {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-e.gone:
		case <-r.Context().Done():
		}
		return
	}
	e.wait(r, n.slow)
	if n.down {
		nginxPage(w, http.StatusBadGateway)
		return
	}
	if n.maxBody > 0 && r.ContentLength > n.maxBody {
		nginxPage(w, http.StatusRequestEntityTooLarge)
		return
	}
	upgrade := r.Header.Get("Upgrade") != ""
	if upgrade && n.sockets > 0 && e.open.Add(1) > int64(n.sockets) {
		panic(http.ErrAbortHandler) // worker_connections are not enough
	}
	target, _ := url.Parse(e.back[i].URL)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
			if n.noUpgrade {
				p.Out.Header.Del("Upgrade")
				p.Out.Header.Del("Connection")
			}
		},
		ModifyResponse: func(res *http.Response) error {
			if n.ahead != 0 {
				res.Header.Del("Date")
			}
			if e.after != nil {
				return e.after(res)
			}
			return e.forget(res)
		},
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { nginxPage(w, http.StatusGatewayTimeout) },
		Transport:    &http.Transport{DisableKeepAlives: true, DialContext: n.dial},
	}
	if n.hold > 0 && r.Method == http.MethodGet && r.URL.Query().Has("sid") && !upgrade {
		late := httptest.NewRecorder()
		proxy.ServeHTTP(late, r)
		e.wait(r, n.hold)
		for k, v := range late.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(late.Code)
		_, _ = w.Write(late.Body.Bytes())
		return
	}
	proxy.ServeHTTP(w, r)
}

// wait lets time pass for a request.
func (e *environment) wait(r *http.Request, d time.Duration) {
	if d == 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// pick returns the instance of the cookie, or the next.
func (e *environment) pick(r *http.Request) int {
	name := map[string]string{"other": "SERVERID", "once": "SERVERID", "short": "SERVERID", "none": ""}[e.cookies]
	if e.cookies == "" || e.cookies == "split" || e.cookies == "bare" || e.cookies == "forgetful" || e.cookies == "classic" {
		name = "AWSALB"
	}
	if c, err := r.Cookie(name); err == nil && len(c.Value) > 0 {
		i := int(c.Value[0] - '0')
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.forgot[c.Value] {
			i++
		}
		return i % len(e.nodes)
	}
	return int(e.turn.Add(1)) % len(e.nodes)
}

// forget is the balancer whose stickiness is shorter than a poll waits: until a ping.
func (e *environment) forget(res *http.Response) error {
	c, err := res.Request.Cookie("AWSALB")
	if e.cookies != "forgetful" || err != nil || res.ContentLength != 1 || res.Request.Method != http.MethodGet {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgot[c.Value] = true
	return nil
}

func (e *environment) stick(w http.ResponseWriter, i int) {
	value := fmt.Sprintf("%d~%d", i, e.issued.Add(1))
	switch e.cookies {
	case "none":
	case "once":
		w.Header().Add("Set-Cookie", "SERVERID="+value+"; Path=/")
	case "other":
		w.Header().Add("Set-Cookie", "SERVERID="+value+"; Path=/; SameSite=None; Secure")
	case "short":
		w.Header().Add("Set-Cookie", "SERVERID="+value+"; Path=/; Max-Age=3")
	case "classic":
		w.Header().Add("Set-Cookie", "AWSELB="+value+"; Path=/")
	case "split":
		w.Header().Add("Set-Cookie", "AWSALBTG="+value+"; Path=/")
		fallthrough
	case "", "forgetful":
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
func (n nginx) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil && n.still != nil {
		return stills{c, n.still}, nil
	}
	if err == nil && n.mute > 0 {
		return &muted{Conn: c, at: time.Now().Add(n.mute), gone: make(chan struct{})}, nil
	}
	if err == nil && n.life > 0 {
		return c, c.SetDeadline(time.Now().Add(n.life))
	}
	if err != nil || n.idle == 0 {
		return c, err
	}
	return &quiet{Conn: c, idle: n.idle}, nil
}

// still holds back what an instance says, as one that is stopped, until it goes on.
type still struct{ sync.RWMutex }

// stills is a connection to one.
type stills struct {
	net.Conn
	*still
}

func (s stills) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.RLock()
	defer s.RUnlock()
	return n, err
}

// muted is a connection that brings nothing after a while.
type muted struct {
	net.Conn
	at   time.Time
	once sync.Once
	gone chan struct{}
}

func (m *muted) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if err == nil && time.Now().After(m.at) {
		<-m.gone
		return 0, net.ErrClosed
	}
	return n, err
}

func (m *muted) Close() error {
	m.once.Do(func() { close(m.gone) })
	return m.Conn.Close()
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
	o := Options{URL: e.front.URL, Origin: page, Timeout: 15 * time.Second, Idle: 8 * time.Second, Samples: 8, Insecure: true, lookup: e.lookup}
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
