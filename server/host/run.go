package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server/contract"
	"github.com/beanpole/beanpole/transport"
)

// ErrForced is returned by Run when a second signal cut the graceful stop short.
var ErrForced = errors.New("stopped at once by a second signal")

// Main runs an application: it reads the environment, makes the Host, lets setup add handlers and routes,
// prints the URL and runs until SIGTERM or SIGINT. What goes wrong is one line on the standard error and
// the exit code 1. It returns after a graceful stop.
func Main(setup func(*Host) error) { MainWith(nil, setup) }

// MainWith is Main for an application that has settings of its own: configure may change what the
// environment has set before the Host is made, for one its Server. Either may be nil.
func MainWith(configure func(*Config) error, setup func(*Host) error) {
	form := LogFormat(strings.TrimSpace(os.Getenv("BEANPOLE_LOG_FORMAT"))) // of what is wrong with the environment, too
	if err := run(&form, configure, setup); err != nil {
		tell(os.Stderr, form, slog.LevelError, err.Error())
		os.Exit(1)
	}
}

func run(form *LogFormat, configure func(*Config) error, setup func(*Host) error) error {
	keepPipes()
	cfg, err := FromEnv()
	if err != nil {
		return err
	}
	if configure != nil {
		if err := configure(&cfg); err != nil {
			return err
		}
	}
	*form = cfg.LogFormat
	h, err := newHost(cfg, redis.LogLibrary)
	if err != nil {
		return err
	}
	defer h.flushLog()
	h.warnVariables(unknownVariables(os.Environ()), cfg.idle())
	if setup != nil {
		if err := setup(h); err != nil {
			return err
		}
	}
	if file := os.Getenv(contract.Variable); file != "" {
		return errors.Join(h.writeContract(file), h.Shutdown(context.Background()))
	}
	signals, ignore := hear() // who reads that it is ready may end it
	defer ignore()
	if err := h.Listen(); err != nil {
		return err
	}
	tell(os.Stdout, h.cfg.LogFormat, slog.LevelInfo, h.greeting(os.Stdout))
	return h.run(context.Background(), signals)
}

// hear has the signals that end a host come to it, until ignore is called.
func hear() (signals chan os.Signal, ignore func()) {
	signals = make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	return signals, func() { signal.Stop(signals) }
}

// greeting is what Main says when it listens. At a terminal, where whoever writes the application looks, it names development
// mode if nobody has said whether that is wanted.
func (h *Host) greeting(out *os.File) string {
	more := ""
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	if _, said := os.LookupEnv("BEANPOLE_DEVELOPMENT"); terminal && !said && !h.cfg.Development {
		more = "; with BEANPOLE_DEVELOPMENT=true mistakes are named"
	}
	return fmt.Sprintf("Beanpole is ready at %s (Socket.IO at %s, stop with Ctrl+C%s)", h.URL(), h.cfg.Path, more)
}

// writeContract writes what clients and the server say to each other.
func (h *Host) writeContract(file string) error {
	if h.io == nil {
		return errors.New("contract: the application is none of package server, whose handlers have no types")
	}
	b, err := json.Marshal(h.io.Contract())
	if err != nil {
		return fmt.Errorf("contract: %w", err)
	}
	return os.WriteFile(file, b, 0o600)
}

// Run serves until ctx is done or the process gets SIGTERM or SIGINT. Then it stops as Shutdown does,
// within Config.ShutdownTimeout; a second signal ends that at once with ErrForced. It returns nil after
// a graceful stop. It has the process go on when the reader of its standard output or error goes (SIGPIPE).
func (h *Host) Run(ctx context.Context) error {
	signals, ignore := hear()
	defer ignore()
	return h.run(ctx, signals)
}

func (h *Host) run(ctx context.Context, signals <-chan os.Signal) error {
	keepPipes()
	defer h.flushLog()
	if err := h.Listen(); err != nil {
		return err
	}
	defer h.watchMemory(ctx)() // before the first session
	served := make(chan error, 1)
	go func() { served <- h.serve(h.accepting(transport.Listener(h.listener))) }()
	stopReturns := h.serveReturns()
	defer stopReturns()
	defer h.watchLifecycle(ctx)()
	defer h.watchCertificate(ctx)()
	defer h.writeFigures(ctx)()
	stopAdmin := h.serveAdmin(ctx)
	defer stopAdmin()
	defer h.serveMetrics(ctx)()
	h.life.Info("listening", "addr", h.listener.Addr().String(), "scheme", h.cfg.scheme(), "path", h.cfg.Path)

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case sig := <-signals:
		h.life.Info("stopping", "signal", sig.String(), "sessions", h.app.Engine().Sessions())
	case <-ctx.Done():
		h.life.Info("stopping", "sessions", h.app.Engine().Sessions())
	}
	return h.stop(context.WithoutCancel(ctx), signals, served)
}

// serveReturns serves what net/http has to see to on connections of polling. It returns what ends that.
func (h *Host) serveReturns() (stop func()) {
	returns := h.app.Engine().Returns()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.http.Serve(returns) // ends with returns, and says nothing else
	}()
	return func() {
		_ = returns.Close()
		<-done
	}
}

// stop ends the host within the deadline, or at once when another signal comes.
func (h *Host) stop(ctx context.Context, signals <-chan os.Signal, served <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.ShutdownTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(ctx) }()
	select {
	case err := <-done:
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		if err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		h.life.Info("stopped")
		return nil
	case <-signals:
		return errors.Join(ErrForced, h.http.Close())
	}
}
