package redis

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/logs"
)

// Mode is how nodes talk over Redis. All nodes of a cluster must use the same.
type Mode string

// The modes.
const (
	// Auto is the best of the following: Streams with Recovery, else the one that servers use which are there, else
	// Sharded on a Redis Cluster that has it and PubSub elsewhere. New asks Redis, for some seconds at most. Servers
	// that may start without Redis, or that must agree with others of which none may be there, name their mode.
	Auto Mode = "auto"
	// PubSub is the wire form of @socket.io/redis-adapter: any Redis, any Socket.IO 4 node.
	PubSub Mode = "pubsub"
	// Sharded is the wire form of createShardedAdapter: Redis 7 or later, made for Redis Cluster.
	Sharded Mode = "sharded"
	// Streams is the wire form of @socket.io/redis-streams-adapter: events survive a short outage,
	// and clients may recover on another node.
	Streams Mode = "streams"
)

// Subscriptions is which channels of rooms a node listens to, in the pub/sub modes.
type Subscriptions string

// The kinds of subscriptions. All nodes of a cluster in Sharded mode must use the same; in PubSub
// mode each may choose.
const (
	// Static listens to everything of a namespace and drops by room, without decoding.
	Static Subscriptions = "static"
	// Dynamic has a channel for each room in use, but not for those of single sockets.
	Dynamic Subscriptions = "dynamic"
	// DynamicPrivate has a channel for each room in use and each socket.
	DynamicPrivate Subscriptions = "dynamic-private"
)

// Defaults of Config. Those of Node's adapters where they have the option.
const (
	DefaultPrefix            = "socket.io"
	DefaultRequestTimeout    = 5 * time.Second
	DefaultHeartbeatInterval = 2 * time.Second
	DefaultHeartbeatMisses   = 3
	DefaultMaxOutboxMessages = 100_000
	DefaultMaxOutboxBytes    = 64 << 20
	DefaultMaxOutboxAge      = 30 * time.Second
	DefaultMaxMessageBytes   = 8 << 20
	DefaultMaxResendBytes    = 64 << 20
	DefaultMaxResendAge      = 2 * time.Minute
	DefaultMaxStreamLen      = 10_000
	DefaultMaxStreamBytes    = 128 << 20
	DefaultReadCount         = 100
	DefaultBlockTime         = 5 * time.Second
	DefaultSessionPrefix     = "sio:session:"
)

// Config configures a Cluster. The zero value of every field is its default; New checks the whole.
type Config struct {
	// Client is a client of Redis whose options are used: *redis.Client (single or Sentinel) or
	// *redis.ClusterClient. It is neither used itself nor closed. Nil means URL.
	Client redis.UniversalClient
	// URL names Redis: redis://user:password@host:port/db, rediss:// for TLS, with ?cluster=true for
	// a Redis Cluster, with ?master_name=name&addr=host:port for Sentinel. More options of go-redis
	// may follow as query parameters. Required without Client.
	URL string
	// Mode is the way nodes talk. Empty means Auto.
	Mode Mode
	// Prefix begins the names of all channels (Node: key, channelPrefix). Empty means DefaultPrefix.
	Prefix string
	// Subscriptions chooses the channels of rooms. Empty means Static in PubSub mode and Dynamic in
	// Sharded mode, which are Node's; and Dynamic in PubSub mode where Redis lets nobody subscribe to patterns.
	Subscriptions Subscriptions
	// SpecificResponses sends answers to the node that asked only (Node: publishOnSpecificResponseChannel),
	// in PubSub mode. Other nodes need not have it.
	SpecificResponses bool

	// Stream is the name of the stream, StreamCount the number of streams that namespaces are spread
	// over, MaxStreamLen and MaxStreamBytes about how many entries each keeps, and of how many bytes. Zero means
	// DefaultPrefix, 1 and the defaults. Streams mode; all nodes must agree on the first two.
	Stream         string
	StreamCount    int
	MaxStreamLen   int64
	MaxStreamBytes int64
	// ReadCount is the most entries read at once, BlockTime how long a read waits.
	ReadCount int64
	BlockTime time.Duration
	// ShardedPubSub uses sharded channels for questions and answers (Node: useShardedPubSub). Streams mode.
	ShardedPubSub bool
	// OnlyPlaintext says that no event holds binaries (Node: onlyPlaintext). Streams mode.
	OnlyPlaintext bool
	// Recovery turns on connection state recovery. Streams mode only. Of its limits
	// MaxSessions and MaxSessionBytes have no effect: sessions wait in Redis.
	Recovery *adapter.Recovery
	// SessionPrefix begins the keys of sessions kept for recovery. Empty means DefaultSessionPrefix.
	SessionPrefix string

	// RequestTimeout bounds a question to other nodes whose context has no deadline, and how long Close waits for those
	// that miss something. Zero means DefaultRequestTimeout.
	RequestTimeout time.Duration
	// HeartbeatInterval is the time between two heartbeats; a node that misses HeartbeatMisses of
	// them is given up. Zero means the defaults.
	HeartbeatInterval time.Duration
	HeartbeatMisses   int

	// MaxOutboxMessages and MaxOutboxBytes bound what waits to be published, MaxOutboxAge how long it
	// may wait while Redis is out of reach. What is beyond is dropped and counted. Zero means the
	// defaults.
	MaxOutboxMessages int
	MaxOutboxBytes    int
	MaxOutboxAge      time.Duration

	// MaxMessageBytes bounds one message to other nodes, as it goes to Redis: with rooms and what else belongs to it, and in mode
	// Streams with binaries in base64, four bytes for three. What an application sends that is larger is refused with
	// ErrTooLarge, before any client has got it. Redis cuts off
	// subscribers for which more than 32 MB wait, or more than 8 MB for a minute. Zero means
	// DefaultMaxMessageBytes.
	MaxMessageBytes int

	// MaxResendBytes and MaxResendAge bound what this node keeps of what it has published for nodes that missed it:
	// because a connection broke, Redis failed over or was emptied, or they were too slow for it. What they miss
	// beyond is counted there. Zero means the defaults. In streams mode an eighth of the bytes is for what goes over
	// channels, and the streams share the rest.
	MaxResendBytes int
	MaxResendAge   time.Duration

	// Logger receives changes of state. Nil means slog.Default(). Its handler is called on a goroutine of its own, and
	// may take its time.
	Logger *slog.Logger
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// check fills in defaults and reports what cannot be.
func (c *Config) check() error {
	orDefault(&c.Mode, Auto)
	if c.Mode == Auto && c.Recovery != nil {
		c.Mode = Streams
	}
	orDefault(&c.Prefix, DefaultPrefix)
	orDefault(&c.Stream, DefaultPrefix)
	orDefault(&c.StreamCount, 1)
	orDefault(&c.MaxStreamLen, DefaultMaxStreamLen)
	orDefault(&c.MaxStreamBytes, DefaultMaxStreamBytes)
	orDefault(&c.ReadCount, DefaultReadCount)
	orDefault(&c.BlockTime, DefaultBlockTime)
	orDefault(&c.SessionPrefix, DefaultSessionPrefix)
	orDefault(&c.RequestTimeout, DefaultRequestTimeout)
	orDefault(&c.HeartbeatInterval, DefaultHeartbeatInterval)
	orDefault(&c.HeartbeatMisses, DefaultHeartbeatMisses)
	orDefault(&c.MaxOutboxMessages, DefaultMaxOutboxMessages)
	orDefault(&c.MaxOutboxBytes, DefaultMaxOutboxBytes)
	orDefault(&c.MaxOutboxAge, DefaultMaxOutboxAge)
	orDefault(&c.MaxMessageBytes, DefaultMaxMessageBytes)
	orDefault(&c.MaxResendBytes, DefaultMaxResendBytes)
	orDefault(&c.MaxResendAge, DefaultMaxResendAge)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Logger = logs.Apart(c.Logger) // it is written by goroutines that every question to the cluster waits for
	switch c.Mode {
	case Auto, PubSub, Sharded, Streams:
	default:
		return fmt.Errorf("redis: unknown mode %q: want auto, pubsub, sharded or streams", c.Mode)
	}
	switch c.Subscriptions {
	case "", Static, Dynamic, DynamicPrivate:
	default:
		return fmt.Errorf("redis: unknown subscriptions %q: want static, dynamic or dynamic-private", c.Subscriptions)
	}
	if c.Recovery != nil {
		if c.Mode != Streams {
			return fmt.Errorf("redis: recovery needs mode streams, not %s", c.Mode)
		}
		r := *c.Recovery
		orDefault(&r.MaxDisconnection, adapter.DefaultMaxDisconnection)
		orDefault(&r.MaxEvents, adapter.DefaultMaxEvents)
		orDefault(&r.MaxBytes, adapter.DefaultMaxBytes)
		if r.MaxDisconnection < 0 || r.MaxEvents < 0 || r.MaxBytes < 0 {
			return errors.New("redis: negative limit of recovery")
		}
		c.Recovery = &r
	}
	for _, n := range []int64{int64(c.StreamCount), c.MaxStreamLen, c.MaxStreamBytes, c.ReadCount, int64(c.BlockTime), int64(c.RequestTimeout),
		int64(c.HeartbeatInterval), int64(c.HeartbeatMisses), int64(c.MaxOutboxMessages), int64(c.MaxOutboxBytes), int64(c.MaxOutboxAge),
		int64(c.MaxMessageBytes), int64(c.MaxResendBytes), int64(c.MaxResendAge)} {
		if n < 0 {
			return errors.New("redis: negative number in configuration")
		}
	}
	if c.Client == nil && c.URL == "" {
		return errors.New("redis: neither Client nor URL in configuration")
	}
	return nil
}

// subscribe fills in Subscriptions, when the mode is known, and reports whether it was chosen.
func (c *Config) subscribe() (chosen bool) {
	chosen = c.Subscriptions != ""
	if c.Mode == Sharded {
		orDefault(&c.Subscriptions, Dynamic)
	}
	orDefault(&c.Subscriptions, Static)
	return chosen
}
