package host

import (
	"context"
	"log/slog"

	"github.com/beanpole/beanpole/adapter"
)

// cluster is what joins this server to others.
type cluster struct {
	factory adapter.Factory             // nil means the adapter of one server alone
	health  func() error                // nil or what keeps the cluster from being whole
	close   func(context.Context) error // called after the server's adapters have been closed
}

// newCluster returns the cluster that cfg describes. This is where RedisURL becomes an adapter.
//
//nolint:unparam // an adapter over Redis may fail here
func newCluster(cfg *Config, log *slog.Logger) (cluster, error) {
	c := cluster{
		factory: cfg.Adapter,
		health:  func() error { return nil },
		close:   func(context.Context) error { return nil },
	}
	if cfg.RedisURL != "" && cfg.Adapter == nil {
		log.Warn("REDIS_URL is set but this version has no Redis adapter: the server runs alone")
	}
	return c, nil
}
