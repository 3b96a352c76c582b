package zishang

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/shrink"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// Handler serves a socket.Server over HTTP. All methods may be called from any goroutine.
type Handler struct {
	// Set by New, then read only.
	cfg       Config
	log       *slog.Logger
	internals internals
	engine    *engineView
	inert     inertSocket
	io        *socket.Server
	server    *server.Server
	alone     bool          // there are no other servers, which could see the data of sockets
	settings  func() string // of the library's server, now
	read      string        // settings, as New has read them

	checked sync.Once // that settings are what was read

	handlerErrors, degraded atomic.Uint64

	hasty   atomic.Int64 // when a middleware was last late, in seconds since 1970
	told    atomic.Bool  // that clients need a function's leave
	conns   sync.Map     // of *conn by *transport.Session
	members sync.Map     // of *member by socket id, until the disconnect handlers have run

	learnt   atomic.Int64 // how many parents are known
	learning sync.Mutex
	parents  []socket.ParentNamespace // guarded by learning; only added to

	// lifetime ends with Shutdown; it bounds what asks other servers.
	lifetime context.Context
	end      context.CancelFunc
	hurry    context.Context // ends stopGrace after Shutdown has begun
	rush     context.CancelFunc
	wg       sync.WaitGroup // what runs beside package server; see background

	mu      sync.Mutex
	closing bool // guarded by mu
}

// New makes the socket.Server that socket.NewServer(nil, cfg.Options) would make, and the handler to serve
// it with. The application goes on using the first as before, except that it serves the Handler where it
// called ServeHandler or Attach. The error names the field or option at fault.
func New(cfg Config) (*socket.Server, *Handler, error) {
	alone := cfg.Adapter == nil
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	h := &Handler{cfg: cfg, log: cfg.Logger, alone: alone, inert: inertSocket{engine.MakeSocket()}}
	h.lifetime, h.end = context.WithCancel(context.Background())
	h.hurry, h.rush = context.WithCancel(context.Background())
	if h.internals, err = findInternals(); err != nil {
		return nil, nil, err
	}
	h.engine = &engineView{BaseServer: engine.MakeBaseServer(), h: h}
	h.engine.Prototype(h.engine)
	options := cfg.Options.(*socket.ServerOptions) // a copy
	options.SetParser(handover{})
	options.SetAdapter(constructor{h})
	h.io = socket.NewServer(nil, options)
	h.settings = func() string {
		return fmt.Sprint(*options, h.io.ConnectTimeout(), h.io.Path(), h.io.ServeClient(), h.io.Adapter() == constructor{h})
	}
	h.io.Bind(h.engine)
	h.engine.RemoveAllListeners("connection") // the library's own, which is not told of sessions
	sc := server.Config{
		Transport: cfg.Transport, ConnectTimeout: h.io.ConnectTimeout(), Parser: cfg.Parser, Adapter: h.open,
		KeepEmptyNamespaces: !cfg.Options.CleanupEmptyChildNamespaces(),
		Recovery:            recovery(cfg.Options), Limits: cfg.Limits, Logger: cfg.Logger, Wrap: h.wrap,
	}
	h.engine.hook(&sc.Transport)
	if h.server, err = server.New(sc); err != nil {
		return nil, nil, fmt.Errorf("zishang: %w", err)
	}
	h.guard(h.server.Namespace)
	h.server.OnNamespace(h.opened)
	h.read = h.settings()
	if names := options.Transports(); names != nil && names.Has("webtransport") &&
		!slices.Contains(cfg.Transport.Transports, transport.WebSocket) {
		h.log.Warn("WebTransport is not served: without websocket among the Transports clients stay on polling")
	}
	if cfg.Options.ServeClient() {
		h.log.Info("the client bundle is not served here: serve it as a file, or with package host")
	}
	return h.io, h, nil
}

// guard has the sockets of a namespace become the library's.
func (h *Handler) guard(n *server.Namespace) {
	n.UseAlways(h.make)
	n.Use(h.admit)
	n.UseAlways(h.seat)
	n.OnConnection(h.connected)
}

// ServeHTTP serves the requests of the Socket.IO path, whatever that is.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.checked.Do(func() {
		if h.settings() != h.read {
			h.log.Error("options that were changed after New are not used: give them to New")
		}
	})
	if h.engine.admit(w, r) {
		h.server.ServeHTTP(w, r)
	}
}

// Engine returns the transport beneath.
func (h *Handler) Engine() *transport.Server { return h.server.Engine() }

// Shutdown refuses new sessions, closes the open ones with "server shutting down" (a reason after which
// clients reconnect and may recover), waits for running handlers, and closes the adapters. It returns the
// error of ctx when that ends first. Further calls wait for the first. Server.Close does the same with a
// limit of ten seconds.
func (h *Handler) Shutdown(ctx context.Context) error {
	grace := stopGrace
	if end, ok := ctx.Deadline(); ok {
		grace = min(grace, time.Until(end)/2)
	}
	time.AfterFunc(grace, h.rush)
	err := h.server.Shutdown(ctx)
	h.end()
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	done := make(chan struct{})
	go func() { h.wg.Wait(); close(done) }() // ends with the last handler
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	return err
}

// protect calls a function of the application: a panic in it ends nothing but this call. It reports
// whether there was none.
func (h *Handler) protect(what string, fn func()) (ok bool) {
	return h.server.Protect(what, func() error { fn(); return nil }) == nil
}

// background runs fn in a goroutine that Shutdown waits for, unless that has ended. It reports whether it
// does.
func (h *Handler) background(fn func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	h.wg.Go(fn)
	return true
}

// failed logs what the library has no way to return.
func (h *Handler) failed(namespace, what string, err error) {
	switch {
	case err == nil, errors.Is(err, server.ErrDisconnected), errors.Is(err, server.ErrServerClosed),
		errors.Is(err, transport.ErrBacklog), errors.Is(err, transport.ErrTooLarge): // counted and told by transport
	case errors.Is(err, adapter.ErrDegraded):
		h.degraded.Add(1)
		h.log.Debug("done on this server only", "namespace", namespace, "what", what)
	default:
		h.log.Error("not done", "namespace", namespace, "what", what, "err", err)
	}
}

// As in package server: how long what waits for the application is worked off when its client has gone, and when the
// server stops, or half of the time that has. Then it is dropped.
const (
	lateTimeout = 10 * time.Second
	stopGrace   = 2 * time.Second
)

// line calls functions in order, off the goroutine that adds them, and tells them when they are only to clean up.
type line struct {
	mu   sync.Mutex
	list []func(late bool) // guarded by mu
	busy bool              // guarded by mu
}

// add has fn called in its turn. It is too late for that when life has ended and lateTimeout is over.
func (l *line) add(h *Handler, life context.Context, fn func(late bool)) {
	l.mu.Lock()
	l.list = append(l.list, fn)
	l.busy = l.busy || h.background(func() { l.work(h, life) })
	busy := l.busy
	l.mu.Unlock()
	if !busy {
		l.drop()
	}
}

func (l *line) work(h *Handler, life context.Context) {
	stop := context.AfterFunc(life, func() { time.AfterFunc(lateTimeout, l.drop) })
	done := false
	defer func() { // even if a function ends the goroutine
		if stop(); !done && !h.background(func() { l.work(h, life) }) {
			l.drop()
		}
	}()
	for !done {
		l.mu.Lock()
		var first func(bool)
		if done = len(l.list) == 0; done {
			l.busy = false
		} else {
			first = shrink.First(&l.list)
		}
		l.mu.Unlock()
		if !done {
			first(h.hurry.Err() != nil)
		}
	}
}

// drop has all that wait clean up.
func (l *line) drop() {
	l.mu.Lock()
	list := l.list
	l.list = nil
	l.mu.Unlock()
	for _, fn := range list {
		fn(true)
	}
}

// Stats returns the counters since New. Those of the sessions beneath are in Engine().Stats(). HandlerErrors
// are errors returned to On and OnAck.
func (h *Handler) Stats() server.Stats {
	st := h.server.Stats()
	st.HandlerErrors += h.handlerErrors.Load()
	return st
}

// SocketCounts returns how many sockets of this server are connected, by namespace.
func (h *Handler) SocketCounts() map[string]int { return h.server.SocketCounts() }

// Degraded returns how many operations were done on this server only, as the others were out of reach.
func (h *Handler) Degraded() uint64 { return h.degraded.Load() }
