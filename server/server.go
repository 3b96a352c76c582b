package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"

	"github.com/beanpole/beanpole/transport"
)

// Server is a Socket.IO server: an http.Handler and the namespaces behind it. It has every method of
// its main namespace "/". All methods may be called from any goroutine.
type Server struct {
	*Namespace // "/"

	// Set by New, then read only.
	cfg    Config
	engine *transport.Server

	signatures signatures
	bounds     bounds
	stats      counters
	wg         sync.WaitGroup // goroutines that run handlers outside the transport
	decoders   sync.Pool      // of packet.Decoder; see takeDecoder

	mu         sync.Mutex
	namespaces map[string]*Namespace // guarded by mu
	dynamic    []*Dynamic            // guarded by mu
	created    []func(*Namespace)    // guarded by mu
	closing    atomic.Bool
}

// New checks cfg and returns a Server.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, namespaces: make(map[string]*Namespace)}
	s.bounds.init(&cfg.Limits)
	if s.Namespace, err = s.namespace("/", nil); err != nil {
		return nil, err
	}
	if err := cfg.checkRecovery(s.adapter); err != nil {
		s.closeAdapters()
		return nil, err
	}
	engine := cfg.Transport
	engine.Accept = s.accept
	if s.engine, err = transport.New(engine); err != nil {
		s.closeAdapters()
		return nil, err
	}
	return s, nil
}

// closeAdapters closes what New has made of a server that cannot be.
func (s *Server) closeAdapters() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = s.adapter.Close(ctx) // New has an error to return
}

// ServeHTTP serves the requests of the server's path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Path returns where the server expects to be mounted.
func (s *Server) Path() string { return s.cfg.Path }

// Engine returns the Engine.IO server beneath (Node: io.engine).
func (s *Server) Engine() *transport.Server { return s.engine }

// Of returns the namespace of that name, and makes it if it is new. A leading slash is added when
// missing. It panics when the adapter of a new namespace cannot be made.
func (s *Server) Of(name string) *Namespace {
	if name == "" || name[0] != '/' {
		name = "/" + name
	}
	n, err := s.namespace(name, nil)
	if err != nil {
		panic(err)
	}
	return n
}

// OfPattern returns the parent of all namespaces whose name matches re; each is made when the first
// client connects to it, with the parent's middlewares and handlers.
func (s *Server) OfPattern(re *regexp.Regexp) *Dynamic {
	return s.OfFunc(func(_ context.Context, name string, _ json.RawMessage) bool { return re.MatchString(name) })
}

// OfFunc is OfPattern with a function, which also sees the client's auth payload (nil when it sent
// none). It may block: only the connecting client waits.
func (s *Server) OfFunc(allow func(ctx context.Context, name string, auth json.RawMessage) bool) *Dynamic {
	need("OfFunc", allow != nil)
	d := &Dynamic{server: s, allow: allow}
	s.mu.Lock()
	s.dynamic = append(s.dynamic, d)
	s.mu.Unlock()
	return d
}

// OnNamespace calls fn for every namespace made from now on (Node: new_namespace).
func (s *Server) OnNamespace(fn func(*Namespace)) {
	need("OnNamespace", fn != nil)
	s.mu.Lock()
	s.created = append(s.created, fn)
	s.mu.Unlock()
}

// Namespaces returns the namespaces there are.
func (s *Server) Namespaces() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Namespace, 0, len(s.namespaces))
	for _, n := range s.namespaces {
		out = append(out, n)
	}
	return out
}

// SocketCounts returns how many sockets of this server are connected, by namespace.
func (s *Server) SocketCounts() map[string]int {
	out := make(map[string]int)
	for _, n := range s.Namespaces() {
		out[n.Name()] = n.LocalCount()
	}
	return out
}

// namespace returns the namespace of that name or makes it, as a child of parent if not nil.
func (s *Server) namespace(name string, parent *Dynamic) (*Namespace, error) {
	s.mu.Lock()
	if n, ok := s.namespaces[name]; ok {
		if parent != nil && n.parent != nil {
			n.users++
		}
		s.mu.Unlock()
		return n, nil
	}
	n := &Namespace{server: s, name: name, parent: parent}
	a, err := s.cfg.Adapter(local{n})
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	n.adapter = a
	if parent != nil {
		n.users = 1
		parent.adopt(n)
	}
	s.namespaces[name] = n
	created := s.created
	s.mu.Unlock()
	for _, fn := range created {
		fn(n)
	}
	return n, nil
}

// find returns the namespace that socket is to be in, made by a Dynamic if need be, or nil. The caller
// releases it when the socket has ended.
func (s *Server) find(socket *Socket) *Namespace {
	name, auth := socket.name, socket.auth
	s.mu.Lock()
	n, ok := s.namespaces[name]
	if ok && n.parent != nil {
		n.users++
	}
	dynamic := s.dynamic
	s.mu.Unlock()
	if ok {
		return n
	}
	for _, d := range dynamic {
		if !d.allow(socket.Context(), name, auth) {
			continue
		}
		n, err := s.namespace(name, d)
		if err != nil {
			s.cfg.Logger.Error("namespace not made", "namespace", name, "err", err)
			return nil
		}
		return n
	}
	return nil
}

// release gives back a namespace got from find, and closes a dynamic one that nobody uses any more.
func (s *Server) release(n *Namespace) {
	if n.parent == nil {
		return
	}
	s.mu.Lock()
	n.users--
	unused := n.users == 0 && !s.cfg.KeepEmptyNamespaces && s.namespaces[n.name] == n
	if unused {
		delete(s.namespaces, n.name)
		n.parent.forget(n)
	}
	s.mu.Unlock()
	if unused {
		s.wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
			defer cancel()
			if err := n.adapter.Close(ctx); err != nil {
				s.cfg.Logger.Warn("adapter not closed", "namespace", n.name, "err", err)
			}
		})
	}
}

// Close disconnects every client and ends the server: Shutdown with no deadline but closeTimeout.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.Shutdown(ctx)
}

// Shutdown refuses new sessions, closes the open ones with "server shutting down" (a reason after which
// clients reconnect and may recover), waits for running handlers, and closes the adapters. It returns
// the error of ctx when that ends first. Further calls do nothing.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.closing.Swap(true) {
		return nil
	}
	err := s.engine.Shutdown(ctx)
	if err == nil {
		err = waitFor(ctx, s.wg.Wait)
	}
	for _, n := range s.Namespaces() {
		err = errors.Join(err, n.adapter.Close(ctx))
	}
	return err
}

// waitFor runs wait, which must end by itself some day, and returns when it has or ctx is done.
func waitFor(ctx context.Context, wait func()) error {
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
