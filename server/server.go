package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/internal/logs"
	"github.com/beanpole/beanpole/internal/names"
	"github.com/beanpole/beanpole/transport"
)

// Server is a Socket.IO server: an http.Handler and the namespaces behind it. It has every method of
// its main namespace "/". All methods may be called from any goroutine.
type Server struct {
	*Namespace // "/"

	// Set by New, then read only.
	cfg    Config
	apart  *slog.Logger // cfg.Logger, for what is said under locks
	advice *advice      // nil unless Config.Development
	debug  *eventLog    // nil unless Config.Debug
	engine *transport.Server
	names  *names.Table[*Namespace] // all there are

	signatures signatures
	bounds     bounds
	stats      counters
	wg         group        // goroutines that run handlers outside the transport
	decoders   sync.Pool    // of packet.Decoder; see takeDecoder
	replaying  atomic.Int64 // bytes; see maxReplaying
	bursts     atomic.Int32 // queues with more to do than one thing, and so perhaps broadcasts to come
	sending    atomic.Int32 // broadcasts being sent
	watching   atomic.Bool  // OnAnyOutgoing of a namespace or a Dynamic has been called

	mu      sync.Mutex
	own     map[string]struct{} // guarded by mu; names that are the application's own
	dynamic []*Dynamic          // guarded by mu; replaced, never changed
	created []*func(*Namespace) // guarded by mu; likewise

	closing  atomic.Bool
	hurry    life          // ends when Shutdown has waited long enough for what clients that have gone had sent, or for nothing more
	closed   chan struct{} // closed when Shutdown has ended
	closeErr error         // what it returned
}

// New checks cfg and returns a Server.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, apart: logs.Apart(cfg.Logger), own: make(map[string]struct{}), closed: make(chan struct{})}
	s.advice = newAdvice(&cfg, s.apart)
	if s.debug, err = newEventLog(&cfg, s.apart); err != nil {
		return nil, err
	}
	hurry, cancel := context.WithCancelCause(context.Background())
	s.hurry = life{hurry, func() { cancel(ErrServerClosed) }}
	s.signatures.validate, s.signatures.advice = cfg.Validate, s.advice
	s.bounds.init(&cfg.Limits)
	s.names = names.New(names.Config[*Namespace]{
		Close: s.closeNamespace, Failed: s.notClosed, CloseTimeout: closeTimeout,
		MaxIdle: maxIdleNamespaces,
	})
	if s.Namespace, err = s.static("/"); err != nil {
		return nil, err
	}
	s.own["/"] = struct{}{}
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
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name := bundleFile(r.URL.Path); name != "" {
		s.noBundle(w, r, name)
		return
	}
	s.engine.ServeHTTP(w, r)
}

// Path returns where the server expects to be mounted, with a slash at each end: what http.Handle takes.
func (s *Server) Path() string { return s.cfg.Path }

// Engine returns the Engine.IO server beneath (Node: io.engine).
func (s *Server) Engine() *transport.Server { return s.engine }

// Of returns the namespace of that name. A leading slash is added when missing.
//
// A name that a pattern matches, or that a function could allow, is theirs: whoever connects to it passes the
// middlewares of the Dynamic that lets him in. Of does not make such a namespace; using what it returns does,
// and it closes again unless sockets are in it. What is registered on it comes on top, and keeps it open.
//
// Any other name is made at once, stays, and is the application's own as soon as something is registered on
// it: patterns and functions that come later do not apply to it. When its adapter cannot be made, or an
// OnNamespace hook fails, Of panics, and so does registering on a name of a Dynamic. It panics for a name with a comma,
// at which packets in text end a name, so that no client could come; with packet.MsgPack there are such names.
func (s *Server) Of(name string) *Namespace {
	name = s.mustBeSaid(name)
	if s.Dynamic(name) != nil {
		return &Namespace{server: s, name: name}
	}
	return s.must(name)
}

// Static is Of for a name that is the application's own whatever patterns and functions there are: its
// clients pass its own middlewares and no others (Node: every name given to io.of).
func (s *Server) Static(name string) *Namespace {
	name = s.mustBeSaid(name)
	n := s.must(name)
	s.mu.Lock()
	s.own[name] = struct{}{}
	s.mu.Unlock()
	return n
}

// OfPattern returns the parent of all namespaces whose name matches re, with its middlewares and handlers. They
// are made when they are needed. For a pattern of the same text it returns the same Dynamic. Names of more than 512 bytes
// match none, and no function is asked for them. When several
// patterns and functions let a client in, the one that was registered first does.
func (s *Server) OfPattern(re *regexp.Regexp) *Dynamic {
	need("OfPattern", "an expression", re != nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.dynamic {
		if d.pattern != nil && d.pattern.String() == re.String() {
			return d
		}
	}
	d := &Dynamic{server: s, pattern: re}
	s.dynamic = append(slices.Clip(s.dynamic), d)
	return d
}

// OfFunc is OfPattern with a function, which also sees the client's auth payload (nil when it sent none). It is
// asked for every client, and may block: only the connecting client waits. When it panics the client is
// refused.
//
// As it may allow any name, names of the application's own come first, or are made by Static.
func (s *Server) OfFunc(allow func(ctx context.Context, name string, auth json.RawMessage) bool) *Dynamic {
	need("OfFunc", "a function", allow != nil)
	d := &Dynamic{server: s, allow: allow}
	s.mu.Lock()
	d.number = len(s.dynamic)
	s.dynamic = append(slices.Clip(s.dynamic), d)
	s.mu.Unlock()
	return d
}

// OnNamespace calls fn for every namespace made from now on, before anybody can be in it (Node: new_namespace).
// One that closes and is made again is a new one: what fn registers on it ends with it. When fn panics the
// namespace is not made. While fn runs others wait for the namespace; fn itself may use it, through Of too, but
// not wait for another goroutine that does.
func (s *Server) OnNamespace(fn func(*Namespace)) (off func()) {
	need("OnNamespace", "a function", fn != nil)
	return added(s, "Server.OnNamespace", &s.mu, &s.created, fn)
}

// Namespaces returns the namespaces that are open.
func (s *Server) Namespaces() []*Namespace { return s.names.All() }

// SocketCounts returns how many sockets of this server are connected, by namespace.
func (s *Server) SocketCounts() map[string]int {
	out := make(map[string]int)
	for _, n := range s.Namespaces() {
		out[n.Name()] = n.LocalCount()
	}
	return out
}

// Close disconnects every client and ends the server: Shutdown with no deadline but closeTimeout.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.Shutdown(ctx)
}

// Shutdown refuses new sessions, closes the open ones with "server shutting down" (a reason after which
// clients reconnect and may recover), waits for running handlers, and closes the adapters. Events that have been
// received are handed on for two seconds, and half of what ctx leaves at most; then those that no handler has begun
// are dropped, the contexts of handlers that run end, and so, with ErrServerClosed, does every wait for the answers of many
// or of other servers. It returns the error of ctx when that ends first. Further calls wait for the first and return what it
// returned.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.closing.Swap(true) {
		select {
		case <-s.closed:
			return s.closeErr
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	hurry := time.AfterFunc(stopGrace(ctx), s.hurry.cancel)
	defer hurry.Stop()
	err := s.engine.Shutdown(ctx)
	if err == nil {
		err = s.wg.Wait(ctx)
	}
	if err != nil {
		s.cfg.Logger.Warn("the server stops before its handlers have ended: each has to end soon after the context of its event does, "+
			"as Shutdown waits no longer than its own", "running", strings.Join(running(), "; "), "err", err)
	}
	s.hurry.cancel() // what waits for others waits in vain when the namespaces are closed
	s.closeErr = errors.Join(err, s.names.Shutdown(ctx))
	close(s.closed)
	return s.closeErr
}

// stopGrace is how long a Shutdown with that context hands on events that nobody has begun.
func stopGrace(ctx context.Context) time.Duration {
	const grace = 2 * time.Second
	if end, ok := ctx.Deadline(); ok {
		return min(grace, time.Until(end)/2)
	}
	return grace
}

// hurries reports whether events that nobody has begun are dropped, as the server stops.
func (s *Server) hurries() bool { return s.hurry.ctx.Err() != nil }
