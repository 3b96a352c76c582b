package servertest

import (
	"context"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// Server makes a server for a test. What it has to say goes to the log of the test, unless cfg has a Logger, and it is
// shut down when the test ends, after its clients have gone.
func Server(t testing.TB, cfg server.Config) *server.Server {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = logger(t)
	}
	io, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Errorf("the server does not end: %v", err)
		}
	})
	return io
}

// Cluster makes n servers that are one cluster, as over Redis, in memory. cfg is that of each, without an Adapter; with
// Recovery a client is recovered on any of them.
func Cluster(t testing.TB, n int, cfg server.Config) []*server.Server {
	t.Helper()
	if cfg.Adapter != nil {
		t.Fatal("Cluster makes the adapters: leave Config.Adapter nil")
	}
	var recovery *adapter.Recovery
	if cfg.Recovery != nil {
		own := cfg.Recovery.Recovery
		recovery = &own
	}
	bus, err := adapter.NewBus(recovery)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]*server.Server, n)
	for i := range list {
		cfg.Adapter = bus.Adapter()
		list[i] = Server(t, cfg)
	}
	return list
}
