package zishang

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// closeTimeout bounds Server.Close.
const closeTimeout = 10 * time.Second

// Config configures a server. The zero value is usable: a zero field means its default.
type Config struct {
	// Options are what the application gave to socket.NewServer. They are copied and hold as there,
	// with the exceptions that New returns as errors. Nil means the library's defaults.
	Options socket.ServerOptionsInterface
	// Transport configures the layer beneath. Its zero fields take the value of the option of the same
	// meaning, where Options has one. Its Accept belongs to the server.
	Transport transport.Config
	// Parser is the wire form of packets: packet.Text (nil) or packet.MsgPack.
	Parser packet.Parser
	// Adapter makes the adapter of each namespace. Nil means adapter.Memory, with recovery if Options
	// ask for it. With an Adapter of your own, configure recovery there too: one without the other is an
	// error of New.
	Adapter adapter.Factory
	// Limits bound what one session may make the server hold. Zero fields have server.Limits' defaults.
	Limits server.Limits
	// Observers are told how long the listeners of each event took, and whether one panicked; nothing of
	// connections and acknowledgements.
	Observers []server.Observer
	// Logger receives the server's log. Nil means slog.Default().
	Logger *slog.Logger
}

// FromServer returns the Config of a server that runs where one of package server would: sc is what
// package host makes of its own configuration, and options are the application's. What sc sets counts more
// than the options. With recovery in sc, the options have it too. Development and Debug are for handlers of package server, and
// the log says so.
func FromServer(sc server.Config, options socket.ServerOptionsInterface) Config {
	if log := sc.Logger; log != nil && (sc.Development || sc.Debug != "") {
		log.Warn("development mode and Debug tell nothing of an application of package zishang: they know handlers of package server")
	}
	own := socket.DefaultServerOptions()
	if options != nil {
		own.Assign(options)
	}
	if sc.ConnectTimeout > 0 {
		own.SetConnectTimeout(sc.ConnectTimeout)
	}
	if sc.Recovery != nil {
		r := &socket.ConnectionStateRecovery{}
		r.SetMaxDisconnectionDuration(sc.Recovery.MaxDisconnection.Milliseconds())
		r.SetSkipMiddlewares(!sc.Recovery.RunMiddlewares)
		own.SetConnectionStateRecovery(r)
	}
	return Config{
		Options: own, Transport: sc.Transport, Parser: sc.Parser, Adapter: sc.Adapter, Limits: sc.Limits,
		Observers: sc.Observers, Logger: sc.Logger,
	}
}

// withDefaults returns cfg with its zero fields filled in and Options turned into transport's, or an
// error that names what cannot be had.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Transport.Accept != nil {
		return cfg, errors.New("zishang: Transport.Accept belongs to the server and must be nil")
	}
	if slices.Contains(cfg.Observers, nil) {
		return cfg, errors.New("zishang: Observers has one that is nil")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	options := socket.DefaultServerOptions()
	if cfg.Options != nil {
		if err := checkOptions(cfg.Options); err != nil {
			return cfg, err
		}
		options.Assign(cfg.Options)
	}
	cfg.Options = options
	if cfg.Adapter == nil {
		var r *adapter.Recovery
		if asked := recovery(options); asked != nil {
			r = &asked.Recovery
		}
		cfg.Adapter = adapter.Memory(r)
	}
	return cfg, applyOptions(&cfg.Transport, options)
}

// recovery is what o asks for, nil without recovery.
func recovery(o socket.ServerOptionsInterface) *server.Recovery {
	r := o.GetRawConnectionStateRecovery()
	if r == nil {
		return nil
	}
	limit := time.Duration(r.MaxDisconnectionDuration()) * time.Millisecond // zero is the default here, too
	return &server.Recovery{
		Recovery:       adapter.Recovery{MaxDisconnection: limit},
		RunMiddlewares: r.GetRawSkipMiddlewares() != nil && !r.SkipMiddlewares(),
	}
}
