package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// newClient makes the client of a cluster from a client's options or from a URL.
//
// The library must not send a command twice: Redis may have done it though the answer was lost, and
// then every client of the cluster would get an event twice. So its retries are off and the publisher
// decides. Contexts bound commands.
func newClient(c *Config) (redis.UniversalClient, *lines, error) {
	l := newLines()
	client, err := l.client(c)
	return client, l, err
}

// ErrURL is what New returns for a Config.URL that it does not understand, with what is wrong.
var ErrURL = errors.New("redis: URL")

// client makes the client, whose connections are in l.
func (l *lines) client(c *Config) (redis.UniversalClient, error) {
	if c.Client != nil {
		switch x := c.Client.(type) {
		case *redis.Client:
			o := *x.Options()
			o.Dialer = l.through(o.Dialer, o.TLSConfig, o.DialTimeout)
			return single(&o), nil
		case *redis.ClusterClient:
			o := *x.Options()
			o.Dialer = l.through(o.Dialer, o.TLSConfig, o.DialTimeout)
			return clustered(&o), nil
		}
		return nil, fmt.Errorf("redis: client of type %T is not supported: want *redis.Client or *redis.ClusterClient", c.Client)
	}
	parsed, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	switch o := parsed.(type) {
	case *redis.ClusterOptions:
		o.Dialer = l.through(o.Dialer, o.TLSConfig, o.DialTimeout)
		return clustered(o), nil
	case *redis.FailoverOptions:
		o.MaxRetries = -1
		o.ContextTimeoutEnabled = true
		o.Dialer = l.through(o.Dialer, o.TLSConfig, o.DialTimeout)
		orDefault(&o.ConnMaxIdleTime, maxIdle)
		o.PipelinePoolSize = 1
		return redis.NewFailoverClient(o), nil
	case *redis.Options:
		o.Dialer = l.through(o.Dialer, o.TLSConfig, o.DialTimeout)
		return single(o), nil
	}
	return nil, ErrURL // there are no others
}

// CheckURL returns ErrURL, with what is wrong, for a Config.URL that New does not take. It connects to nothing.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

// parseURL returns the options that a Config.URL means: *redis.Options, *redis.ClusterOptions or
// *redis.FailoverOptions.
func parseURL(text string) (any, error) {
	options, err := readURL(text)
	if err != nil {
		return nil, err
	}
	// What the library takes and no Redis has.
	var db int
	var addrs []string
	switch o := options.(type) {
	case *redis.Options:
		db, addrs = o.DB, []string{o.Addr}
	case *redis.ClusterOptions:
		addrs = o.Addrs
	case *redis.FailoverOptions:
		db, addrs = o.DB, o.SentinelAddrs
	}
	if db < 0 {
		return nil, fmt.Errorf("%w: no database %d", ErrURL, db)
	}
	for _, addr := range addrs {
		_, port, err := net.SplitHostPort(addr)
		if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 {
			return nil, fmt.Errorf("%w: no port %q", ErrURL, port)
		}
	}
	return options, nil
}

// readURL is parseURL as the library reads it.
func readURL(text string) (any, error) {
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse repeats the URL, in which there may be a password.
		return nil, fmt.Errorf("%w: not valid", ErrURL)
	}
	q := u.Query()
	isCluster := q.Get("cluster") == "true"
	isSentinel := q.Has("master_name")
	q.Del("cluster")
	u.RawQuery = q.Encode()
	switch {
	case isCluster:
		o, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, fmt.Errorf("%w of a cluster: %w", ErrURL, err)
		}
		return o, nil
	case isSentinel:
		o, err := redis.ParseFailoverURL(u.String())
		if err != nil {
			return nil, fmt.Errorf("%w with sentinels: %w", ErrURL, err)
		}
		return o, nil
	}
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	return o, nil
}

// maxIdle is how long a connection may have been idle to be used again: load balancers and serverless Redis drop idle
// ones, and what is sent on one of those is in doubt.
const maxIdle = time.Minute

func single(o *redis.Options) redis.UniversalClient {
	orDefault(&o.ConnMaxIdleTime, maxIdle)
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	o.PipelinePoolSize = 1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(o)
}

func clustered(o *redis.ClusterOptions) redis.UniversalClient {
	orDefault(&o.ConnMaxIdleTime, maxIdle)
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	o.PipelinePoolSize = 1
	o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false // replicas are late, and are not where the others are
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	x := redis.NewClusterClient(o)
	x.AddHook(astray{x})
	return x
}

// astray has a client of a Redis Cluster look who the masters are when a command has not reached one. The library does so
// when a master refuses what is for another one, and not when it hangs, or is dead, and its replica has taken over.
type astray struct{ *redis.ClusterClient }

// DialHook is redis.Hook's.
func (a astray) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook is redis.Hook's.
func (a astray) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return a.look(ctx, next(ctx, cmd)) }
}

// ProcessPipelineHook is redis.Hook's.
func (a astray) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return a.look(ctx, next(ctx, cmds)) }
}

func (a astray) look(ctx context.Context, err error) error {
	if err != nil && !errors.Is(err, redis.Nil) && !refused(err) && !errors.Is(ctx.Err(), context.Canceled) {
		a.ReloadState(ctx) // now and then, however often it is asked for, and beside what goes on
	}
	return err
}

// nodeFor returns the client of the node that owns key: the client itself unless Redis is a cluster.
func nodeFor(ctx context.Context, c redis.UniversalClient, key string) (*redis.Client, error) {
	switch x := c.(type) {
	case *redis.Client:
		return x, nil
	case *redis.ClusterClient:
		return x.MasterForKey(ctx, key)
	}
	return nil, fmt.Errorf("redis: client of type %T", c)
}

// eachNode calls fn for every node that may have subscribers: replicas have those of who prefers them, as ioredis does,
// and for a while those of a master that handed over. One that does not answer is missed if it is a master: replicas
// that are away are known a moment later.
func eachNode(ctx context.Context, c redis.UniversalClient, fn func(context.Context, *redis.Client) error) error {
	switch x := c.(type) {
	case *redis.Client:
		return fn(ctx, x)
	case *redis.ClusterClient:
		var mu sync.Mutex
		failed := map[string]error{}
		err := x.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
			err := fn(ctx, node)
			if err != nil {
				mu.Lock()
				failed[node.Options().Addr] = err
				mu.Unlock()
			}
			return nil
		})
		if err != nil || len(failed) == 0 {
			return err
		}
		return x.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error { return failed[node.Options().Addr] })
	}
	return fmt.Errorf("redis: client of type %T", c)
}

// LogLibrary sends what go-redis has to say to log, at level Debug. Without it go-redis prints a line on
// the standard error for each connection it fails to make, many a second while Redis is down, though the
// Cluster logs that state once. The setting is go-redis's own and for the whole process, so it is made
// here and not by New: call it once, in main.
func LogLibrary(log *slog.Logger) { redis.SetLogger(libraryLog{log}) }

type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(ctx context.Context, format string, v ...any) {
	if !l.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	// The format is what is constant; addresses and errors are the rest.
	l.log.DebugContext(ctx, "go-redis", "message", strings.TrimSpace(format), "values", v)
}
