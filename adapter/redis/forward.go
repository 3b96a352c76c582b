package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// ForwardConfig configures a Forwarder.
type ForwardConfig struct {
	// Node is the name of this node in its session ids, and NodeOf finds that name in a session id.
	// Required. With package transport they are the text of NodeID and of transport.NodeOf.
	Node   string
	NodeOf func(sid string) (node string, ok bool)
	// URL is where other nodes reach this one: http://10.0.0.5:8080. Required, unless Locate is set.
	URL string
	// Locate finds out what URL is to be, where that has to be asked for. It is called until it succeeds, at first for
	// as long as Forward waits and then with every heartbeat; until then the others do not find this node, and
	// PartForwarding says why. An *Unlocated says what to do about it, too.
	Locate func(context.Context) (url string, err error)
	// Path is one of this server's, at which requests of sessions come in, and Visited is asked before anything else:
	// "/socket.io/", for example. Then the others see to it that URL leads to this node, and PartForwarding says when it
	// does not. Empty means that nobody does.
	Path string
	// Secret authenticates requests between nodes. Empty means one that the first node keeps in Redis.
	Secret string
	// ClientAddr returns the client's address without port, and whether it came over TLS, of a request that
	// has come here first. The node that serves it learns them by Client. Nil means the connection's.
	ClientAddr func(*http.Request) (addr string, secure bool)
	// DialTimeout bounds the way to another node. Zero means 2 seconds.
	DialTimeout time.Duration
	// Dial opens a connection to another node, at the host and port of its URL, and is safe for concurrent use. Nil
	// means TCP. DialTimeout does not bound it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// AnswerTimeout bounds how long another node may take to begin its answer, which for a poll is a ping
	// interval at most. A POST that has waited for a quarter of that is told in the log when it is given up, by the client
	// or by this node. Zero means a minute.
	AnswerTimeout time.Duration
}

// Unlocated is why ForwardConfig.Locate has found no address.
type Unlocated struct {
	Err    error
	Advice string // what a person may do about it
	// Known is true of a fact that does not pass by itself, but by what a person sets: Forward does not wait for another answer,
	// and it does not degrade the cluster, as nothing of it fails. It is logged once, and stays with PartForwarding.
	Known bool
}

// Error says why.
func (e *Unlocated) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Unlocated) Unwrap() error { return e.Err }

// The causes in which a Forwarder counts requests.
const (
	CauseForwarded   = "forwarded"
	CauseInvalid     = "invalid session id"   // names no node: never issued, or by another kind of server
	CauseOwn         = "session of this node" // or of one that had its address: expired, or never issued
	CauseNodeDead    = "node dead"
	CauseLoop        = "forwarded already" // its node does not hold it
	CauseUnreachable = "node unreachable"
	CauseRedis       = "redis unreachable"
)

// Forwarder takes requests of sessions that live on other nodes there, so that any node serves any
// session. Give UnknownSession to transport.Config.
type Forwarder struct {
	cfg   ForwardConfig
	reg   *registry
	seen  *visits
	log   *slog.Logger
	proxy *httputil.ReverseProxy
	way   *http.Transport

	end   context.CancelFunc // of what makes this node known
	ended chan struct{}      // closed when that has
	left  sync.Once

	counts map[string]*atomic.Uint64
	toldAt atomic.Int64 // when unanswered was last told, in Unix seconds
}

// Forward makes this node known to others and returns a Forwarder. It ends with the cluster, which
// may have one. Call it before the node serves: it returns once the others can find the node, so that no session has an
// id that leads nowhere, or after 3 seconds without an answer of Redis or an address, both of which are then asked for
// again in the background.
func (c *Cluster) Forward(cfg ForwardConfig) (*Forwarder, error) {
	given, err := cfg.URL, error(nil)
	if cfg.Locate == nil {
		given, err = nodeURL(given)
		cfg.Locate = func(context.Context) (string, error) { return given, nil }
	}
	if err != nil {
		return nil, err
	}
	if cfg.Node == "" || cfg.NodeOf == nil {
		return nil, errors.New("redis: forward: Node and NodeOf are required")
	}
	orDefault(&cfg.DialTimeout, 2*time.Second)
	orDefault(&cfg.AnswerTimeout, time.Minute)
	if cfg.ClientAddr == nil {
		cfg.ClientAddr = peerAddr
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext
	}
	f := &Forwarder{cfg: cfg, log: c.cfg.Logger, counts: map[string]*atomic.Uint64{},
		reg: newRegistry(c, cfg.Node, cfg.Locate, cfg.Secret)}
	for _, cause := range []string{CauseForwarded, CauseInvalid, CauseOwn, CauseNodeDead, CauseLoop, CauseUnreachable, CauseRedis} {
		f.counts[cause] = new(atomic.Uint64)
	}
	f.seen = newVisits(f.reg, &f.cfg)
	f.way = &http.Transport{DialContext: cfg.Dial, MaxIdleConnsPerHost: 256,
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: cfg.DialTimeout, ResponseHeaderTimeout: cfg.AnswerTimeout,
		DisableCompression: true}
	f.proxy = &httputil.ReverseProxy{Transport: f.way, Rewrite: f.rewrite, ModifyResponse: f.replace, ErrorHandler: f.failed,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(c.cfg.Logger.Handler(), slog.LevelDebug)}
	life, end := context.WithCancel(c.ctx)
	f.end, f.ended = end, make(chan struct{})
	c.mu.Lock()
	switch {
	case c.closed:
		err = ErrClosed
	case c.forwarder != nil:
		err = errors.New("redis: forward: called twice")
	default:
		c.forwarder = f
		c.wg.Go(func() { f.run(life) })
	}
	c.mu.Unlock()
	if err != nil {
		end()
		return nil, err
	}
	select {
	case <-f.reg.tried:
	case <-c.ctx.Done():
	}
	return f, nil
}

// run makes this node known, and sees to it that it is reached, until ctx is done.
func (f *Forwarder) run(ctx context.Context) {
	defer close(f.ended)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.reg.run(ctx) })
	if f.cfg.Path != "" {
		wg.Go(func() { f.seen.run(ctx) })
	}
}

// Leave has the others send nothing to this node any more, and not look for it. Call it when no session is left, before
// the node's port is closed, so that none takes that for a fault; Close of the cluster calls it at the end. It may be called again, and
// is safe for concurrent use.
func (f *Forwarder) Leave(ctx context.Context) {
	f.left.Do(func() {
		f.end()
		<-f.ended
		f.seen.leave(ctx)
		f.reg.leave(ctx)
	})
}

// nodeURL returns the URL of a node as it is in the registry, which has the fragment for itself.
func nodeURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("redis: forward: invalid URL %q", text)
	}
	u.Fragment = ""
	return u.String(), nil
}

// attempt is one forwarding, kept in the context of its request.
type attempt struct {
	w          http.ResponseWriter
	addr, mark string
	err        error
	sent       atomic.Int64 // when a POST had been sent, in Unix nanoseconds, or zero
}

type attemptKey struct{}

// UnknownSession forwards a request whose session this node does not hold to the node that does, and
// reports whether it has answered.
func (f *Forwarder) UnknownSession(w http.ResponseWriter, r *http.Request, sid string) bool {
	cause := f.forward(w, r, sid)
	if cause != CauseForwarded {
		f.counts[cause].Add(1)
	}
	return cause == CauseForwarded
}

func (f *Forwarder) forward(w http.ResponseWriter, r *http.Request, sid string) (cause string) {
	node, ok := f.cfg.NodeOf(sid)
	switch {
	case !ok || node == "":
		return CauseInvalid
	case node == f.cfg.Node:
		return CauseOwn
	}
	if len(r.Header[forwardedHeader]) > 0 {
		if _, _, ok := f.Client(r); ok { // the node's address leads here
			f.seen.doubt(node)
		}
		return CauseLoop
	}
	secret, err := f.reg.signature(r.Context())
	if err != nil {
		return CauseRedis
	}
	at, err := f.reg.find(r.Context(), node)
	switch {
	case err != nil:
		return CauseRedis
	case at.addr == "":
		return CauseNodeDead
	case at.addr == f.reg.address():
		return CauseOwn
	}
	m := mark{at: time.Now().Unix(), from: f.cfg.Node}
	m.addr, m.secure = f.cfg.ClientAddr(r)
	a := &attempt{w: w, addr: at.addr, mark: m.sign(secret, sid)}
	// A WebSocket lasts, and must end with the cluster.
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), attemptKey{}, a))
	defer cancel()
	defer context.AfterFunc(f.reg.c.ctx, cancel)()
	if r.Method == http.MethodPost {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				a.sent.Store(time.Now().UnixNano())
			}
		}})
	}
	f.counts[CauseForwarded].Add(1) // now, as a poll takes its time
	f.proxy.ServeHTTP(upgradable{w}, r.WithContext(ctx))
	if sent := a.sent.Load(); a.err != nil && sent != 0 {
		f.unanswered(node, a.addr, time.Since(time.Unix(0, sent)))
	}
	switch {
	case a.err == nil:
		return CauseForwarded
	case r.Context().Err() != nil: // the client went, or its body took too long: without an answer net/http says 200
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestTimeout)
		return CauseForwarded
	default:
		f.counts[CauseForwarded].Add(^uint64(0))
		f.reg.forget(node)
		f.seen.doubt(node)
		f.log.Debug("node not reached", "node", node, "error", a.err)
		return CauseUnreachable
	}
}

// unanswered says, once a minute, that a node has had a POST for long, whose answer waits for nothing there, and has not
// answered; whoever gave up, this node or the client.
func (f *Forwarder) unanswered(node, addr string, waited time.Duration) {
	now, last := time.Now().Unix(), f.toldAt.Load()
	if waited >= f.cfg.AnswerTimeout/4 && now-last >= 60 && f.toldAt.CompareAndSwap(last, now) {
		f.log.Warn("a server does not answer what is forwarded to it", "node", node, "address", addr, "waited", waited.Round(time.Millisecond))
	}
}

// upgradable gives a connection away that is only closed as a whole. A WebSocket has no use for half of one; else what
// is left would stay for as long as a client whose session has ended does not close it, or is dead.
type upgradable struct{ http.ResponseWriter }

// Unwrap is http.ResponseController's.
func (w upgradable) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack is http.Hijacker's.
func (w upgradable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return struct{ net.Conn }{conn}, rw, nil
}

// once is the empty body of a request that net/http must not send again by itself when a connection breaks: what was
// in the answer to a poll is lost with it, and the client has to know.
type once struct{}

func (once) Read([]byte) (int, error) { return 0, io.EOF }
func (once) Close() error             { return nil }

// rewrite turns a request to this node into one to another.
func (f *Forwarder) rewrite(p *httputil.ProxyRequest) {
	a := p.In.Context().Value(attemptKey{}).(*attempt)
	if u, err := url.Parse(a.addr); err == nil {
		p.Out.URL.Scheme, p.Out.URL.Host = u.Scheme, u.Host
	}
	if p.Out.Body == nil {
		p.Out.Body = once{}
	}
	p.Out.Host = p.In.Host // origins are compared with it
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = v // as they came: what this node would add is in the mark
		}
	}
	p.Out.Header.Set(forwardedHeader, a.mark)
}

// failed notes that the other node did not answer; nothing has been written to the client yet.
func (f *Forwarder) failed(_ http.ResponseWriter, r *http.Request, err error) {
	r.Context().Value(attemptKey{}).(*attempt).err = err
}

// replace makes the headers of the answer take the place of those that this node has set: of two
// Access-Control-Allow-Origin a browser takes neither.
func (f *Forwarder) replace(res *http.Response) error {
	h := res.Request.Context().Value(attemptKey{}).(*attempt).w.Header()
	for name := range res.Header {
		delete(h, name)
	}
	return nil
}

// Visited answers r, and returns true, if another node has sent it to see whether this one is where it says. Ask it
// before anything of the server's own may refuse a request. It is safe for concurrent use.
func (f *Forwarder) Visited(w http.ResponseWriter, r *http.Request) bool { return f.seen.visited(w, r) }

// Client returns the client's address without port, and whether it came over TLS, of a request that another
// node has forwarded, as that node saw them. ok is false for every other request, and for one that only says
// it was forwarded. It asks nobody, and is safe for concurrent use.
func (f *Forwarder) Client(r *http.Request) (addr string, secure, ok bool) {
	v := r.Header[forwardedHeader]
	if len(v) != 1 {
		return "", false, false
	}
	sids := r.URL.Query()["sid"]
	if len(sids) == 0 {
		return "", false, false
	}
	m, ok := readMark(v[0], f.reg.sharedSecret(), sids[len(sids)-1]) // the last counts, as in transport
	return m.addr, m.secure, ok
}

// peerAddr is the default of ForwardConfig.ClientAddr.
func peerAddr(r *http.Request) (addr string, secure bool) {
	addr, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		addr = r.RemoteAddr
	}
	return addr, r.TLS != nil
}

// Counts returns how many requests of unknown sessions there were, by cause.
func (f *Forwarder) Counts() map[string]uint64 {
	m := make(map[string]uint64, len(f.counts))
	for cause, n := range f.counts {
		m[cause] = n.Load()
	}
	return m
}
