package host

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/beanpole/beanpole/transport"
)

// A listener on the loopback address keeps other machines out, but not the pages in a browser on this one. What
// follows is for the admin listener: a page of a site is known by the headers that browsers send, and one whose
// name its owner has made to mean this machine (DNS rebinding), by the Host header. What is left: whoever types the
// address of a site that redirects here has that site's choice of a GET served, which changes nothing and which the
// site cannot read; a profile that he takes so is in the way of others for as long.

// localOnly serves requests that were sent to this machine by name, and by no page of a site.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, origin := r.Header["Origin"]
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case !loopback(r.Host):
			http.Error(w, "the Host header must name this machine: localhost, 127.0.0.1 or [::1]", http.StatusForbidden)
		case origin, !transport.OwnSite(r):
			http.Error(w, "not for pages of a site", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// loopback reports whether a Host header names this machine.
func loopback(host string) bool {
	name := nameOf(host)
	ip, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && ip.IsLoopback()
}

// nameOf returns a Host header without its port.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// maxSmallBody is how many bytes of a body are read that nobody asks for.
const maxSmallBody = 64 << 10

// smallServer returns the HTTP server of a listener beside the host's own, whose requests need no body: one that
// comes has to be there in the time of a head.
func (h *Host) smallServer(ctx context.Context, next http.Handler) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 {
				control := http.NewResponseController(w)
				_ = control.SetReadDeadline(time.Now().Add(readHeaderTimeout))
				if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxSmallBody)); err != nil {
					http.Error(w, "no body is taken", http.StatusRequestEntityTooLarge)
					return
				}
				_ = control.SetReadDeadline(time.Time{}) // a drain takes longer
			}
			next.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		WriteTimeout:      adminWriteTimeout, // package pprof adds the time a profile takes
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          h.http.ErrorLog,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}

// serveSmall serves with such a server on a listener, for which it may wait and which may be none, until the function it
// returns is called.
func (h *Host) serveSmall(ctx context.Context, what string, next http.Handler, listener func() net.Listener) (stop func()) {
	s := h.smallServer(ctx, next)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l := listener()
		if l == nil {
			return
		}
		h.life.Info(what, "addr", l.Addr().String())
		if err := s.Serve(h.accepting(l)); !errors.Is(err, http.ErrServerClosed) {
			h.life.Warn(what+" ended", "err", err)
		}
	}()
	return func() {
		_ = s.Close()
		<-ended
	}
}

// maxProfileSeconds is how long one profile or trace may take.
const maxProfileSeconds = 300

// oneProfile lets one profile or trace that takes time be taken at once. The zero value is ready.
type oneProfile struct{ busy sync.Mutex }

// timed serves profiles that take as long as the parameter seconds says. Without it those of snapshots take
// no time.
func (o *oneProfile) timed(snapshots bool, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given := r.FormValue("seconds") // as package pprof reads it
		if given == "" && snapshots {
			serve(w, r)
			return
		}
		if n, err := strconv.ParseFloat(given, 64); given != "" && (err != nil || n <= 0 || !(n <= maxProfileSeconds)) {
			http.Error(w, "seconds must be a number above 0, up to "+strconv.Itoa(maxProfileSeconds), http.StatusBadRequest)
			return
		}
		if !o.busy.TryLock() {
			http.Error(w, "another profile is being taken: try again when it has ended", http.StatusConflict)
			return
		}
		defer o.busy.Unlock()
		serve(w, r)
	}
}
