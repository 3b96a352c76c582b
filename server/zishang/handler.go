package zishang

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/transport"
)

// Handler serves a socket.Server over HTTP. All methods may be called from any goroutine.
type Handler struct {
	// Set by New, then read only.
	cfg       Config
	log       *slog.Logger
	internals internals
	codec     checkedParser
	transport *transport.Server
	engine    *engineView
	inert     transports.Transport
	io        *socket.Server

	stats  counters
	bounds bounds

	// lifetime ends when Shutdown has given up waiting; it bounds what asks other servers.
	lifetime context.Context
	end      context.CancelFunc

	// wg counts sockets that are connected or being connected, and what works for them outside of the
	// transport. It is added to by who holds it up already, by the transport before its Shutdown has
	// returned, and by background.
	wg sync.WaitGroup

	mu         sync.Mutex
	namespaces map[string]*namespace    // guarded by mu
	creating   map[string]chan struct{} // guarded by mu; closed when it is done
	err        error                    // guarded by mu; the first failure to make an adapter
	closing    bool                     // guarded by mu
}

// New makes the socket.Server that socket.NewServer(nil, cfg.Options) would make, and the handler to serve
// it with. The application goes on using the first as before, except that it serves the Handler where it
// called ServeHandler or Attach. The error names the field or option at fault.
func New(cfg Config) (*socket.Server, *Handler, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	h := &Handler{
		cfg: cfg, log: cfg.Logger, inert: transports.MakeTransport(),
		codec:      checkedParser{cfg.Parser, cfg.Logger},
		namespaces: make(map[string]*namespace), creating: make(map[string]chan struct{}),
	}
	h.bounds.init(&cfg.Limits)
	h.lifetime, h.end = context.WithCancel(context.Background())
	if h.internals, err = findInternals(); err != nil {
		return nil, nil, err
	}
	h.engine = &engineView{BaseServer: engine.MakeBaseServer(), h: h}
	h.engine.Prototype(h.engine)
	tc := cfg.Transport
	tc.Accept = h.accept
	h.engine.hook(&tc)
	if h.transport, err = transport.New(tc); err != nil {
		return nil, nil, fmt.Errorf("zishang: %w", err)
	}
	options := socket.DefaultServerOptions()
	options.Assign(cfg.Options)
	options.SetParser(h.codec)
	options.SetAdapter(constructor{h})
	h.io = socket.NewServer(nil, options)
	h.io.Bind(h.engine)
	if err := h.warn(); err != nil {
		return nil, nil, err
	}
	return h.io, h, nil
}

// warn logs what will not work as the options have it. It returns the error of the first adapter.
func (h *Handler) warn() error {
	h.mu.Lock()
	err, root := h.err, h.namespaces["/"]
	h.mu.Unlock()
	if err != nil {
		return fmt.Errorf("zishang: adapter: %w", err)
	}
	asked := h.cfg.Options.GetRawConnectionStateRecovery() != nil
	if asked != root.adapter.Recovers() {
		h.log.Warn("connection state recovery must be on in the options and in the adapter",
			"options", asked, "adapter", root.adapter.Recovers())
	}
	if h.cfg.Options.ServeClient() {
		h.log.Info("the client bundle is not served here: serve it as a file, or with package host")
	}
	return nil
}

// ServeHTTP serves the requests of the Socket.IO path, whatever that is.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.engine.admit(w, r) {
		h.transport.ServeHTTP(w, r)
	}
}

// Engine returns the transport beneath.
func (h *Handler) Engine() *transport.Server { return h.transport }

// Shutdown refuses new sessions, closes the open ones with "server shutting down" (a reason after which
// clients reconnect and may recover), waits for running handlers, and closes the adapters. It returns the
// error of ctx when that ends first. Further calls do nothing. Server.Close does the same with a limit of
// ten seconds.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	was := h.closing
	h.closing = true
	h.mu.Unlock()
	if was {
		return nil
	}
	err := h.transport.Shutdown(ctx)
	done := make(chan struct{})
	go func() { h.wg.Wait(); close(done) }() // ends with the last handler
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	h.end()
	for _, n := range h.all() {
		err = errors.Join(err, n.close(ctx))
	}
	return err
}

func (h *Handler) closeNow() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		h.log.Warn("not closed in time", "err", err)
	}
}

// protect calls a function of the application: a panic in it ends nothing but this call. It reports
// whether there was none.
func (h *Handler) protect(what string, fn func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			h.stats.panics.Add(1)
			h.log.Error("handler panicked", "event", what, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	fn()
	return true
}

// background runs fn in a goroutine that Shutdown waits for, unless that has been called. It reports
// whether it does.
func (h *Handler) background(fn func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	h.wg.Go(fn)
	return true
}

// creation takes the right to have the library make the namespace, if it is not there yet: two clients
// that ask for a new one at the same time would get two. The function gives the right back; the library
// having made the namespace does so too.
func (h *Handler) creation(name string) (done func()) {
	for {
		h.mu.Lock()
		if h.namespaces[name] != nil {
			h.mu.Unlock()
			return func() {}
		}
		busy := h.creating[name]
		if busy == nil {
			mine := make(chan struct{})
			h.creating[name] = mine
			h.mu.Unlock()
			return func() { h.give(name, mine) }
		}
		h.mu.Unlock()
		<-busy
	}
}

func (h *Handler) give(name string, mine chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.creating[name] == mine {
		delete(h.creating, name)
		close(mine)
	}
}

// created is told of a namespace other than "/" that the library has made and can be asked for. Only now
// can the guard's middleware be put before the others: a child of a parent has got its parent's.
func (h *Handler) created(nsp socket.Namespace) {
	n, ok := nsp.Adapter().(*namespace)
	if !ok {
		return
	}
	nsp.Fns().Unshift(n.first)
	h.register(n)
}

// register takes up a namespace that can be asked for.
func (h *Handler) register(n *namespace) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.namespaces[n.name] = n
	if mine := h.creating[n.name]; mine != nil {
		delete(h.creating, n.name)
		close(mine)
	}
}

func (h *Handler) unregister(n *namespace) {
	h.mu.Lock()
	if h.namespaces[n.name] == n {
		delete(h.namespaces, n.name)
	}
	h.mu.Unlock()
}

func (h *Handler) all() []*namespace {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*namespace, 0, len(h.namespaces))
	for _, n := range h.namespaces {
		out = append(out, n)
	}
	return out
}

// failed notes that an adapter could not be made.
func (h *Handler) failed(err error) {
	h.mu.Lock()
	h.err = errors.Join(h.err, err)
	h.mu.Unlock()
}

// newID makes a socket id in the form of Node's: 20 characters of 15 random bytes.
func newID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
