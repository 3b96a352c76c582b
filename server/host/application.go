package host

import (
	"context"
	"net/http"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/metrics"
)

// Application is a Socket.IO server that a host can carry: a *server.Server or a *zishang.Handler.
type Application interface {
	http.Handler
	metrics.Source
	// Shutdown closes the sessions, waits for the handlers and closes the adapters, or returns the error
	// of ctx when that ends first.
	Shutdown(ctx context.Context) error
}

var _ Application = (*server.Server)(nil)

// newApplication makes what the host carries.
func (h *Host) newApplication(sc server.Config) (err error) {
	if h.cfg.Server != nil {
		h.app, err = h.cfg.Server(sc)
		return err
	}
	if h.io, err = server.New(sc); err != nil {
		return err
	}
	h.app = h.io
	return nil
}

// IO returns the Socket.IO server, or nil when Config.Server has made another application.
func (h *Host) IO() *server.Server { return h.io }

// Application returns the Socket.IO server, of whatever kind.
func (h *Host) Application() Application { return h.app }
