package client

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/server/packet"
)

// Defaults of Config. The first are those of Node's client.
const (
	DefaultPath                 = "/socket.io/"
	DefaultConnectTimeout       = 20 * time.Second
	DefaultReconnectionDelay    = time.Second
	DefaultReconnectionDelayMax = 5 * time.Second
	DefaultRandomization        = 0.5
	DefaultMaxMessageBytes      = 64 << 20
	DefaultMaxBufferBytes       = 64 << 20
	DefaultMaxQueuedEvents      = 1 << 16
)

// Transport is a way to the server.
type Transport string

// The transports.
const (
	Polling   Transport = "polling"
	WebSocket Transport = "websocket"
)

// Config configures a Client. The zero value of every field is its default; New checks the whole.
type Config struct {
	// Path is where the server has Socket.IO. Empty means DefaultPath.
	Path string
	// Query is added to the address of every request, Header to their headers.
	Query  url.Values
	Header http.Header
	// Transports are the ways to the server: it is opened with the first, and upgraded to WebSocket if that comes
	// after. Empty means polling and then WebSocket.
	Transports []Transport
	// RoundTripper carries all requests, those that become WebSockets too: an *http.Transport with the proxy, the
	// TLS configuration and the dialer wanted. It must give the connection of an answer with status 101 as its
	// Body, as that does. Nil means a clone of http.DefaultTransport.
	RoundTripper http.RoundTripper
	// Jar keeps cookies, as those by which a load balancer knows its server. Nil means none.
	Jar http.CookieJar

	// Auth is the auth payload of every namespace: a value that encodes as a JSON object. AuthFunc, if not nil, is
	// asked for it at every connection instead; its error is that of the connection, which is tried again.
	Auth     any
	AuthFunc func(ctx context.Context, namespace string) (any, error)

	// ConnectTimeout bounds how long a connection, and an upgrade, may take. Zero means DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// NoReconnection leaves a connection that broke, or could not be opened, as it is.
	NoReconnection bool
	// ReconnectionAttempts bounds how often in a row it is tried again. Zero means no bound.
	ReconnectionAttempts int
	// ReconnectionDelay is the pause before the first attempt; it doubles with each up to ReconnectionDelayMax, and
	// each is shorter or longer at random by up to Randomization of it, 1 at most. Zero means the defaults; a
	// negative Randomization is none.
	ReconnectionDelay    time.Duration
	ReconnectionDelayMax time.Duration
	Randomization        float64

	// AckTimeout bounds every wait for an acknowledgement. Zero means no bound but the context's.
	AckTimeout time.Duration
	// Retries is how often an event that is not acknowledged within AckTimeout, which is required then, is sent
	// again. With it one event after the other is sent, when the one before has been acknowledged or given up. The
	// server may get one twice. Zero means that nothing is.
	Retries int

	// Parser is the wire form. Nil means packet.Text(); packet.MsgPack() wants the same of the server.
	Parser packet.Parser
	// Limits bound what a packet of the server may hold. Zero means the defaults, which are those of package packet.
	Limits packet.Limits
	// MaxMessageBytes bounds one message or poll of the server, MaxBufferBytes what waits to be sent, with and
	// without a connection, and MaxQueuedEvents the events that wait for their handlers: beyond it the connection is
	// closed. Zero means the defaults.
	MaxMessageBytes int
	MaxBufferBytes  int
	MaxQueuedEvents int

	// Logger is told what nobody else is: events that do not fit their handlers, and errors that nobody waits for.
	// Nil means slog.Default().
	Logger *slog.Logger
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// check fills in the defaults and reports what cannot be.
func (c *Config) check() error {
	orDefault(&c.Path, DefaultPath)
	c.Path = "/" + strings.TrimLeft(c.Path, "/")
	orDefault(&c.ConnectTimeout, DefaultConnectTimeout)
	orDefault(&c.ReconnectionDelay, DefaultReconnectionDelay)
	orDefault(&c.ReconnectionDelayMax, DefaultReconnectionDelayMax)
	orDefault(&c.Randomization, DefaultRandomization)
	orDefault(&c.MaxMessageBytes, DefaultMaxMessageBytes)
	orDefault(&c.MaxBufferBytes, DefaultMaxBufferBytes)
	orDefault(&c.MaxQueuedEvents, DefaultMaxQueuedEvents)
	if len(c.Transports) == 0 {
		c.Transports = []Transport{Polling, WebSocket}
	}
	for _, t := range c.Transports {
		if t != Polling && t != WebSocket {
			return fmt.Errorf("client: unknown transport %q: want polling or websocket", t)
		}
	}
	if c.RoundTripper == nil {
		c.RoundTripper = http.DefaultTransport
		if t, ok := c.RoundTripper.(*http.Transport); ok { // or a program's own, which it may have put there
			c.RoundTripper = t.Clone()
		}
	}
	if c.Parser == nil {
		c.Parser = packet.Text()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	switch {
	case c.Randomization > 1:
		return fmt.Errorf("client: Randomization %v: want 1 at most", c.Randomization)
	case c.Retries > 0 && c.AckTimeout <= 0:
		return fmt.Errorf("client: Retries without AckTimeout, which says when to send again")
	case slices.Min([]int64{int64(c.ConnectTimeout), int64(c.ReconnectionAttempts), int64(c.ReconnectionDelay), int64(c.ReconnectionDelayMax),
		int64(c.AckTimeout), int64(c.Retries), int64(c.MaxMessageBytes), int64(c.MaxBufferBytes), int64(c.MaxQueuedEvents)}) < 0:
		return fmt.Errorf("client: negative number in configuration")
	}
	return nil
}
