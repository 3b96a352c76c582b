package host

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"
)

// The admin listener is for this machine only: deployment hooks tell the host to drain there, before the
// platform stops nginx; Prometheus' agent finds /metrics there, and go tool pprof /debug/pprof/. It is
// never reached through a proxy.

// adminWriteTimeout bounds how long an answer takes to be read. Until a profile has been read no other can
// be taken.
const adminWriteTimeout = 30 * time.Second

// adminHost is where the admin listener is.
const adminHost = "127.0.0.1"

// adminAgain is the time between two tries to have the port of the admin listener. The server before it may be stopping.
const adminAgain = 500 * time.Millisecond

// listenAdmin opens the admin listener. That it cannot be is no reason not to start: the host can be stopped
// by a signal too, and it is tried again.
func (h *Host) listenAdmin() {
	if h.cfg.NoAdmin {
		return
	}
	if err := h.openAdmin(); err != nil {
		h.life.Warn("no admin listener yet, by which deployments drain this host and metrics are read; it is tried again. Its port may "+
			"be that of a server that is stopping: BEANPOLE_ADMIN_PORT sets another, without it it is the one after PORT", "err", err)
	}
}

// openAdmin opens the admin listener.
func (h *Host) openAdmin() error {
	l, err := net.Listen("tcp", net.JoinHostPort(adminHost, strconv.Itoa(max(0, int(h.cfg.adminPort())))))
	if err == nil {
		h.admin.Store(&l)
	}
	return err
}

// awaitAdmin returns the admin listener, or nil if there is none before ctx is done.
func (h *Host) awaitAdmin(ctx context.Context) net.Listener {
	for {
		if l := h.admin.Load(); l != nil {
			return *l
		}
		select {
		case <-time.After(adminAgain):
		case <-ctx.Done():
			return nil
		}
		_ = h.openAdmin() // has been said
	}
}

// AdminURL returns where the admin listener is, or "" while there is none.
func (h *Host) AdminURL() string {
	l := h.admin.Load()
	if l == nil {
		return ""
	}
	return "http://" + (*l).Addr().String() + "/"
}

// serveAdmin serves the admin listener until the function it returns is called.
func (h *Host) serveAdmin(ctx context.Context) (stop func()) {
	if h.cfg.NoAdmin {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /drain", h.adminDrain)
	mux.HandleFunc("DELETE /drain", h.adminResume)
	mux.HandleFunc("GET /drain", h.adminStatus)
	mux.Handle("GET /metrics", h.metrics.Handler())
	var one oneProfile
	mux.HandleFunc("GET /debug/pprof/", one.timed(true, pprof.Index))
	mux.HandleFunc("GET /debug/pprof/profile", one.timed(false, pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", one.timed(false, pprof.Trace))
	end := h.serveSmall(ctx, "admin listener", localOnly(mux), func() net.Listener { return h.awaitAdmin(ctx) })
	return func() {
		cancel()
		end()
	}
}

// adminDrain drains and answers when that is done. Parameters: time, how long the closes may be spread,
// and hold, after which clients are taken again if nobody stops the host.
func (h *Host) adminDrain(w http.ResponseWriter, r *http.Request) {
	within, ok := duration(r, "time", h.cfg.DrainTime)
	hold, ok2 := duration(r, "hold", resumeAfter)
	if !ok || !ok2 {
		http.Error(w, "time and hold must be durations from 1ms to 10m", http.StatusBadRequest)
		return
	}
	h.life.Info("draining", "sessions", h.app.Engine().Sessions(), "within", within)
	d := h.DrainSessions(r.Context(), within)
	h.resumeIn(hold)
	h.life.Info("drained", "sessions", d.Sessions, "left", d.Left, "took", d.Took.Round(time.Millisecond))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(adminWriteTimeout)) // it may have taken longer
	answer(w, d)
}

func (h *Host) adminResume(w http.ResponseWriter, r *http.Request) {
	h.Resume()
	h.adminStatus(w, r)
}

func (h *Host) adminStatus(w http.ResponseWriter, _ *http.Request) {
	status := map[string]any{"draining": h.draining.Load(), "sessions": h.app.Engine().Sessions()}
	if err := h.cluster.health(); err != nil {
		status["cluster"] = err.Error()
	}
	answer(w, status)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller is gone otherwise
}

func duration(r *http.Request, name string, def time.Duration) (time.Duration, bool) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return def, true
	}
	d, err := time.ParseDuration(v)
	return d, err == nil && d >= time.Millisecond && d <= 10*time.Minute
}
