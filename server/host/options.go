package host

import (
	"cmp"
	"log/slog"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// withDefaults fills in the defaults of what the host itself uses; the server has those of the rest.
func (cfg Config) withDefaults() Config {
	cfg.Port = cmp.Or(cfg.Port, DefaultPort)
	cfg.Path = "/" + strings.Trim(cmp.Or(cfg.Path, server.DefaultPath), "/") + "/"
	cfg.ShutdownTimeout = cmp.Or(cfg.ShutdownTimeout, DefaultShutdownTimeout)
	cfg.DrainTime = cmp.Or(cfg.DrainTime, min(DefaultDrainTime, cfg.ShutdownTimeout/2))
	cfg.StopDrainTime = cmp.Or(cfg.StopDrainTime, cfg.DrainTime)
	cfg.AccessLog = cmp.Or(cfg.AccessLog, AccessApp)
	cfg.Environment = cmp.Or(cfg.Environment, "beanpole")
	return cfg
}

// server returns the configuration of the Socket.IO server.
func (cfg *Config) server(log *slog.Logger, f adapter.Factory) server.Config {
	out := server.Config{
		Path:           cfg.Path,
		ConnectTimeout: cfg.ConnectTimeout,
		Adapter:        f,
		Logger:         log,
		Development:    cfg.Development,
		Debug:          cfg.Debug,
		DebugPayloads:  cfg.DebugPayloads,
		Limits: server.Limits{
			MaxNamespaces:              cfg.MaxNamespaces,
			EventsPerSecond:            cfg.EventsPerSecond,
			EventsPerSecondPerAddr:     cfg.EventsPerSecondPerAddr,
			EventsPerSecondPerIdentity: cfg.EventsPerSecondPerIdentity,
			MaxSessionsPerIdentity:     cfg.MaxSessionsPerIdentity,
		},
		Transport: transport.Config{
			PingInterval:        cfg.PingInterval,
			PingTimeout:         cfg.PingTimeout,
			UpgradeTimeout:      cfg.UpgradeTimeout,
			MaxHTTPBufferSize:   cfg.MaxPayload,
			Transports:          cfg.Transports,
			DisallowUpgrades:    cfg.NoUpgrades,
			AllowEIO3:           cfg.AllowEIO3,
			HTTPCompression:     transport.HTTPCompression{Disabled: cfg.NoCompression},
			AllowedHosts:        cfg.AllowedHosts,
			JSONP:               cfg.JSONP,
			ClientAddr:          hops(cfg.TrustedHops).client,
			MaxBacklogBytes:     cfg.MaxBacklogBytes,
			MaxBacklogPackets:   cfg.MaxBacklogPackets,
			MaxSessions:         cfg.MaxSessions,
			MaxSessionsPerAddr:  cfg.MaxSessionsPerAddr,
			HandshakesPerSecond: cfg.HandshakesPerSecond,

			HandshakesPerSecondPerAddr: cfg.HandshakesPerSecondPerAddr,
		},
	}
	if cfg.PerMessageDeflate {
		out.Transport.PerMessageDeflate = &transport.PerMessageDeflate{}
	}
	if cfg.Cookie != "" {
		out.Transport.Cookie = &transport.Cookie{Name: cfg.Cookie}
	}
	if len(cfg.AllowedOrigins) > 0 {
		out.Transport.CORS = cfg.cors()
	}
	if cfg.Recovery > 0 {
		out.Recovery = &server.Recovery{Recovery: adapter.Recovery{MaxDisconnection: cfg.Recovery}}
	}
	if cfg.Adjust != nil {
		cfg.Adjust(&out)
	}
	return out
}

// cors is what AllowedOrigins and AllowCredentials mean to the transport.
func (cfg *Config) cors() *transport.CORS {
	return &transport.CORS{Origins: cfg.AllowedOrigins, Credentials: cfg.AllowCredentials, MaxAge: 10 * time.Minute}
}
