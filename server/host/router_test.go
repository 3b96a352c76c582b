package host

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
	"github.com/beanpole/beanpole/transport"
)

// guard lets in who has a token, under a name that no client can give itself.
func guard(c *gin.Context) {
	c.Request.Header.Del("X-User")
	if c.GetHeader("Authorization") != "let me in" {
		c.AbortWithStatus(http.StatusUnauthorized)
		return
	}
	c.Request.Header.Set("X-User", "ann")
	c.Header("X-Guarded", "1")
}

func TestMiddlewaresOfTheRouterSeeSocketIO(t *testing.T) {
	h, _ := newTestHost(t, Config{NoTrailingSlash: true, Instance: "one"})
	h.Router().Use(guard)
	h.Router().GET("/own", func(c *gin.Context) { c.String(http.StatusOK, "own") })
	h.Router().NoRoute(func(c *gin.Context) { c.String(http.StatusNotFound, "nothing of "+c.GetHeader("X-User")) })
	for _, target := range []string{"/socket.io/?EIO=4&transport=polling", "/socket.io?EIO=4&transport=polling", "/socket.io/socket.io.js", "/own", "/nothing"} {
		if w := ask(h, "GET", target, "X-User", "admin"); w.Code != http.StatusUnauthorized || w.Body.Len() > 0 || w.Header().Get("X-Beanpole") == "" {
			t.Errorf("%s of a stranger: %d %v %q", target, w.Code, w.Header(), w.Body)
		}
	}
	if n := h.IO().Engine().Sessions(); n != 0 {
		t.Errorf("%d sessions of strangers", n)
	}
	for target, want := range map[string]string{
		"/socket.io/?EIO=4&transport=polling": `0{"sid":"`, "/socket.io?EIO=4&transport=polling": `0{"sid":"`,
		"/own": "own", "/nothing": "nothing of ann",
	} {
		w := ask(h, "GET", target, "X-User", "admin", "Authorization", "let me in")
		if !strings.HasPrefix(w.Body.String(), want) || w.Header().Get("X-Guarded") != "1" {
			t.Errorf("%s: %d %v %q", target, w.Code, w.Header(), w.Body)
		}
	}
	if w := ask(h, "GET", "/healthz"); w.Code != http.StatusOK { // load balancers have no token
		t.Errorf("health check: %d", w.Code)
	}
}

// The values of the context that a middleware gives the request are those of the session's sockets.
func TestContextOfAMiddlewareReachesTheSocket(t *testing.T) {
	type user struct{}
	h, _ := newTestHost(t, Config{Adjust: func(c *server.Config) { c.Transport.KeepContext = true }})
	h.Router().Use(func(c *gin.Context) {
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), user{}, c.GetHeader("Authorization")))
	})
	h.IO().On("who", func(s *server.Socket) (any, error) { return s.Handshake().Context().Value(user{}), nil })
	for _, name := range []client.Transport{client.Polling, client.WebSocket} {
		c := servertest.ConnectTo(t, h, "/", client.Config{Transports: []client.Transport{name}, Header: http.Header{"Authorization": {"ada"}}})
		if got := servertest.Ask[string](c, "who"); got != "ada" {
			t.Errorf("by %s it is %q", name, got)
		}
	}
}

// The same over the network: what a middleware sets is in the handshake of every transport, and what it refuses is
// no WebSocket and no poll.
func TestMiddlewaresOfTheRouterOnEveryTransport(t *testing.T) {
	h, _ := newTestHost(t, Config{Host: "127.0.0.1", Port: AnyPort, NoAdmin: true})
	h.Router().Use(guard)
	h.IO().OnConnection(func(s *server.Socket) { _ = s.Emit("user", s.Handshake().Header().Get("X-User")) })
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()

	request := func(method, query, body string, header ...string) (int, http.Header, string) {
		t.Helper()
		r, _ := http.NewRequest(method, h.URL()+"socket.io/?EIO=4&transport="+query, strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, read(t, res.Body)
	}
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	for _, query := range []string{"polling", "websocket"} {
		if status, _, _ := request("GET", query, "", upgrade...); status != http.StatusUnauthorized {
			t.Errorf("%s of a stranger: %d", query, status)
		}
	}
	token := []string{"Authorization", "let me in", "X-User", "admin"}
	_, header, open := request("GET", "polling", "", token...)
	if header.Get("X-Guarded") != "1" {
		t.Errorf("headers of a poll %v", header)
	}
	var packet struct{ SID string }
	if err := json.Unmarshal([]byte(open[1:]), &packet); err != nil {
		t.Fatal(err)
	}
	sid := "polling&sid=" + packet.SID
	request("POST", sid, "40", token...)
	_, _, got := request("GET", sid, "", token...)
	if !strings.Contains(got, `["user"`) {
		_, _, more := request("GET", sid, "", token...)
		got += more
	}
	if !strings.Contains(got, `["user","ann"]`) {
		t.Errorf("by polling the socket has got %q", got)
	}
	if status, _, _ := request("GET", sid, ""); status != http.StatusUnauthorized {
		t.Errorf("a stranger's poll of a session: %d", status)
	}

	users := make(chan string, 1)
	byWebSocket(t, h.URL(), http.Header{"Authorization": {"let me in"}, "X-User": {"admin"}}, func(s *client.Socket) {
		s.On("user", func(name string) { users <- name })
	})
	if name := <-users; name != "ann" {
		t.Errorf("by WebSocket the socket has got %q", name)
	}

	h.IO().Engine().Each(func(s *transport.Session) bool {
		s.Abort(transport.ReasonForcedClose) // a graceful end would wait for a poll that never comes
		return true
	})
	stop()
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

// byWebSocket connects a client over WebSocket alone, which stays away once it has lost its connection. ready, if not nil, is given it
// before.
func byWebSocket(t *testing.T, url string, header http.Header, ready func(*client.Socket)) {
	t.Helper()
	c, err := client.New(url, client.Config{Transports: []client.Transport{client.WebSocket}, Header: header, NoReconnection: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if ready != nil {
		ready(c.Socket())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.Socket().Connect(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestRouteWhereSocketIOIs(t *testing.T) {
	h, _ := newTestHost(t, Config{Host: "127.0.0.1", Port: AnyPort, NoAdmin: true})
	h.Router().GET("/socket.io/mine", func(*gin.Context) {})
	if err := h.Listen(); err == nil || !strings.Contains(err.Error(), "/socket.io/") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

// A route that cannot be stops the start, and the error names it and the rule.
func TestRoutesThatCannotBe(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, tt := range []struct {
		method, path string
		handler      http.Handler
		why          string
	}{
		{"get", "/x", ok, `route get "/x": the method must be in capital letters, such as GET`},
		{"", "/x", ok, `route  "/x": the method must`},
		{"GET", "x", ok, `route GET "x": the path must begin with /`},
		{"GET", "/healthz", ok, `route GET "/healthz": it is the health check's own`},
		{"POST", "/livez", ok, `route POST "/livez": it is the health check's own`},
		{"GET", "/x", nil, `route GET "/x": no handler`},
		{"GET", "/x", http.HandlerFunc(nil), `route GET "/x": no handler`},
		{"GET", "/twice", ok, `route GET "/twice": `},
		{"GET", "/a/:", ok, `route GET "/a/:": `},
	} {
		h, log := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
		h.Handle("GET", "/twice", ok)
		h.Handle(tt.method, tt.path, tt.handler)
		err := h.Listen()
		if err == nil || !strings.HasPrefix(err.Error(), tt.why) || !strings.Contains(log.String(), "route not added") {
			t.Errorf("%s %q: %v", tt.method, tt.path, err)
		}
	}
}

// What serves nothing is refused as a route is, with what to give instead.
func TestNothingThatIsToBeServed(t *testing.T) {
	var mux *http.ServeMux
	for name, add := range map[string]func(*Host){
		"Static":   func(h *Host) { h.Static(nil) },
		"Fallback": func(h *Host) { h.Fallback(nil) },
		"pointer":  func(h *Host) { h.Fallback(mux) },
		"function": func(h *Host) { h.Fallback(http.HandlerFunc(nil)) },
		"route":    func(h *Host) { h.Handle("GET", "/x", mux) },
	} {
		h, log := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", NoAdmin: true})
		add(h)
		if err := h.Listen(); err == nil || !strings.Contains(err.Error(), ": no ") || !strings.Contains(log.String(), "route not added") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Files without an index.html leave / without a page. That is said, unless another route has it.
func TestStaticWithoutAnIndexIsSaid(t *testing.T) {
	for _, tt := range []struct {
		files fstest.MapFS
		route string
		said  bool
	}{
		{fstest.MapFS{"app.js": {}}, "", true},
		{fstest.MapFS{"app.js": {}}, "/", false},
		{fstest.MapFS{"index.html": {}}, "", false},
	} {
		h, log := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", NoAdmin: true})
		h.Static(tt.files)
		if tt.route != "" {
			h.Handle("GET", tt.route, http.NotFoundHandler())
		}
		if err := h.Listen(); err != nil {
			t.Fatal(err)
		}
		_ = h.listener.Close()
		h.flushLog()
		if got := strings.Contains(log.String(), "no index.html"); got != tt.said {
			t.Errorf("%v, route %q: said %v", tt.files, tt.route, got)
		}
	}
}

// A page for paths that are no file's needs files, be they of a variable or of the program.
func TestSinglePageWithoutFilesIsSaid(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg   Config
		files func(*Host)
		said  bool
	}{
		"nothing":    {Config{SinglePage: true}, func(*Host) {}, true},
		"a fallback": {Config{SinglePage: true}, func(h *Host) { h.Fallback(http.NotFoundHandler()) }, true},
		"a program":  {Config{SinglePage: true}, func(h *Host) { h.Static(fstest.MapFS{"index.html": {}}) }, false},
		"a folder":   {Config{SinglePage: true, StaticDir: t.TempDir()}, func(*Host) {}, false},
		"not set":    {Config{}, func(*Host) {}, false},
	} {
		tt.cfg.Port, tt.cfg.Host, tt.cfg.NoAdmin = AnyPort, "127.0.0.1", true
		h, log := newTestHost(t, tt.cfg)
		tt.files(h)
		if err := h.Listen(); err != nil {
			t.Fatal(err)
		}
		_ = h.listener.Close()
		h.flushLog()
		if got := strings.Contains(log.String(), "BEANPOLE_SINGLE_PAGE"); got != tt.said {
			t.Errorf("%s: said %v", name, got)
		}
	}
}

// A client that asks at another path than that of Socket.IO gets a 404, which tells nobody why: the log does, once.
func TestClientsThatAskWhereSocketIOIsNot(t *testing.T) {
	for name, files := range map[string]func(*Host){
		"nothing":    func(*Host) {},
		"files":      func(h *Host) { h.Static(fstest.MapFS{"index.html": {}}) },
		"a fallback": func(h *Host) { h.Fallback(http.NotFoundHandler()) },
	} {
		h, log := newTestHost(t, Config{Path: "/live/"})
		files(h)
		for _, target := range []string{"/nothing", "/live/?EIO=4&transport=polling"} {
			ask(h, "GET", target)
		}
		if got := log.String(); strings.Contains(got, "asks at a path") {
			t.Errorf("%s: %s", name, got)
		}
		for range 3 {
			if w := ask(h, "GET", "/socket.io/?EIO=4&transport=polling&t=x"); w.Code != http.StatusNotFound {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
		if got := log.String(); strings.Count(got, "asks at a path") != 1 || !strings.Contains(got, "asks=/socket.io/ path=/live/") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A server that was there before comes with all its paths, but for those that are the host's.
func TestFallback(t *testing.T) {
	h, _ := newTestHost(t, Config{})
	mux := http.NewServeMux()
	for _, path := range []string{"/{$}", "POST /orders", "/healthz", "/socket.io/"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("mine")) })
	}
	mux.HandleFunc("/teapot", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h.Fallback(mux)
	for target, want := range map[string]int{"GET /": 200, "POST /orders": 200, "GET /orders": 405, "GET /nothing": 404, "GET /teapot": 418, "GET /healthz": 200, "GET /socket.io/?EIO=4&transport=polling": 200} {
		method, path, _ := strings.Cut(target, " ")
		w := ask(h, method, path)
		mine := want == http.StatusOK && !strings.HasPrefix(path, "/healthz") && !strings.HasPrefix(path, "/socket.io/")
		if w.Code != want || mine != (w.Body.String() == "mine") {
			t.Errorf("%s: %d %q", target, w.Code, w.Body)
		}
	}
}

// Requests of the protocol pass the router by as long as nothing of it, and no log, is to see them.
func TestSocketIOPastTheRouter(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg    Config
		use    bool
		direct bool
	}{
		"default":         {direct: true},
		"no access log":   {cfg: Config{AccessLog: AccessNone}, direct: true},
		"all are logged":  {cfg: Config{AccessLog: AccessAll}},
		"errors are":      {cfg: Config{AccessLog: AccessErrors}},
		"sessions are":    {cfg: Config{AccessLog: AccessSessions}},
		"enhanced health": {cfg: Config{HealthdLog: t.TempDir()}},
		"a middleware":    {use: true},
	} {
		tt.cfg.AllowedHosts = []string{"example.com"}
		h, _ := newTestHost(t, tt.cfg)
		if tt.use {
			h.Router().Use(func(*gin.Context) {})
		}
		w := ask(h, "GET", "/socket.io/?EIO=4&transport=polling")
		if w.Code != http.StatusOK || w.Header().Get(InstanceHeader) == "" || h.direct != tt.direct {
			t.Errorf("%s: %d %v, past the router: %v", name, w.Code, w.Header(), h.direct)
		}
		r := httptest.NewRequest("GET", "http://evil.example/socket.io/?EIO=4&transport=polling", nil)
		refused := httptest.NewRecorder()
		h.ServeHTTP(refused, r)
		if refused.Code != http.StatusForbidden || refused.Header().Get(InstanceHeader) == "" {
			t.Errorf("%s, of another host: %d %v", name, refused.Code, refused.Header())
		}
	}
}

func TestPartsOfAPathAreThoseOfTheRequest(t *testing.T) {
	h, _ := newTestHost(t, Config{})
	h.Handle("GET", "/scores/:game/*rest", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.PathValue("game") + " " + r.PathValue("rest")))
	}))
	if w := ask(h, "GET", "/scores/chess/a/b"); w.Body.String() != "chess /a/b" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// An application that registers its collectors need not ask whether there is somebody to see them.
func TestMetricsAreThereWithoutAnAdminListener(t *testing.T) {
	h, _ := newTestHost(t, Config{NoAdmin: true})
	if err := h.Metrics().Register(prometheus.NewGauge(prometheus.GaugeOpts{Name: "own"})); err != nil {
		t.Error(err)
	}
}
