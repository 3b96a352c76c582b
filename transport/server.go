package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/internal/logs"
	"github.com/beanpole/beanpole/internal/origin"
	"github.com/beanpole/beanpole/internal/shrink"
)

// Server is the Engine.IO server: one http.Handler for polling and WebSocket. It serves any path.
// Make it with New; all methods may be called from any goroutine.
type Server struct {
	// Set by New, then read only.
	cfg       Config
	node      NodeID
	log       *slog.Logger
	apart     *slog.Logger // log, for what is said under locks of the caller
	cors      func(http.ResponseWriter, *http.Request) (handled bool)
	listed    func(r *http.Request, origin string) bool // who may connect of other origins; nil: everybody
	hosts     origin.Hosts
	polling   bool // transports allowed
	websocket bool
	started   time.Time

	nextNum  atomic.Uint64
	refusing atomic.Bool
	short    atomic.Bool // of memory
	counters counters
	notice   limit.Notice
	unheard  unheard

	byAddrRate *limit.Table // handshakes per second of each address; nil without that limit

	takeovers sync.Pool
	flusher   flusher

	parker   parker
	conns    pollConns
	returns  returns
	lastHead atomic.Pointer[[]byte] // see shareHead

	// wg counts sessions and every goroutine that outlives a request, but the parker's.
	wg sync.WaitGroup

	mu sync.RWMutex
	// Guarded by mu.
	sessions  map[string]*Session
	byAddr    map[string]int // sessions and handshakes in progress by limit.Address, if MaxSessionsPerAddr is set
	had       shrink.Map[string, *Session]
	hadAddrs  shrink.Map[string, int]
	admitted  int          // sessions and handshakes in progress
	bucket    limit.Bucket // handshakes per second
	shutdown  bool
	stop      chan struct{} // closed when shutdown is set; set by New
	noSession chan struct{} // closed when shutdown is set and admitted is zero
}

// New checks cfg, fills in its defaults and returns a Server. It starts no goroutine.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("transport config: %w", err)
	}
	s := &Server{
		cfg:      cfg,
		node:     cfg.NodeID,
		log:      cfg.Logger,
		apart:    logs.Apart(cfg.Logger),
		sessions: make(map[string]*Session),
		byAddr:   make(map[string]int),
		bucket:   limit.NewBucket(cfg.HandshakesPerSecond, 1),
		started:  time.Now(),
		stop:     make(chan struct{}),

		byAddrRate: limit.NewTable(cfg.HandshakesPerSecondPerAddr, addressBurst),
	}
	if s.node == (NodeID{}) {
		rand.Read(s.node[:]) // never fails
	}
	for _, name := range cfg.Transports {
		s.polling = s.polling || name == Polling
		s.websocket = s.websocket || name == WebSocket
	}
	var err error
	if s.cors, err = newCORS(cfg.CORS); err != nil {
		return nil, fmt.Errorf("transport config: %w", err)
	}
	s.listed = cfg.CORS.list()
	if s.hosts, err = origin.ParseHosts(cfg.AllowedHosts); err != nil {
		return nil, fmt.Errorf("transport config: AllowedHosts: %w", err)
	}
	if err := cfg.Cookie.validate(); err != nil {
		return nil, fmt.Errorf("transport config: %w", err)
	}
	s.counters.init()
	return s, nil
}

// check reports what is wrong with c and fills in its defaults.
func (c *Config) check() error {
	if c.Accept == nil {
		return errors.New("Accept is required")
	}
	if len(c.Transports) == 0 {
		c.Transports = []Name{Polling, WebSocket}
	}
	for _, name := range c.Transports {
		if name != Polling && name != WebSocket {
			return fmt.Errorf("unknown transport %q", name)
		}
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"PingInterval", &c.PingInterval, DefaultPingInterval},
		{"PingTimeout", &c.PingTimeout, DefaultPingTimeout},
		{"UpgradeTimeout", &c.UpgradeTimeout, DefaultUpgradeTimeout},
		{"WriteTimeout", &c.WriteTimeout, DefaultWriteTimeout},
		{"BodyTimeout", &c.BodyTimeout, DefaultBodyTimeout},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if err := limit.CheckDuration(d.name, *d.value); err != nil {
			return err
		}
	}
	for _, n := range []struct {
		name  string
		value *int
		def   int
	}{
		{"MaxBacklogBytes", &c.MaxBacklogBytes, DefaultMaxBacklogBytes},
		{"MaxBacklogPackets", &c.MaxBacklogPackets, DefaultMaxBacklogPackets},
		{"MaxHandshakeBytes", &c.MaxHandshakeBytes, DefaultMaxHandshakeBytes},
		{"MaxSendBytes", &c.MaxSendBytes, DefaultMaxSendBytes},
		{"HTTPCompression.Threshold", &c.HTTPCompression.Threshold, DefaultCompressThreshold},
		{"MaxSessions", &c.MaxSessions, 0},
		{"MaxSessionsPerAddr", &c.MaxSessionsPerAddr, 0},
		{"HandshakesPerSecond", &c.HandshakesPerSecond, 0},
		{"HandshakesPerSecondPerAddr", &c.HandshakesPerSecondPerAddr, 0},
	} {
		if *n.value < 0 {
			return fmt.Errorf("%s is negative", n.name)
		}
		if *n.value == 0 {
			*n.value = n.def
		}
	}
	if c.ParkAfter == 0 {
		c.ParkAfter = DefaultParkAfter
	}
	if c.MaxHTTPBufferSize < 0 {
		return errors.New("MaxHTTPBufferSize is negative")
	}
	if c.MaxHTTPBufferSize == 0 {
		c.MaxHTTPBufferSize = DefaultMaxHTTPBufferSize
	}
	if c.PerMessageDeflate != nil {
		d := *c.PerMessageDeflate
		if d.Threshold == 0 {
			d.Threshold = DefaultCompressThreshold
		}
		c.PerMessageDeflate = &d
	}
	if err := c.checkJSONP(); err != nil {
		return err
	}
	if c.ClientAddr == nil {
		c.ClientAddr = peerAddr
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// peerAddr is the default of Config.ClientAddr.
func peerAddr(r *http.Request) (addr string, secure bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return host, r.TLS != nil
}

// nosniff is the header that keeps browsers from guessing what an answer is.
const nosniff = "X-Content-Type-Options"

// ServeHTTP serves every request of the Engine.IO path, whatever the path is. It blocks while a poll
// waits; after the handshake of a WebSocket it returns at once.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := request{w: w, r: r, upgrade: isUpgrade(r)}
	s.bound(&req)
	if !req.upgrade {
		// What clients send is in the answers: no page may have it taken for a script or a document.
		w.Header().Set(nosniff, "nosniff")
	}
	if s.RefuseHost(w, r) {
		return
	}
	if s.cors(w, r) {
		return
	}
	if r.Method == http.MethodPost {
		s.unheard.over()
	}
	req.query = parseQuery(r.URL.RawQuery)
	// A preflight must not say whether a session exists, so the sid is not looked at.
	if r.Method == http.MethodOptions {
		s.refuse(&req, CodeBadHandshakeMethod, causeMethod, map[string]any{"method": r.Method})
		return
	}
	session, ok := s.verify(&req)
	if !ok {
		return
	}
	switch {
	case session == nil:
		s.handshake(&req)
	case req.upgrade:
		session.serveUpgrade(&req)
	case r.Method == http.MethodGet:
		session.servePoll(&req)
	case r.Method == http.MethodPost:
		session.servePost(&req)
	default:
		// Node, transports/polling.ts, onRequest.
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// NodeID returns the id that this server's session ids carry.
func (s *Server) NodeID() NodeID { return s.node }

// Sessions returns the number of open sessions.
func (s *Server) Sessions() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.sessions)
}

// Refuse makes the server refuse new handshakes with 503 and Retry-After (draining) or take them
// again. Open sessions go on.
func (s *Server) Refuse(refuse bool) { s.refusing.Store(refuse) }

// ShortOfMemory makes the server refuse new handshakes with 503 and Retry-After because the process has no memory
// for more ("short of memory" in Stats.Refused), or take them again. Open sessions go on.
func (s *Server) ShortOfMemory(short bool) { s.short.Store(short) }

// Each calls fn for every open session until it returns false. Sessions opened meanwhile may be missed;
// fn may close them.
func (s *Server) Each(fn func(*Session) bool) {
	for _, session := range s.snapshot() {
		if !fn(session) {
			return
		}
	}
}

// snapshot returns the sessions that are open.
func (s *Server) snapshot() []*Session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Session, 0, len(s.sessions))
	for _, session := range s.sessions {
		if session.opened.Load() {
			all = append(all, session)
		}
	}
	return all
}

// stopping reports whether Shutdown has been called.
func (s *Server) stopping() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.shutdown
}

// Shutdown refuses new sessions, closes the open ones with ReasonServerShuttingDown and waits until
// every goroutine of the server has ended or ctx is done, whose error it then returns, having cut the
// connections that are left. A polling client between two polls is waited for no longer than
// shutdownPollGrace. Shutdown may be called again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.shutdown {
		s.shutdown = true
		close(s.stop)
		s.noSession = make(chan struct{})
		if s.admitted == 0 {
			close(s.noSession)
		}
	}
	none := s.noSession
	s.mu.Unlock()

	for _, session := range s.snapshot() {
		session.close(ReasonServerShuttingDown, nil, shutdownPollGrace)
	}
	done := make(chan struct{})
	// Ends when the last goroutine of the server does; after ctx is done that is soon, as all
	// connections are cut then.
	go func() {
		<-none
		s.wg.Wait()
		s.conns.close()
		s.parker.close()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		for _, session := range s.snapshot() {
			session.Abort(ReasonServerShuttingDown)
		}
		return ctx.Err()
	}
}

// lookup returns the session with the id, or nil.
func (s *Server) lookup(sid string) *Session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sessions[sid]
}
