package host

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
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
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if !h.refuseName(w, r) {
			h.metrics.Handler().ServeHTTP(w, r)
		}
	})
	return h.serveSmall(ctx, "metrics", mux, func() net.Listener { return h.shown })
}

// refuseName refuses a request for a name that is not allowed. Those for an address are of no page of an attacker's name.
func (h *Host) refuseName(w http.ResponseWriter, r *http.Request) bool {
	_, err := netip.ParseAddr(nameOf(r.Host))
	return err != nil && !loopback(r.Host) && h.app.Engine().RefuseHost(w, r)
}
