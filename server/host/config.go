package host

import (
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// Defaults of Config.
const (
	DefaultPort            Port = 5000 // where Elastic Beanstalk's nginx expects the application
	DefaultShutdownTimeout      = 20 * time.Second
)

// AnyPort lets the system choose a free port. The variable PORT says so with 0.
const AnyPort Port = -1

// Config configures a Host. The zero value of every field is its default. FromEnv fills it from the
// variables named in the tags; a program may change it before New. The comments and tags of the fields
// are the table of docs/configuration.md, which a test holds against them.
type Config struct {
	// The port to listen on; 0 takes any free one.
	Port Port `env:"PORT" default:"5000" allow:"a port from 0 to 65535"`
	// The address to listen on; without it, all of the machine's.
	Host string `env:"HOST" allow:"an IP address or a host name"`
	// The certificate with which the port speaks https, and nothing else: a file in PEM, with the certificates between it and
	// its authority behind it. Both files are read again when they change, so that a renewed certificate needs no restart.
	// Without it the port speaks http, for a proxy or a load balancer at which TLS ends. The admin listener and the metrics'
	// address speak http in any case.
	TLSCert string `env:"BEANPOLE_TLS_CERT" allow:"a file of certificates in PEM, with its key in BEANPOLE_TLS_KEY"`
	// The private key of the certificate: a file in PEM, without a password.
	TLSKey string `env:"BEANPOLE_TLS_KEY" secret:"true" allow:"a file in PEM with the key of the certificate in BEANPOLE_TLS_CERT"`
	// The Redis that joins several servers to one cluster, redis:// or rediss://.
	RedisURL string `env:"REDIS_URL" allow:"a URL such as redis://:password@host:6379/0 or rediss://host:6379"`
	// The password for REDIS_URL, which has none then: for one that comes from a store of secrets by itself.
	RedisPassword string `env:"REDIS_PASSWORD" secret:"true" allow:"a password, when REDIS_URL has none"`

	// How the servers talk over Redis: pubsub as @socket.io/redis-adapter, sharded as its sharded adapter
	// (Redis 7 and later), streams as @socket.io/redis-streams-adapter. All servers of a cluster must use
	// the same. Without it, or with auto: streams when recovery is on, which needs them; else what servers use
	// that are there, and else sharded on a Redis Cluster and ElastiCache Serverless, and pubsub elsewhere. Name
	// it where servers may start while Redis is away.
	RedisMode RedisMode `env:"BEANPOLE_REDIS_MODE" allow:"auto, pubsub, sharded or streams"`
	// Which channels of rooms a server listens to, in the modes pubsub and sharded: static to all, dynamic to
	// those of its rooms, dynamic-private to those of its sockets, too. Without it, static with pubsub where
	// Redis allows patterns, and dynamic elsewhere. With sharded all servers must use the same.
	RedisSubscriptions RedisSubscriptions `env:"BEANPOLE_REDIS_SUBSCRIPTIONS" allow:"static, dynamic or dynamic-private"`
	// About how many events a stream keeps, with streams: those that may be replayed, or read late.
	RedisStreamLength int64 `env:"BEANPOLE_REDIS_STREAM_LENGTH" default:"10000" allow:"a number from 100 to 100000000"`
	// About how many bytes of events a stream keeps in Redis at most, with streams: fewer events than the length says
	// when they are large.
	RedisStreamBytes int64 `env:"BEANPOLE_REDIS_STREAM_BYTES" default:"134217728" allow:"a number from 1048576 to 1099511627776"`
	// How many streams namespaces are spread over, with streams. All servers must use the same.
	RedisStreamCount int `env:"BEANPOLE_REDIS_STREAM_COUNT" default:"1" allow:"a number from 1 to 1000"`
	// The most bytes that wait to be published while Redis is slow or away; more is dropped and counted, and so is what has
	// waited for 30 seconds.
	RedisOutboxBytes int `env:"BEANPOLE_REDIS_OUTBOX_BYTES" default:"67108864" allow:"a number from 65536 to 2147483647"`
	// What the names of channels, streams and keys in Redis begin with.
	RedisPrefix string `env:"BEANPOLE_REDIS_PREFIX" default:"socket.io" allow:"letters, digits, dots, colons and dashes"`
	// Where the other servers of the cluster reach this one, to forward requests of its sessions that a
	// load balancer sent to them. Without it, the address it listens on, or that from which it reaches
	// Redis; nothing is forwarded to it where that is a container's own, or loopback with Redis elsewhere, which
	// is said once in the log and by beanpole_cluster_part_up{part="forwarding"}. Without a host, as in http://:5000, that of
	// the EC2 instance, from its metadata: for a port that a container publishes.
	NodeURL string `env:"BEANPOLE_NODE_URL" allow:"a URL such as http://10.0.0.5:5000 or http://:5000"`
	// The secret that requests between servers are signed with, the same on all; without it, one kept in
	// Redis.
	NodeSecret string `env:"BEANPOLE_NODE_SECRET" secret:"true" allow:"16 letters or more"`
	// Answers requests of other servers' sessions with "Session ID unknown" instead of forwarding them.
	NoForwarding bool `env:"BEANPOLE_NO_FORWARDING" allow:"true or false"`

	// Where the Socket.IO server is mounted.
	Path string `env:"BEANPOLE_PATH" default:"/socket.io/" allow:"a path of its own, such as /socket.io/"`
	// Serves the path without its trailing slash too, for clients with addTrailingSlash off.
	NoTrailingSlash bool `env:"BEANPOLE_NO_TRAILING_SLASH" allow:"true or false"`
	// A folder of files to serve at /, read when they are asked for.
	StaticDir string `env:"BEANPOLE_STATIC_DIR" allow:"a folder"`
	// The folder among the files whose names change when their content does, as bundlers write them (Vite: assets): browsers keep
	// those for a year, and do not ask again. A file there that changes under its name is not seen by who has it. Without it,
	// they ask each time whether a file has changed.
	StaticImmutable string `env:"BEANPOLE_STATIC_IMMUTABLE" allow:"a folder below the files, such as assets/"`
	// Answers a browser that asks for a page which is not among the files with their index.html, for programs that have their
	// paths in the page: those whose last part has a dot are files all the same.
	SinglePage bool `env:"BEANPOLE_SINGLE_PAGE" allow:"true or false"`
	// Where another client bundle is than the one of socket.io-client 4.8.4 that the server has in itself: a folder that holds
	// socket.io.min.js or node_modules.
	ClientDir string `env:"BEANPOLE_CLIENT_DIR" allow:"a folder"`

	// Origins that pages of other sites may connect from, separated by commas. Entries are exact
	// (https://app.example.com, file://), have one * in the host name (https://*.example.com, for names of any depth)
	// or for the port, or are the single *. When set, every request of a page of any other origin is refused,
	// the server's own pages excepted; without it any page may connect by WebSocket, as with Node.
	AllowedOrigins []string `env:"BEANPOLE_ALLOWED_ORIGINS" allow:"origins such as https://app.example.com,https://*.example.com, or *"`
	// Lets pages of the allowed origins send cookies with polls (CORS credentials); not with origins that
	// anybody can have, such as *, https://*, file:// and null.
	AllowCredentials bool `env:"BEANPOLE_ALLOW_CREDENTIALS" allow:"true or false"`
	// The names by which clients reach the server, separated by commas, each with or without a port, and none with a *.
	// When set, requests for any other host are refused, whatever they are for, which ends DNS rebinding; health checks
	// are answered by any, the metrics' address by its addresses too, and the admin listener has its own rule.
	AllowedHosts []string `env:"BEANPOLE_ALLOWED_HOSTS" allow:"names such as chat.example.com,localhost:5000"`
	// How many proxies stand in front, each of which appends the address it saw to X-Forwarded-For.
	// nginx alone is 1, a load balancer with nginx behind it 2.
	TrustedHops int `env:"BEANPOLE_TRUSTED_HOPS" default:"0" allow:"a number from 0 to 16"`

	// The transports clients may use.
	Transports []transport.Name `env:"BEANPOLE_TRANSPORTS" default:"polling,websocket" allow:"polling, websocket or both with a comma"`
	// Keeps clients on the transport they started with.
	NoUpgrades bool `env:"BEANPOLE_NO_UPGRADES" allow:"true or false"`
	// Admits clients of Socket.IO v2 (Engine.IO protocol 3).
	AllowEIO3 bool `env:"BEANPOLE_ALLOW_EIO3" allow:"true or false"`
	// Which clients may poll by JSONP, for browsers without CORS: those of Socket.IO v2 (eio3), all, or all
	// even beside a list of allowed origins (despite-origins), which must be said, as any page can read by JSONP.
	// Without it, none.
	JSONP transport.JSONP `env:"BEANPOLE_JSONP" allow:"eio3, all or despite-origins"`
	// Leaves the bodies of polls uncompressed.
	NoCompression bool `env:"BEANPOLE_NO_COMPRESSION" allow:"true or false"`
	// Offers compression of WebSocket messages (permessage-deflate).
	PerMessageDeflate bool `env:"BEANPOLE_PER_MESSAGE_DEFLATE" allow:"true or false"`
	// The name of a cookie with the session id, for load balancers that stick by it; without it none is set.
	Cookie string `env:"BEANPOLE_COOKIE" allow:"a cookie name such as io"`
	// How long the state of a lost connection is kept for its client to recover; 0 turns recovery off.
	Recovery time.Duration `env:"BEANPOLE_RECOVERY" default:"0s" allow:"a duration from 100ms to 24h, or 0s"`

	// The time between two pings to a client.
	PingInterval time.Duration `env:"BEANPOLE_PING_INTERVAL" default:"25s" allow:"a duration from 100ms to 10m"`
	// How long a client may take to answer a ping.
	PingTimeout time.Duration `env:"BEANPOLE_PING_TIMEOUT" default:"20s" allow:"a duration from 100ms to 10m"`
	// The idle timeout of the proxies in front, the shortest of them. The server does not start when a
	// client may be silent for as long (ping interval and timeout together); 0 leaves it unchecked.
	IdleTimeout time.Duration `env:"BEANPOLE_IDLE_TIMEOUT" default:"0s" allow:"a duration from 1s to 24h"`
	// How long an upgrade from polling to WebSocket may take.
	UpgradeTimeout time.Duration `env:"BEANPOLE_UPGRADE_TIMEOUT" default:"10s" allow:"a duration from 100ms to 10m"`
	// How long a session may take to join its first namespace.
	ConnectTimeout time.Duration `env:"BEANPOLE_CONNECT_TIMEOUT" default:"45s" allow:"a duration from 100ms to 10m"`

	// The largest message a client may send, in bytes.
	MaxPayload int64 `env:"BEANPOLE_MAX_PAYLOAD" default:"1000000" allow:"a number from 1024 to 1073741824"`
	// How many sessions the server takes; 0 is no limit.
	MaxSessions int `env:"BEANPOLE_MAX_SESSIONS" default:"0" allow:"a number from 0 to 10000000"`
	// How many sessions one client address may have, or one network of 64 bits with IPv6; 0 is no limit.
	MaxSessionsPerAddr int `env:"BEANPOLE_MAX_SESSIONS_PER_ADDR" default:"0" allow:"a number from 0 to 10000000"`
	// How many new sessions the server takes in a second; 0 is no limit.
	HandshakesPerSecond int `env:"BEANPOLE_HANDSHAKES_PER_SECOND" default:"0" allow:"a number from 0 to 1000000"`
	// How many new sessions one client address may open in a second, with bursts of ten seconds' worth; 0
	// is no limit.
	HandshakesPerSecondPerAddr int `env:"BEANPOLE_HANDSHAKES_PER_SECOND_PER_ADDR" default:"0" allow:"a number from 0 to 1000000"`
	// How many sessions on this server an identity may have that the application has set with SetIdentity;
	// 0 is no limit.
	MaxSessionsPerIdentity int `env:"BEANPOLE_MAX_SESSIONS_PER_IDENTITY" default:"0" allow:"a number from 0 to 10000000"`
	// How many events a client may send in a second, with bursts of two seconds' worth; 0 is no limit.
	EventsPerSecond int `env:"BEANPOLE_EVENTS_PER_SECOND" default:"0" allow:"a number from 0 to 1000000"`
	// How many events all clients of one address may send in a second, with the same bursts; 0 is no limit.
	EventsPerSecondPerAddr int `env:"BEANPOLE_EVENTS_PER_SECOND_PER_ADDR" default:"0" allow:"a number from 0 to 1000000"`
	// How many events all sockets of one identity may send this server in a second, with the same bursts;
	// 0 is no limit.
	EventsPerSecondPerIdentity int `env:"BEANPOLE_EVENTS_PER_SECOND_PER_IDENTITY" default:"0" allow:"a number from 0 to 1000000"`
	// How much of the memory of its control group (a container's), or else of the machine, the process may take, in
	// percent: garbage is collected harder near it, and seldom far from it (as with GOGC=400, unless GOGC is set), and
	// new sessions are refused with 503 before it, and when the machine has hardly any left. Unless this is 0, GOMEMLIMIT sets it in bytes instead. With 0 no session is refused, and
	// GOMEMLIMIT means to Go's collector what it always does.
	MemoryPercent int `env:"BEANPOLE_MEMORY_PERCENT" default:"0" allow:"a number from 0 to 95"`
	// How many namespaces one client may be in.
	MaxNamespaces int `env:"BEANPOLE_MAX_NAMESPACES" default:"1000" allow:"a number from 1 to 100000"`
	// How many bytes may wait for a client that reads slowly before its session is closed.
	MaxBacklogBytes int `env:"BEANPOLE_MAX_BACKLOG_BYTES" default:"4194304" allow:"a number from 1024 to 1073741824"`
	// How many packets may wait for a client that reads slowly before its session is closed.
	MaxBacklogPackets int `env:"BEANPOLE_MAX_BACKLOG_PACKETS" default:"16384" allow:"a number from 16 to 10000000"`

	// How much is logged: debug has a line for each session, info the life of the process.
	LogLevel slog.Level `env:"BEANPOLE_LOG_LEVEL" default:"info" allow:"debug, info, warn or error"`
	// Says in the log, each once and with what to do, what works and is probably meant otherwise: events without a handler,
	// answers that do not come, errors of handlers, and more. For the programmer's own machine, and for no environment.
	Development bool `env:"BEANPOLE_DEVELOPMENT" allow:"true or false"`
	// Which events are shown in the log, at level debug, as they come and go: of namespaces and events, in which each * is
	// anything; a name without a slash is an event's, in any namespace. Without it, none.
	Debug string `env:"BEANPOLE_DEBUG" allow:"* or a list such as /chat:message,/game:*"`
	// Shows what is in these events, too: whatever passwords and messages there are.
	DebugPayloads bool `env:"BEANPOLE_DEBUG_PAYLOADS" allow:"true or false"`
	// The form of the log, and of all else that a host writes to its standard output and error: text, or json with one object a
	// line.
	LogFormat LogFormat `env:"BEANPOLE_LOG_FORMAT" default:"text" allow:"text or json"`
	// Which requests get a log line: those to the application's own routes (app); these and, of each session,
	// its handshake and its upgrade (sessions); those that failed with a 5xx (errors); all but health checks
	// (all); or none. Polls are in sessions only when they fail. Of Socket.IO requests that fail, and of those for
	// what is not there, ten a second get a line, which says how many before it were left out, but in all.
	AccessLog AccessLog `env:"BEANPOLE_ACCESS_LOG" default:"app" allow:"app, sessions, errors, all or none"`
	// How long a graceful stop may take before what is left is cut off.
	ShutdownTimeout time.Duration `env:"BEANPOLE_SHUTDOWN_TIMEOUT" default:"20s" allow:"a duration from 100ms to 1h"`

	// How long a drain may spread the closes of sessions over, before a deployment and on SIGTERM.
	DrainTime time.Duration `env:"BEANPOLE_DRAIN_TIME" default:"5s" allow:"a duration from 10ms to 10m"`
	// How long the drain on SIGTERM may spread them over; without it, BEANPOLE_DRAIN_TIME. A short one is for servers whose
	// successor starts in their place when they end: clients come back a second later, and find it.
	StopDrainTime time.Duration `env:"BEANPOLE_STOP_DRAIN_TIME" allow:"a duration from 10ms to 10m"`
	// The port of the listener for POST /drain, on 127.0.0.1 only, and not the one of PORT; without it, the one after PORT.
	AdminPort Port `env:"BEANPOLE_ADMIN_PORT" allow:"a port from 0 to 65535"`
	// Leaves the listener for POST /drain out.
	NoAdmin bool `env:"BEANPOLE_NO_ADMIN" allow:"true or false"`
	// The address of a listener for GET /metrics and nothing else, for a Prometheus on another machine, with a port that no other
	// listener has; it has no password, so that the network has to say who may ask. Without it, the listener for POST /drain alone has the metrics.
	MetricsAddr string `env:"BEANPOLE_METRICS_ADDR" allow:"an address with its port, such as :9464 or 10.0.0.5:9464"`
	// Where figures for CloudWatch are written once a minute, in its embedded metric format, which it takes from a log
	// that is streamed to it: among the lines of the log (log), or to a file of their own, which begins anew when it
	// has a megabyte. Without it, nowhere.
	CloudWatchMetrics string `env:"BEANPOLE_CLOUDWATCH_METRICS" allow:"log, or the path of a file such as /var/log/beanpole/metrics.log"`
	// The name of the environment in these figures, their dimension EnvironmentName.
	Environment string `env:"BEANPOLE_ENVIRONMENT" default:"beanpole" allow:"a word of letters, digits, dots and dashes"`
	// The folder in which Elastic Beanstalk's health agent looks for a log of requests, which the host writes there when no
	// nginx does, with a file an hour; those before the last are removed. One that cannot be written to is said in the log.
	// Without it, nothing is written.
	HealthdLog string `env:"BEANPOLE_HEALTHD_LOG" allow:"the path of a folder such as /var/log/nginx/healthd"`
	// The lifecycle hook that the Auto Scaling group of this EC2 instance has for terminations. With it the host looks
	// at the instance's metadata, drains when it is to be terminated or a Spot instance is wanted back, and then lets
	// the hook go on. Without it, nothing is looked for.
	LifecycleHook string `env:"BEANPOLE_LIFECYCLE_HOOK" allow:"the name of a hook: letters, digits, dots, dashes and slashes"`
	// The name of this instance in the X-Beanpole header; without it, a short hash of host name and port.
	Instance string `env:"BEANPOLE_INSTANCE" allow:"a word of letters, digits, dots and dashes"`
	// The version of the application in the X-Beanpole header; without it, the revision it was built from.
	Version string `env:"BEANPOLE_VERSION" allow:"a word of letters, digits, dots and dashes"`
	// Leaves the X-Beanpole header out, which tells what instance answered, and the versions of the application and of Beanpole.
	NoInstanceHeader bool `env:"BEANPOLE_NO_INSTANCE_HEADER" allow:"true or false"`
	// The token of the namespace in which beanpole doctor looks whether instances reach each other; without
	// it there is none.
	ProbeToken string `env:"BEANPOLE_PROBE_TOKEN" secret:"true" allow:"16 letters or more"`

	// Who may log in to Socket.IO's Admin UI, which is on when this is set: see docs/admin-ui.md.
	AdminUIUsername string `env:"BEANPOLE_ADMIN_UI_USERNAME" allow:"a name"`
	// The bcrypt hash of the password for it; never the password itself.
	AdminUIPasswordHash string `env:"BEANPOLE_ADMIN_UI_PASSWORD_HASH" secret:"true" allow:"a hash of bcrypt, such as htpasswd -nbB writes"`
	// Shows everything in the Admin UI and lets nobody change anything by it.
	AdminUIReadOnly bool `env:"BEANPOLE_ADMIN_UI_READ_ONLY" allow:"true or false"`
	// Origins of pages that may connect to the Admin UI beside the server's own, where BEANPOLE_ALLOWED_ORIGINS has no list,
	// separated by commas; with a list its pages may.
	AdminUIAllowedOrigins []string `env:"BEANPOLE_ADMIN_UI_ALLOWED_ORIGINS" allow:"origins such as https://admin.socket.io"`
	// The name of this server in the Admin UI; without it, host name and process id.
	AdminUIServerName string `env:"BEANPOLE_ADMIN_UI_SERVER_NAME" allow:"a word of letters, digits, dots and dashes"`

	// Sends OpenTelemetry spans of connections and handlers to a collector, by OTLP over HTTP in JSON.
	// OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG and OTEL_BSP_
	// variables say what the spans are of, and how many are kept.
	Tracing bool `env:"BEANPOLE_TRACING" allow:"true or false"`
	// Where the collector is; it has no effect without BEANPOLE_TRACING.
	TracesEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" default:"http://localhost:4318" allow:"a URL such as http://localhost:4318"`
	// Headers for the collector, such as its key.
	TracesHeaders string `env:"OTEL_EXPORTER_OTLP_HEADERS" secret:"true" allow:"a list such as api-key=value,other=value"`

	// Logger replaces the logger that LogLevel and LogFormat describe.
	Logger *slog.Logger `env:"-"`
	// Traces makes the spans, whatever Tracing and the OTEL_ variables say: its resource, its sampler and where it sends them are
	// its own, and the host flushes and ends nothing of it.
	Traces trace.TracerProvider `env:"-"`
	// Adapter replaces the adapter that RedisURL describes.
	Adapter adapter.Factory `env:"-"`
	// Server, if not nil, makes the application that the host carries instead of a *server.Server, of the
	// server's own configuration: for applications of package zishang.
	Server func(server.Config) (Application, error) `env:"-"`
	// Adjust, if not nil, may change the server's own configuration before the server is made: for
	// options that have no variable.
	Adjust func(*server.Config) `env:"-"`
}
