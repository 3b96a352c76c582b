package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// Defaults of Config.
const (
	DefaultPath            = "/socket.io/"
	DefaultConnectTimeout  = 45 * time.Second
	DefaultMaxNamespaces   = 1000
	DefaultMaxQueuedEvents = 1 << 18
	DefaultMaxQueuedBytes  = 16 << 20
	DefaultMaxEarlyEvents  = 32
	DefaultMaxQuestions    = 1 << 14
	DefaultMaxConnecting   = 16
	DefaultConnectRate     = 20
	DefaultMaxAuthBytes    = 256 << 10
)

// Config configures a Server. The zero value is usable: every zero field means its default, those of
// Node's socket.io where Node has the option.
type Config struct {
	// Transport configures the Engine.IO layer beneath. Its Accept field belongs to the server.
	Transport transport.Config
	// Path is where the server is mounted, with or without the slashes at its ends. Empty means DefaultPath. The
	// server itself serves any path; Path is for those who mount it and for links to the client bundle.
	Path string
	// ConnectTimeout closes a session that has joined no namespace for so long. Zero means
	// DefaultConnectTimeout. Node: connectTimeout.
	ConnectTimeout time.Duration
	// Parser is the wire form of packets: packet.Text (nil) or packet.MsgPack. One of the application's own is called
	// under locks, and so must not call the server.
	Parser packet.Parser
	// Adapter makes the adapter of each namespace, and may be called for several at a time. Nil means
	// adapter.Memory(nil), or with Recovery its memory.
	Adapter adapter.Factory
	// Recovery, if not nil, turns on connection state recovery (Node: connectionStateRecovery). With
	// an Adapter of your own, configure recovery there too: one without the other is an error of New.
	Recovery *Recovery
	// KeepEmptyNamespaces keeps namespaces of a pattern or a function when their last socket has
	// left. By default they are closed, so that clients cannot fill the memory with names.
	// Node: cleanupEmptyChildNamespaces, the other way round.
	KeepEmptyNamespaces bool

	// Development has the log say, each once and with what to do, what works and is probably meant otherwise: an event that
	// has no handler, an answer that a client waits for and that does not come, what handlers return as errors, handlers
	// that are registered once more with each client, fields that are sent under their names in Go. It is for the
	// programmer's own machine: most of it is the clients' doing, or costs. What is a mistake wherever it is found is said
	// without it.
	Development bool
	// Debug names the events that are shown in the log, at level debug, as they come and go: * for all, or a list such as
	// /chat:message,/game:* of namespaces and events, in which each * is anything; a name without a slash is an event's, in
	// any namespace. Empty shows none, and costs nothing.
	Debug string
	// DebugPayloads shows what is in them, too: whatever passwords and messages there are.
	DebugPayloads bool

	// Limits bound what one session may make the server hold.
	Limits Limits
	// Wrap, if not nil, gets each new session with what receives its messages, and returns what receives them
	// instead and passes them on: to see sessions come and go, and what they send. It must not block.
	Wrap func(*transport.Session, transport.Receiver) transport.Receiver
	// MapError, if not nil, says what a client may see of an error that a handler or a middleware returns, of what Validate
	// does, and of an argument that is not what the handler takes (*packet.ArgError): it returns the error that is sent, with
	// its data if that is an *Error, or nil. Then the client gets "internal error", and the log has err at Warn with the
	// event, or at Debug if it is an argument's. An *Error itself is made for clients, as is a *LimitError, and sent as it
	// is. event is "connect" for Namespace.Use. It is not asked about an answer that cannot be encoded. Without MapError the text of any error is sent, as in Node.
	MapError func(ctx context.Context, s *Socket, event string, err error) error
	// Validate, if not nil, is called with each argument of an event that has been decoded for a handler, before that is
	// called. Its error is as one of the handler. What a handler decodes itself, of an *Event or Args, is not among them.
	Validate func(ctx context.Context, event string, arg any) error
	// Observers are told what handlers do, for metrics and traces.
	Observers []Observer
	// Logger receives the server's log. Nil means slog.Default(); slog.DiscardHandler silences it. Its handler may call
	// the server: no lock is held while it writes a line.
	Logger *slog.Logger
}

// Recovery configures connection state recovery.
type Recovery struct {
	adapter.Recovery
	// RunMiddlewares runs the middlewares of the namespace for a recovered socket too (Node:
	// skipMiddlewares false). By default they are skipped, as the socket has passed them before.
	RunMiddlewares bool
}

// Limits of one session, and of all sessions of one address or identity. Zero means the default.
type Limits struct {
	packet.Limits
	// MaxNamespaces bounds the namespaces a session may be in. Default DefaultMaxNamespaces.
	MaxNamespaces int
	// MaxConnecting bounds the CONNECTs of a session that are in progress at a time, which is how many of
	// its middlewares run at once. Those beyond wait, MaxNamespaces at most. Default DefaultMaxConnecting.
	MaxConnecting int
	// ConnectsPerSecond bounds the CONNECTs of a session, the first 16 aside, with bursts of ten seconds'
	// worth. Those beyond wait. Default DefaultConnectRate. Every CONNECT is also an event to the limits of
	// events below.
	ConnectsPerSecond int
	// MaxAuthBytes bounds the auth payloads, and the names of the namespaces, that are kept for a session.
	// A socket beyond is refused with a *LimitError. Default DefaultMaxAuthBytes.
	MaxAuthBytes int
	// MaxQueuedEvents and MaxQueuedBytes bound the events of a session that wait for the handlers of its
	// sockets or are with them, with what each costs the server beside its text. At half of either the
	// server reads no more from the client while handlers get on; beyond either, which takes handlers
	// that do not, the session is closed with ReasonQueueFull. One body of a million bytes stays below,
	// whatever it holds. MaxQueuedBytes also bounds what is made of events for the handlers that they are with: the next
	// one that makes much waits for those handlers, for ten seconds at most, and then the session is closed likewise; one
	// alone may be of any size. Default DefaultMaxQueuedEvents, DefaultMaxQueuedBytes.
	MaxQueuedEvents int
	MaxQueuedBytes  int
	// MaxEarlyEvents bounds the events of a session that come before the answer to their namespace's
	// CONNECT; together they may have a sixteenth of MaxQueuedBytes. Beyond it the session is closed.
	// Default DefaultMaxEarlyEvents.
	MaxEarlyEvents int
	// MaxQuestions bounds the events of which a session's client has not given the acknowledgement yet. Beyond it a quarter of them,
	// the oldest of the socket that is asked, is given up: whoever waits is told ErrQueueFull, or of a question to many, which goes
	// on with the others, that this client has not answered. Four times as many questions to many may be open that EmitThen asks
	// for no socket; beyond that the oldest is given up. Default DefaultMaxQuestions.
	MaxQuestions int
	// EventsPerSecond bounds the events a session may send, with bursts of two seconds' worth.
	// Beyond it the session is closed with ReasonRateLimited. Zero means no limit.
	EventsPerSecond int
	// EventsPerSecondPerAddr and EventsPerSecondPerIdentity bound the events of all sessions of one client
	// address (of IPv6, of those that share their first 64 bits) and of all sockets of one identity (see
	// Socket.SetIdentity) on this server, with bursts of two seconds' worth. The session whose event is
	// beyond is closed with ReasonRateLimited. Zero means no limit.
	EventsPerSecondPerAddr     int
	EventsPerSecondPerIdentity int
	// MaxSessionsPerIdentity bounds the sessions of one identity on this server. Beyond it SetIdentity
	// returns a *LimitError. Zero means no limit.
	MaxSessionsPerIdentity int
	// AttachmentTimeout bounds how long a packet may wait for the next of its binary attachments. Default 10 s.
	AttachmentTimeout time.Duration
}

// withDefaults returns cfg with its zero fields filled in, or an error that names the field at fault.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Transport.Accept != nil {
		return cfg, errors.New("server: Transport.Accept belongs to the server and must be nil")
	}
	if slices.Contains(cfg.Observers, nil) {
		return cfg, errors.New("server: Observers has one that is nil")
	}
	durations := map[string]time.Duration{"ConnectTimeout": cfg.ConnectTimeout, "AttachmentTimeout": cfg.Limits.AttachmentTimeout}
	if cfg.Recovery != nil {
		durations["MaxDisconnection"] = cfg.Recovery.MaxDisconnection
		durations["MaxSilence"] = cfg.Recovery.MaxSilence
	}
	for name, d := range durations {
		if err := limit.CheckDuration(name, d); err != nil {
			return cfg, fmt.Errorf("server: %w", err)
		}
	}
	if cfg.Path == "" {
		cfg.Path = DefaultPath
	}
	if strings.ContainsAny(cfg.Path, "?# ") {
		return cfg, fmt.Errorf("server: Path is %q; it must be the path of a URL, such as %s", cfg.Path, DefaultPath)
	}
	if cfg.Path = "/" + strings.Trim(cfg.Path, "/") + "/"; cfg.Path == "//" {
		cfg.Path = "/"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = DefaultConnectTimeout
	}
	if cfg.Parser == nil {
		cfg.Parser = packet.Text()
	}
	if cfg.Adapter == nil {
		var r *adapter.Recovery
		if cfg.Recovery != nil {
			own := cfg.Recovery.Recovery
			if own.MaxSilence == 0 {
				own.MaxSilence = cfg.Transport.MaxSilence()
			}
			r = &own
		}
		cfg.Adapter = adapter.Memory(r)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Transport.Logger == nil {
		cfg.Transport.Logger = cfg.Logger
	}
	for _, l := range []struct {
		name  string
		value *int
		def   int
	}{
		{"MaxNamespaces", &cfg.Limits.MaxNamespaces, DefaultMaxNamespaces},
		{"MaxConnecting", &cfg.Limits.MaxConnecting, DefaultMaxConnecting},
		{"ConnectsPerSecond", &cfg.Limits.ConnectsPerSecond, DefaultConnectRate},
		{"MaxAuthBytes", &cfg.Limits.MaxAuthBytes, DefaultMaxAuthBytes},
		{"MaxEarlyEvents", &cfg.Limits.MaxEarlyEvents, DefaultMaxEarlyEvents},
		{"MaxQuestions", &cfg.Limits.MaxQuestions, DefaultMaxQuestions},
		{"MaxQueuedEvents", &cfg.Limits.MaxQueuedEvents, DefaultMaxQueuedEvents},
		{"MaxQueuedBytes", &cfg.Limits.MaxQueuedBytes, DefaultMaxQueuedBytes},
		{"EventsPerSecond", &cfg.Limits.EventsPerSecond, 0},
		{"EventsPerSecondPerAddr", &cfg.Limits.EventsPerSecondPerAddr, 0},
		{"EventsPerSecondPerIdentity", &cfg.Limits.EventsPerSecondPerIdentity, 0},
		{"MaxSessionsPerIdentity", &cfg.Limits.MaxSessionsPerIdentity, 0},
	} {
		if *l.value < 0 {
			return cfg, fmt.Errorf("server: Limits.%s is %d; it must not be negative", l.name, *l.value)
		}
		if *l.value == 0 {
			*l.value = l.def
		}
	}
	if cfg.Limits.AttachmentTimeout == 0 {
		cfg.Limits.AttachmentTimeout = 10 * time.Second
	}
	return cfg, nil
}

// checkRecovery returns an error unless the adapter can do what is configured, and does no more.
func (cfg *Config) checkRecovery(a adapter.Adapter) error {
	switch asked := cfg.Recovery != nil; {
	case asked && !a.Recovers():
		return errors.New("server: Recovery is set, and the Adapter keeps no sessions: configure recovery there too")
	case !asked && a.Recovers():
		return errors.New("server: the Adapter keeps sessions for recovery, and Recovery is not set: set it too")
	}
	return nil
}
