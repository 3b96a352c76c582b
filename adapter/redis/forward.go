package redis

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
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
	// URL is where other nodes reach this one: http://10.0.0.5:8080. Required.
	URL string
	// Secret authenticates requests between nodes. Empty means one that the first node keeps in Redis.
	Secret string
	// DialTimeout bounds the way to another node. Zero means 2 seconds.
	DialTimeout time.Duration
}

// The causes in which a Forwarder counts requests.
const (
	CauseForwarded   = "forwarded"
	CauseInvalid     = "invalid session id"   // names no node: never issued, or by another kind of server
	CauseOwn         = "session of this node" // expired, or never issued
	CauseNodeDead    = "node dead"
	CauseLoop        = "forwarded already" // its node does not hold it
	CauseUnreachable = "node unreachable"
	CauseRedis       = "redis unreachable"
)

// forwardedHeader marks a request that comes from another node: when, from whom, and a signature
// over both, the node it was sent to and the session.
const forwardedHeader = "Beanpole-Forwarded"

// skew bounds how old the mark of a request may be, and how far two nodes' clocks may be apart.
const skew = 5 * time.Minute

// Forwarder takes requests of sessions that live on other nodes there, so that any node serves any
// session. Give UnknownSession to transport.Config.
type Forwarder struct {
	cfg   ForwardConfig
	reg   *registry
	log   *slog.Logger
	proxy *httputil.ReverseProxy
	way   *http.Transport

	mu     sync.Mutex
	secret string
	counts map[string]*atomic.Uint64
}

// Forward makes this node known to others and returns a Forwarder. It ends with the cluster, which
// may have one.
func (c *Cluster) Forward(cfg ForwardConfig) (*Forwarder, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("redis: forward: invalid URL %q", cfg.URL)
	}
	if cfg.Node == "" || cfg.NodeOf == nil {
		return nil, errors.New("redis: forward: Node and NodeOf are required")
	}
	orDefault(&cfg.DialTimeout, 2*time.Second)
	f := &Forwarder{cfg: cfg, log: c.cfg.Logger, secret: cfg.Secret, counts: map[string]*atomic.Uint64{},
		reg: &registry{c: c, node: cfg.Node, addr: cfg.URL, known: map[string]place{}}}
	for _, cause := range []string{CauseForwarded, CauseInvalid, CauseOwn, CauseNodeDead, CauseLoop, CauseUnreachable, CauseRedis} {
		f.counts[cause] = new(atomic.Uint64)
	}
	f.way = &http.Transport{DialContext: (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext, MaxIdleConnsPerHost: 256,
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: cfg.DialTimeout, DisableCompression: true}
	f.proxy = &httputil.ReverseProxy{Transport: f.way, Rewrite: f.rewrite, ErrorHandler: f.failed, FlushInterval: -1,
		ErrorLog: slog.NewLogLogger(c.cfg.Logger.Handler(), slog.LevelDebug)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if c.forwarder != nil {
		return nil, errors.New("redis: forward: called twice")
	}
	c.forwarder = f
	c.wg.Go(func() { f.reg.run(c.ctx) })
	return f, nil
}

// attempt is one forwarding, kept in the context of its request.
type attempt struct {
	node, addr, mark string
	err              error
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
	secret, err := f.key(r.Context())
	if err != nil {
		return CauseRedis
	}
	if f.marked(r, secret, sid) {
		return CauseLoop
	}
	addr, err := f.reg.find(r.Context(), node)
	switch {
	case err != nil:
		return CauseRedis
	case addr == "":
		return CauseNodeDead
	}
	a := &attempt{node: node, addr: addr, mark: mark(secret, time.Now().Unix(), f.cfg.Node, node, sid)}
	// A WebSocket lasts, and must end with the cluster.
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), attemptKey{}, a))
	defer cancel()
	defer context.AfterFunc(f.reg.c.ctx, cancel)()
	f.counts[CauseForwarded].Add(1) // now, as a poll takes its time
	f.proxy.ServeHTTP(w, r.WithContext(ctx))
	if a.err != nil && r.Context().Err() == nil { // else the client went
		f.counts[CauseForwarded].Add(^uint64(0))
		f.reg.forget(node)
		f.log.Debug("node not reached", "node", node, "error", a.err)
		return CauseUnreachable
	}
	return CauseForwarded
}

// rewrite turns a request to this node into one to another.
func (f *Forwarder) rewrite(p *httputil.ProxyRequest) {
	a := p.In.Context().Value(attemptKey{}).(*attempt)
	if u, err := url.Parse(a.addr); err == nil {
		p.Out.URL.Scheme, p.Out.URL.Host = u.Scheme, u.Host
	}
	p.Out.Host = p.In.Host // origins are compared with it
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = v
		}
	}
	if addr, _, err := net.SplitHostPort(p.In.RemoteAddr); err == nil {
		chain := append(p.In.Header["X-Forwarded-For"], addr)
		p.Out.Header.Set("X-Forwarded-For", strings.Join(chain, ", "))
	}
	p.Out.Header.Set(forwardedHeader, a.mark)
}

// failed notes that the other node did not answer; nothing has been written to the client yet.
func (f *Forwarder) failed(_ http.ResponseWriter, r *http.Request, err error) {
	r.Context().Value(attemptKey{}).(*attempt).err = err
}

// mark is the value of forwardedHeader.
func mark(secret string, at int64, from, to, sid string) string {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%d\n%s\n%s\n%s", at, from, to, sid)
	return strconv.FormatInt(at, 10) + " " + from + " " + hex.EncodeToString(h.Sum(nil))
}

// marked reports whether r was forwarded to this node by another one. Clients cannot make it true.
func (f *Forwarder) marked(r *http.Request, secret, sid string) bool {
	got := r.Header.Get(forwardedHeader)
	part := strings.Split(got, " ")
	if len(part) != 3 {
		return false
	}
	at, err := strconv.ParseInt(part[0], 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > skew {
		return false
	}
	return hmac.Equal([]byte(got), []byte(mark(secret, at, part[1], f.cfg.Node, sid)))
}

// key returns the secret of the cluster.
func (f *Forwarder) key(ctx context.Context) (string, error) {
	f.mu.Lock()
	secret := f.secret
	f.mu.Unlock()
	if secret != "" {
		return secret, nil
	}
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	secret, err := f.reg.secret(ctx)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secret = secret
	return secret, nil
}

// Counts returns how many requests of unknown sessions there were, by cause.
func (f *Forwarder) Counts() map[string]uint64 {
	m := make(map[string]uint64, len(f.counts))
	for cause, n := range f.counts {
		m[cause] = n.Load()
	}
	return m
}
