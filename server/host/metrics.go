package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/beanpole/beanpole/internal/origin"
)

// measured reports whether the metrics are shown anywhere: what nobody sees is not measured.
func (cfg *Config) measured() bool { return !cfg.NoAdmin || cfg.MetricsAddr != "" }

// listenMetrics opens the address of the metrics, if there is one.
func (h *Host) listenMetrics() (err error) {
	if h.cfg.MetricsAddr == "" {
		return nil
	}
	if h.shown, err = net.Listen("tcp", h.cfg.MetricsAddr); err != nil {
		return fmt.Errorf("the address of the metrics (set BEANPOLE_METRICS_ADDR to another): %w", err)
	}
	return nil
}

// serveMetrics serves them there, until the function it returns is called.
func (h *Host) serveMetrics(ctx context.Context) (stop func()) {
	if h.shown == nil {
		return func() {}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h.metrics.Handler())
	s := &http.Server{
		Handler:           h.named(mux),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       bodyTimeout, // nobody has a body to send
		IdleTimeout:       idleTimeout,
		WriteTimeout:      adminWriteTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          h.http.ErrorLog,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.life.Info("metrics", "addr", h.shown.Addr().String())
		if err := s.Serve(h.accepting(h.shown)); !errors.Is(err, http.ErrServerClosed) {
			h.life.Warn("metrics ended", "err", err)
		}
	}()
	return func() {
		_ = s.Close()
		<-ended
	}
}

// named refuses requests for hosts that are not among Config.AllowedHosts, if there are any, as a page has made by DNS
// rebinding. An address, by which collectors ask, is no name that leads elsewhere.
func (h *Host) named(next http.Handler) http.Handler {
	hosts, _ := origin.ParseHosts(h.cfg.AllowedHosts) // checked
	if len(hosts) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := netip.ParseAddr(nameOf(r.Host)); err != nil && !hosts.Has(r.Host) {
			http.Error(w, "not a host of this server", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
