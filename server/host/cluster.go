package host

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/transport"
)

// RedisMode is how servers talk over Redis. The zero value means streams with recovery, auto without.
type RedisMode string

// RedisSubscriptions is which channels of rooms a server listens to. The zero value is the best that Redis allows.
type RedisSubscriptions string

// cluster is what joins this server to others.
type cluster struct {
	factory adapter.Factory // nil means the adapter of one server alone
	redis   *redis.Cluster  // nil without REDIS_URL

	forwarder atomic.Pointer[redis.Forwarder] // nil until the port is open, or without forwarding
}

// newCluster returns the cluster that cfg describes. Redis need not be reachable.
func newCluster(cfg *Config, log *slog.Logger) (*cluster, error) {
	c := &cluster{factory: cfg.Adapter}
	if cfg.RedisURL == "" || cfg.Adapter != nil {
		return c, nil
	}
	rc := redis.Config{URL: cfg.redisURL(), Mode: redis.Mode(cfg.redisMode()), Prefix: cfg.RedisPrefix, Logger: log,
		Subscriptions: redis.Subscriptions(cfg.RedisSubscriptions), MaxStreamLen: cfg.RedisStreamLength, MaxStreamBytes: cfg.RedisStreamBytes,
		StreamCount: cfg.RedisStreamCount, MaxOutboxBytes: cfg.RedisOutboxBytes}
	if cfg.RedisPrefix != "" {
		rc.Stream, rc.SessionPrefix = cfg.RedisPrefix, cfg.RedisPrefix+":session:"
	}
	if cfg.Recovery > 0 {
		rc.Recovery = &adapter.Recovery{MaxDisconnection: cfg.Recovery}
	}
	var err error
	if c.redis, err = redis.New(rc); errors.Is(err, redis.ErrURL) {
		return nil, cfg.badRedisURL(err)
	} else if err != nil {
		return nil, err
	}
	c.factory = c.redis.Adapter()
	return c, nil
}

// redisURL is RedisURL with RedisPassword.
func (cfg *Config) redisURL() string {
	u, err := url.Parse(cfg.RedisURL)
	if err != nil || cfg.RedisPassword == "" {
		return cfg.RedisURL
	}
	u.User = url.UserPassword(u.User.Username(), cfg.RedisPassword)
	return u.String()
}

// redisMode is RedisMode or what it means when empty.
func (cfg *Config) redisMode() RedisMode {
	switch {
	case cfg.RedisMode != "" && cfg.RedisMode != RedisMode(redis.Auto):
		return cfg.RedisMode
	case cfg.Recovery > 0:
		return RedisMode(redis.Streams)
	default:
		return RedisMode(redis.Auto)
	}
}

// health returns what keeps the cluster from being whole, or nil.
func (c *cluster) health() error {
	if c.redis == nil {
		return nil
	}
	st := c.redis.Status()
	if st.Up {
		return nil
	}
	var list []string
	for _, p := range st.Parts {
		if p.Err != nil {
			list = append(list, strings.TrimSpace(p.Kind.String()+" "+p.Of)+": "+p.Err.Error())
		}
	}
	return fmt.Errorf("since %s: %s", st.Since.UTC().Format(time.RFC3339), strings.Join(list, "; "))
}

// leave has the other servers look for this one no more, before its port is closed.
func (c *cluster) leave(ctx context.Context) {
	if f := c.forwarder.Load(); f != nil {
		f.Leave(ctx)
	}
}

// close ends the cluster, after the server's adapters have been closed.
func (c *cluster) close(ctx context.Context) error {
	if c.redis == nil {
		return nil
	}
	return c.redis.Close(ctx)
}

// unknownSession is the transport's UnknownSession: it serves a session that lives on another server.
func (c *cluster) unknownSession(w http.ResponseWriter, r *http.Request, sid string) bool {
	f := c.forwarder.Load()
	return f != nil && f.UnknownSession(w, r, sid)
}

// forwarded reports whether another server has sent r on.
func (c *cluster) forwarded(r *http.Request) bool {
	f := c.forwarder.Load()
	if f == nil {
		return false
	}
	_, _, ok := f.Client(r)
	return ok
}

// visited answers r if another server has sent it to see whether this one is where it says.
func (c *cluster) visited(w http.ResponseWriter, r *http.Request) bool {
	f := c.forwarder.Load()
	return f != nil && f.Visited(w, r)
}

// client returns the address of r's client and whether it came over TLS: as the server saw them that has
// forwarded r, or else as seen says.
func (c *cluster) client(r *http.Request, seen clientAddr) (addr string, secure bool) {
	if f := c.forwarder.Load(); f != nil {
		if addr, secure, ok := f.Client(r); ok {
			return addr, secure
		}
	}
	return seen(r)
}

// forward makes this server known to the others, once its port is open, so that any of them serves any
// session. Where others reach it may have to be asked for: as long as nobody answers the part forwarding of the cluster
// is down, and they are asked again.
func (c *cluster) forward(cfg *Config, engine *transport.Server, listener net.Addr, client clientAddr, log *slog.Logger) error {
	if c.redis == nil || cfg.NoForwarding {
		return nil
	}
	node := engine.NodeID()
	place := newPlace(cfg, listener)
	f, err := c.redis.Forward(redis.ForwardConfig{
		Node: hex.EncodeToString(node[:]), Path: cfg.Path, Secret: cfg.NodeSecret, ClientAddr: client,
		AnswerTimeout: cfg.PingInterval + cfg.PingTimeout, // a poll is answered within the first
		NodeOf: func(sid string) (string, bool) {
			id, ok := transport.NodeOf(sid)
			return hex.EncodeToString(id[:]), ok
		},
		Locate: func(ctx context.Context) (string, error) {
			at, err := place.url(ctx)
			if err == nil {
				log.Info("sessions are forwarded between servers", "at", at)
			}
			return at, err
		},
	})
	if err != nil {
		return err
	}
	c.forwarder.Store(f)
	return nil
}
