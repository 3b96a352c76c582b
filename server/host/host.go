package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/internal/logs"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/adminui"
	"github.com/beanpole/beanpole/server/metrics"
	"github.com/beanpole/beanpole/server/tracing"
)

// Limits of the HTTP server. Each bounds what a client may hold that has no session yet.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 90 * time.Second // above the 75 s of nginx, or a proxy would get resets
	maxHeaderBytes    = 16 << 10         // Node's default
)

// Host is a Socket.IO server with what it needs to be deployed. Make it with New.
type Host struct {
	// Set by New, then read only.
	cfg     Config
	log     *slog.Logger
	life    *slog.Logger   // log, for what is said of the host's life
	lines   *logs.Writer   // of log, unless that is the application's own
	io      *server.Server // nil if app is of another kind
	app     Application
	router  *gin.Engine
	routed  func() // adds the route of Socket.IO to router, once
	own     int    // middlewares of router that are the host's
	direct  bool   // set by routed: see serveDirect
	http    *http.Server
	cluster *cluster
	client  *bundle

	certificate *certificate // or nil

	clientOf clientAddr            // whose a request is
	metrics  *metrics.Metrics      // nil without the admin listener
	adminUI  *adminui.UI           // or nil
	traces   *trace.TracerProvider // or nil

	spoke    string                       // value of InstanceHeader
	listener net.Listener                 // set by Listen
	shown    net.Listener                 // of the metrics, or nil; set by Listen
	admin    atomic.Pointer[net.Listener] // set by Listen, or later, if at all
	files    http.Handler                 // set by Static or Fallback before Run, or nil
	indexed  bool                         // set by Static: / has a page
	static   bool                         // set by Static: files are those of a file system

	unroutable error // set by Handle before Run: routes that cannot be
	draining   atomic.Bool
	ending     atomic.Bool // set by Shutdown: nothing takes clients again
	drainer    drainer
	memory     memory

	lifecycle *lifecycle // set by New
	figures   figures
	healthd   *healthd      // or nil
	failures  limit.Sampler // of the access log
	notice    limit.Notice  // of what may be said again and again

	connections connections
}

// New checks cfg and returns a Host that does not listen yet. The error is a *ValueError for a field
// whose value is not allowed.
func New(cfg Config) (*Host, error) { return newHost(cfg, func(*slog.Logger) {}) }

// newHost is New. logged is called with the log before anything that may have to say something is made.
func newHost(cfg Config, logged func(*slog.Logger)) (*Host, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	h := &Host{cfg: cfg, spoke: cfg.spoken(), lifecycle: newLifecycle(), figures: figures{every: figuresEvery}}
	h.openLog()
	logged(h.log)
	h.openHealthd()
	var err error
	if h.certificate, err = newCertificate(&h.cfg, h.life); err != nil {
		return nil, err
	}
	if h.cluster, err = newCluster(&h.cfg, h.log); err != nil {
		return nil, err
	}
	if err := h.make(); err != nil {
		h.endTracing(context.Background())
		return nil, errors.Join(err, h.cluster.close(context.Background()))
	}
	return h, nil
}

// make makes what is left of a host that has its cluster.
func (h *Host) make() (err error) {
	cfg := h.cfg
	if h.client, err = findBundle(cfg.ClientDir); err != nil {
		return err
	}
	sc := cfg.server(h.log, h.cluster.factory)
	asked := newRequests()
	seen := sc.Transport.ClientAddr
	if seen == nil { // Adjust may have taken it away
		seen = hops(cfg.TrustedHops).client
	}
	h.clientOf = func(r *http.Request) (string, bool) { return h.cluster.client(r, seen) }
	sc.Transport.ClientAddr = h.clientOf
	if h.cluster.redis != nil {
		sc.Transport.UnknownSession = h.cluster.unknownSession
		sc.Adapter = asked.watch(sc.Adapter)
	}
	if next := sc.Transport.UnknownSession; next != nil {
		sc.Transport.UnknownSession = h.connections.forwarding(next)
	}
	h.metrics = metrics.New()
	if cfg.measured() {
		sc.Observers = append(sc.Observers, h.metrics)
	}
	if cfg.Traces == nil && cfg.Tracing {
		if err := h.newTracing(context.Background()); err != nil {
			return err
		}
		cfg.Traces = h.traces
	}
	if cfg.Traces != nil {
		sc.Observers = append(sc.Observers, tracing.New(tracing.Config{Provider: cfg.Traces}))
	}
	if err = h.newApplication(sc); err != nil {
		return err
	}
	if err = h.attachAdminUI(); err != nil {
		return err
	}
	if cfg.measured() {
		h.metrics.Watch(h.app)
		own := []prometheus.Collector{drainCollector{h}, logCollector{h.lines}, memoryCollector{&h.memory}, certificateCollector{h.certificate}}
		if h.cluster.redis != nil {
			own = append(own, clusterCollector{h.cluster}, asked.took, asked.outcomes)
		}
		for _, c := range own {
			if err := h.metrics.Register(c); err != nil {
				return err
			}
		}
	}
	h.probe()
	if cfg.StaticDir != "" {
		root, err := os.OpenRoot(cfg.StaticDir) // keeps links from leading out of the folder
		if err != nil {
			return err
		}
		h.Static(root.FS())
	}
	h.router, h.routed = h.newRouter(), sync.OnceFunc(h.routeSocketIO)
	h.http = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(errorLog{h}, "", 0),
		TLSConfig:         h.certificate.tlsConfig(),
		Protocols:         onlyHTTP1(),
		ConnContext:       h.connections.context,
		ConnState:         h.connections.note,
	}
	return nil
}

// Metrics returns the metrics that the admin listener shows and Config.MetricsAddr, for the application's own collectors, or
// for a registry of its own, as it is a prometheus.Collector. They watch the host's server already. Without either
// nothing of the server is in them.
func (h *Host) Metrics() *metrics.Metrics { return h.metrics }

// Logger returns the logger of the host, for the application's own lines.
func (h *Host) Logger() *slog.Logger { return h.log }

// Config returns the configuration in force.
func (h *Host) Config() Config { return h.cfg }

// Router returns the gin router, for applications whose own routes or middlewares use gin. Its Use holds for the
// requests of Socket.IO, the application's routes added later, and the files; not for the health checks. One that aborts
// refuses the client; headers that it sets on the request are in the handshake. A Group has middlewares for some routes
// alone. Add routes and middlewares before Run, and where the Host is embedded serve the Host, not its router, which
// gets the route of Socket.IO last: at Listen, or the first request.
func (h *Host) Router() *gin.Engine { return h.router }

// Handle adds a route of the application. path is as in gin: /scores/:game takes part of the path, which r.PathValue("game") returns.
// Call it before Run. A route that cannot be is in the log at once, and the error of Listen and Run, which do not start.
func (h *Host) Handle(method, path string, handler http.Handler) {
	h.refuseRoute(h.handle(method, path, handler))
}

// Static serves the files of fsys for every path that has no route. Folders are served by their
// index.html and never listed; names that start with a dot are hidden, and a link that leads to one, or out of fsys,
// is not there, as is what is no file, such as a named pipe. Text, scripts and the like of up to 8 MiB are compressed for
// who takes it, once: 32 MiB of that are kept. Browsers ask again each time whether a file has changed, by its time, or its content where
// it has none (embed.FS); those of Config.StaticImmutable never. Call it before Run. Without an index.html, and a route of its own, / is not found, which Listen says.
// Nil is refused, as a route that cannot be.
func (h *Host) Static(fsys fs.FS) {
	if missing(fsys) {
		h.refuseRoute(errors.New(`Static: no files: give it a file system, such as os.DirFS("public") or an embed.FS`))
		return
	}
	h.files = fileServer(fsys, h.cfg.SinglePage, strings.Trim(h.cfg.StaticImmutable, "/"), newCompressor(h.memory.short.Load))
	_, err := fs.Stat(fsys, "index.html")
	h.indexed, h.static = err == nil, true
}

// Fallback serves every path that has no route with handler, in the place of Static: an application that has a server
// already, such as an http.ServeMux, comes with all its paths. Those of Socket.IO and of the health checks stay the
// host's. Nil is refused, as a route that cannot be. Call it before Run.
func (h *Host) Fallback(handler http.Handler) {
	if missing(handler) {
		h.refuseRoute(errors.New("Fallback: no handler: give it one, such as an http.ServeMux, or leave it out"))
		return
	}
	h.files, h.indexed, h.static = handler, true, false
}

// ServeHTTP serves a request as the listening host would, for tests and for embedding.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.cluster.visited(w, r) {
		return
	}
	h.routed()
	if h.direct && r.URL.Path == h.cfg.Path && (r.Method == http.MethodGet || r.Method == http.MethodPost) {
		h.serveDirect(w, r)
		return
	}
	h.router.ServeHTTP(w, r)
}

// ClientAddr returns the address of the client that sent r and whether it came over TLS, as seen by the
// trusted proxies.
func (h *Host) ClientAddr(r *http.Request) (addr string, secure bool) {
	return h.clientOf(r)
}

// AddrKey returns what limits count the client's address by, for limits of the application's own: the address, of IPv6
// its first 64 bits, which is what one customer of a network has, or the address of IPv4 that it holds (NAT64, SIIT,
// 6to4, Teredo). What is no address is its own key. docs/limits.md has the rule.
func AddrKey(addr string) string { return limit.Address(addr) }

// Listen opens the port. Run does so too if it has not been done; a program calls it to know the URL.
func (h *Host) Listen() error {
	if h.listener != nil {
		return nil
	}
	if err := h.closeRouter(); err != nil {
		return err
	}
	port := max(0, int(h.cfg.Port)) // AnyPort is 0 to the system
	var err error
	h.listener, err = net.Listen("tcp", net.JoinHostPort(h.cfg.Host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("the host's own port (set PORT to another, HOST to another address): %w", err)
	}
	if err := h.cluster.forward(&h.cfg, h.app.Engine(), h.listener.Addr(), h.clientOf, h.log); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := h.listenMetrics(); err != nil {
		return err
	}
	h.listenAdmin()
	return nil
}

// URL returns where a browser on this machine finds the host, or "" before Listen.
func (h *Host) URL() string {
	if h.listener == nil {
		return ""
	}
	name, port, _ := net.SplitHostPort(h.listener.Addr().String())
	if ip := net.ParseIP(name); ip == nil || ip.IsUnspecified() {
		name = "localhost"
	}
	scheme := h.cfg.scheme()
	return scheme + "://" + strings.TrimSuffix(net.JoinHostPort(name, port), map[string]string{"http": ":80", "https": ":443"}[scheme]) + "/"
}

// Shutdown drains, closes every session in the way after which clients reconnect elsewhere, spread over
// Config.StopDrainTime, waits for handlers and requests that are running, and closes the port. When ctx ends
// first it cuts off what is left and returns an error.
func (h *Host) Shutdown(ctx context.Context) error {
	h.ending.Store(true)
	h.drainer.stopResume()
	h.DrainSessions(ctx, h.cfg.StopDrainTime)
	if h.adminUI != nil {
		h.adminUI.Close()
	}
	err := h.app.Shutdown(ctx)
	h.cluster.leave(ctx)
	if e := h.shutdownHTTP(ctx); e != nil {
		err = errors.Join(err, e, h.http.Close())
	}
	h.endTracing(ctx)
	err = errors.Join(err, h.cluster.close(ctx))
	h.flushLog()
	return err
}

// shutdownHTTP ends the http.Server, for whose connections their clients are not waited for without end.
func (h *Host) shutdownHTTP(ctx context.Context) error {
	hurried, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.connections.hurry(hurried)
	}()
	err := h.http.Shutdown(ctx)
	stop()
	<-done
	return err
}
