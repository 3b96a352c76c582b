package transport

import (
	"log/slog"
	"net/http"
	"time"
)

// Defaults of Config, those of Node's engine.io where Node has the option.
const (
	DefaultPingInterval      = 25 * time.Second
	DefaultPingTimeout       = 20 * time.Second
	DefaultUpgradeTimeout    = 10 * time.Second
	DefaultMaxHTTPBufferSize = 1_000_000 // bytes
	DefaultCompressThreshold = 1024      // bytes
	DefaultMaxBacklogBytes   = 4 << 20   // bytes
	DefaultMaxBacklogPackets = 16384
	DefaultMaxSendBytes      = 64 << 20 // bytes
	DefaultMaxHandshakeBytes = 16 << 10 // bytes
	DefaultWriteTimeout      = 30 * time.Second
	DefaultBodyTimeout       = 30 * time.Second
	DefaultParkAfter         = 5 * time.Second
)

// Name names a transport.
type Name string

// The transports of Engine.IO that Beanpole serves.
const (
	Polling   Name = "polling"
	WebSocket Name = "websocket"
)

// Config configures a Server. The zero value of every field is its default; New checks the whole.
// Names follow the options of Node's engine.io (packages/engine.io/lib/server.ts, ServerOptions).
type Config struct {
	// Accept is called once for every new session, after its OPEN packet has been queued and before
	// anything is read from it. It returns the receiver of the session's messages. Required.
	Accept func(*Session) Receiver

	// PingInterval is the time between two PING packets to a session. Zero means DefaultPingInterval.
	// Sent to the client in milliseconds. Protocol: Heartbeat.
	PingInterval time.Duration
	// PingTimeout is how long after a PING the PONG may take before the session is closed with
	// ReasonPingTimeout. Zero means DefaultPingTimeout. Protocol: Heartbeat.
	PingTimeout time.Duration
	// UpgradeTimeout bounds a transport upgrade from the WebSocket's opening to the UPGRADE packet.
	// Zero means DefaultUpgradeTimeout.
	UpgradeTimeout time.Duration
	// MaxHTTPBufferSize bounds one polling body and one WebSocket message, in bytes, counted while
	// reading and after inflation. Zero means DefaultMaxHTTPBufferSize. Sent as maxPayload.
	MaxHTTPBufferSize int64
	// Transports allowed, in no order. Empty means Polling and WebSocket.
	Transports []Name
	// DisallowUpgrades turns off the upgrade from polling to WebSocket (Node: allowUpgrades false).
	DisallowUpgrades bool
	// AllowEIO3 admits clients of Engine.IO protocol 3 (Socket.IO v2).
	AllowEIO3 bool

	// HTTPCompression compresses polling bodies for clients that accept gzip or deflate.
	HTTPCompression HTTPCompression
	// PerMessageDeflate, if not nil, offers the WebSocket extension permessage-deflate (RFC 7692),
	// always without context takeover, so that no memory is kept per session.
	PerMessageDeflate *PerMessageDeflate

	// Cookie, if not nil, is set with the session id on the answer to a polling handshake.
	Cookie *Cookie
	// CORS, if not nil, says which pages of other origins may connect. Nil sends no CORS header (Node: cors
	// false): browsers then keep answers to polls from pages of other origins, but let them open WebSockets.
	CORS *CORS
	// AllowedHosts are the values the Host header may have: names with or without port, such as
	// chat.example.com, which is any port's, and localhost:5000. Requests for others are refused with
	// CodeForbidden, so that a page whose own name an attacker has pointed at this server (DNS rebinding) is
	// not taken for the server's. Empty means any. Routes beside this server's need Server.RefuseHost. An entry that
	// no browser sends, such as one with "*", is an error.
	AllowedHosts []string
	// JSONP says which clients may poll by JSONP. The zero value is none, and refuses requests with the
	// parameter j with CodeBadRequest (Node serves it to everybody).
	JSONP JSONP
	// AllowRequest, if not nil, may refuse a handshake. An error answers 403 with code 4 and the
	// error's text as the message. Not called for later requests of a session.
	AllowRequest func(*http.Request) error
	// InitialHeaders may add headers to the first answer of a session, Headers to every answer,
	// polling and WebSocket. Multi-value headers such as Set-Cookie are kept.
	InitialHeaders func(http.Header, *http.Request)
	Headers        func(http.Header, *http.Request)
	// ConnectionError is told of every refused request (Node: the connection_error event).
	ConnectionError func(*ConnectionError)
	// GenerateID makes session ids. Nil means 15 random bytes of which the first five are NodeID,
	// in URL-safe base64: 20 characters.
	GenerateID func(*http.Request) (string, error)
	// NodeID identifies this server inside its session ids. Zero means random.
	NodeID NodeID
	// UnknownSession, if not nil, is offered a request whose sid this server does not hold. It
	// returns true when it has answered (a cluster forwards to the session's node). Headers that this server
	// sets on its answers are set already: the other's are to replace them.
	UnknownSession func(w http.ResponseWriter, r *http.Request, sid string) bool
	// ClientAddr returns the client's address without port, and whether the client came over TLS.
	// Nil means the peer's address and r.TLS != nil. server/host counts trusted proxy hops here.
	ClientAddr func(*http.Request) (addr string, secure bool)

	// KeepContext keeps the values of the context of the request that opened a session, those of middlewares around
	// the server: see Handshake.Context. What they refer to is held as long as the session.
	KeepContext bool

	// MaxHandshakeBytes bounds what a session keeps of the request that opened it, in bytes: its URL with the
	// query, its headers, and the client's address. A larger one is answered 431, as Node's http does. Zero
	// means DefaultMaxHandshakeBytes, which is Node's limit too.
	MaxHandshakeBytes int

	// MaxBacklogBytes and MaxBacklogPackets bound what may wait for one session that reads slowly. The bytes of
	// the largest message that waits are not counted: a large message does not make a slow client. Beyond
	// either the session is closed with ReasonSlowConsumer. Zero means the default.
	MaxBacklogBytes   int
	MaxBacklogPackets int
	// MaxSendBytes bounds the messages of one Send together, in bytes; a send of more fails with ErrTooLarge
	// and the session goes on. So MaxBacklogBytes and MaxSendBytes together are what may wait for one
	// session. Zero means DefaultMaxSendBytes.
	MaxSendBytes int
	// WriteTimeout closes a session whose connection takes no byte for so long (over TLS, and in net/http, no
	// 16 KiB). Whatever takes longer but goes on is waited for. Zero means DefaultWriteTimeout.
	WriteTimeout time.Duration
	// BodyTimeout bounds the time one POST body may take. Zero means DefaultBodyTimeout.
	BodyTimeout time.Duration
	// ParkAfter is how long a WebSocket must have been silent to give up its goroutine, and so most of its
	// memory, for a wake-up of some microseconds when it speaks again. It has effect on Linux, for
	// connections that are not wrapped (by TLS, for one). Zero means DefaultParkAfter; negative, never,
	// and then connections of polling stay in net/http too (see Server.Returns).
	ParkAfter time.Duration
	// MaxSessions bounds open sessions, those that linger (see Session.Linger), and those whose
	// last output is being written; a handshake beyond is answered 503
	// with Retry-After.
	// MaxSessionsPerAddr bounds those of one client address (of IPv6, the addresses that share their first
	// 64 bits); a handshake beyond is answered 429 with Retry-After. Zero means no limit.
	MaxSessions        int
	MaxSessionsPerAddr int
	// HandshakesPerSecond bounds new sessions of the server, with bursts of as many, and
	// HandshakesPerSecondPerAddr those of one client address, with bursts of ten seconds' worth; the
	// answers are as above. Zero means no limit.
	HandshakesPerSecond        int
	HandshakesPerSecondPerAddr int

	// Logger receives Debug lines of sessions, and an Error for a panic of a Receiver. Nil means slog.Default(). No lock
	// is held while its handler writes a line.
	Logger *slog.Logger
}

// HTTPCompression configures compression of polling bodies.
type HTTPCompression struct {
	Disabled  bool
	Threshold int // bytes; zero means DefaultCompressThreshold
}

// PerMessageDeflate configures the WebSocket extension.
type PerMessageDeflate struct {
	Threshold int // bytes; smaller messages are sent plain; zero means DefaultCompressThreshold
}

// Cookie configures the session cookie. Zero values: name "io", path "/", HttpOnly, SameSite=Lax.
type Cookie struct {
	Name        string
	Path        string
	Domain      string
	MaxAge      int // seconds; zero sends none
	NotHTTPOnly bool
	Secure      bool
	SameSite    http.SameSite // zero means Lax
}

// JSONP says which clients may poll by JSONP, which is reading by a script element: any page may do that, with
// the cookies of its visitor, and no browser asks CORS. Only browsers without CORS need it.
type JSONP string

// The values of JSONP, each of which admits more than the one before.
const (
	// JSONPEIO3 admits clients of Engine.IO protocol 3, and needs Config.AllowEIO3.
	JSONPEIO3 JSONP = "eio3"
	// JSONPAll admits clients of protocol 4 too. New refuses both where Config.CORS has a list of origins.
	JSONPAll JSONP = "all"
	// JSONPDespiteOrigins is JSONPAll beside a list of origins. The list still refuses requests that a browser
	// marks as a foreign page's, which old browsers do not.
	JSONPDespiteOrigins JSONP = "despite-origins"
)

// CORS says which pages of other origins may connect; the headers are by github.com/rs/cors. If that is not
// every origin, requests of others' pages are refused with CodeForbidden over both transports, be they
// handshakes or for a session (Node's option sends headers alone). The server's own pages are always allowed:
// those from the scheme (see Config.ClientAddr) and the host of the request, whose port is the scheme's default one
// unless Host has another. Where the list allows the https origin of that host, plain HTTP is not its own.
type CORS struct {
	// Origins allowed: exact ("https://app.example.com", "file://", "null"), with one "*" in the host name or for
	// the port, which stands for one or more letters, digits, dots, dashes and underscores, or the single "*". Empty
	// means "*" if AllowOrigin is nil. What no browser sends is an error. With Credentials an origin that anybody can
	// have ("*", "https://*", "https://*.com", "null", "file://") is one too, and a "*" stands for no name of a domain
	// below which anybody can register one ("https://*.amazonaws.com" is not "https://x.s3.amazonaws.com").
	Origins []string
	// AllowOrigin, if not nil, decides instead of Origins. It may be asked for the server's own origin too.
	AllowOrigin func(r *http.Request, origin string) bool
	Methods     []string // empty means GET, HEAD, PUT, PATCH, POST, DELETE, as npm cors
	Headers     []string // request headers allowed; empty reflects those asked for
	Exposed     []string
	Credentials bool
	MaxAge      time.Duration
}
