package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// gone has a client send n events "work", leave, and close, while the first is with its handler.
func gone(t *testing.T, srv *server.Server, url string, n int, begun <-chan struct{}) {
	t.Helper()
	p, _ := join(t, url, "/")
	p.Flood(n, `42["work","`+strings.Repeat("x", 100)+`"]`)
	eventually(t, "all have come", func() bool { return srv.Stats().EventsIn == uint64(n) })
	await(t, begun)
	p.Send("41")
	p.HangUp()
	eventually(t, "the end of the session", func() bool { return srv.Engine().Sessions() == 0 })
}

// A stop waits for handlers that run, not for events that nobody has begun.
func TestStopDoesNotWaitForEventsNobodyHasBegun(t *testing.T) {
	const events = 20_000
	begun, hold := make(chan struct{}, events), make(chan struct{})
	var done atomic.Int32
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("work", func() {
				begun <- struct{}{}
				<-hold
				time.Sleep(time.Millisecond) // so that all of them take longer than a stop may
				done.Add(1)
			})
			s.OnDisconnect(func(server.Disconnection) { done.Add(events) })
		})
	})
	gone(t, srv, url, events, begun)
	close(hold)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("after %d of %d events: %v", done.Load(), events, err)
	}
	if n := done.Load(); n < events+1 || n == 2*events {
		t.Errorf("%d handlers are done, want some of %d events, and the disconnect handler", n, events)
	}
	if n := srv.Stats().EventsDropped; n == 0 || n+uint64(done.Load()) != 2*events {
		t.Errorf("%d dropped, %d done", n, done.Load())
	}
}

// Events that came before a stop, and are worked off at once, are.
func TestStopWorksOffWhatIsQuick(t *testing.T) {
	const events = 100
	var done atomic.Int32
	begun, hold := make(chan struct{}, events), make(chan struct{})
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("work", func() { begun <- struct{}{}; <-hold; done.Add(1) })
	})
	gone(t, srv, url, events, begun)
	close(hold)
	if err := srv.Close(); err != nil || done.Load() != events {
		t.Errorf("%d of %d events were handled, %v", done.Load(), events, err)
	}
}

// What a session that has ended makes the server hold keeps its place; what nobody has begun is dropped in the end.
func TestEndedSessionKeepsItsPlaceWhileItsEventsWait(t *testing.T) {
	t.Parallel()
	const events = 1000
	for name, cfg := range map[string]server.Config{
		"sessions": {Transport: transport.Config{MaxSessions: 1}},
		"address":  {Transport: transport.Config{MaxSessionsPerAddr: 1}},
		"identity": {Limits: server.Limits{MaxSessionsPerIdentity: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for ten seconds
			begun, hold := make(chan struct{}, events), make(chan struct{})
			var done atomic.Int32
			left := make(chan struct{})
			srv, url := start(t, cfg, func(io *server.Server) {
				io.Of("/free").Use(identified)
				io.OnConnection(func(s *server.Socket) {
					_ = s.SetIdentity("ada")
					s.On("work", func() { begun <- struct{}{}; <-hold; done.Add(1) })
					s.OnDisconnect(func(server.Disconnection) { close(left) })
				})
			})
			free := func() bool {
				if name == "identity" {
					return strings.HasPrefix(dial(t, url).enter("/free,", "ada"), "40")
				}
				resp, err := http.Get(url + "/socket.io/?EIO=4&transport=polling")
				if err != nil {
					t.Fatal(err)
				}
				return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
			}
			gone(t, srv, url, events, begun)
			if free() {
				t.Error("there is room for another while events wait")
			}
			eventually(t, "they are too late", func() bool { return srv.Stats().EventsDropped == events-1 })
			if name == "identity" {
				eventually(t, "room for another session of it", free)
			} else if free() {
				t.Error("there is room for another while a handler runs")
			}
			close(hold)
			await(t, left)
			if name != "identity" {
				eventually(t, "room for another", free)
			}
			if n := done.Load(); n != 1 {
				t.Errorf("%d events were handled, want the one that was begun", n)
			}
		})
	}
}

// The same for a CONNECT, which is work too, whatever it is at, and for what is done at the end.
func TestEndedSessionKeepsItsPlaceWhileItsConnectLasts(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"middleware", "connection handler", "disconnect handler", "identity"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			cfg := server.Config{Transport: transport.Config{MaxSessionsPerAddr: 1}}
			if at == "identity" {
				cfg = server.Config{Limits: server.Limits{MaxSessionsPerIdentity: 1}}
			}
			begun, hold := make(chan struct{}), make(chan struct{})
			wait := func(here bool) {
				if here {
					close(begun)
					<-hold
				}
			}
			srv, url := start(t, cfg, func(io *server.Server) {
				io.Of("/free").Use(identified)
				io.Use(func(s *server.Socket) error {
					wait(at == "middleware")
					return s.SetIdentity("ada")
				})
				io.OnConnection(func(s *server.Socket) {
					s.OnDisconnect(func(server.Disconnection) { wait(at == "disconnect handler") })
					wait(at == "connection handler" || at == "identity")
				})
			})
			free := func() bool {
				if at == "identity" {
					return strings.HasPrefix(dial(t, url).enter("/free,", "ada"), "40")
				}
				resp, err := http.Get(url + "/socket.io/?EIO=4&transport=polling")
				if err != nil {
					t.Fatal(err)
				}
				return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
			}
			p := dial(t, url)
			p.Send("40")
			if at == "disconnect handler" {
				p.Text()
			} else {
				await(t, begun)
			}
			p.HangUp()
			if at == "disconnect handler" {
				await(t, begun)
			}
			eventually(t, "the end of the session", func() bool { return srv.Engine().Sessions() == 0 })
			early := free()
			close(hold)
			if early {
				t.Fatal("there is room for another")
			}
			eventually(t, "room for another", free)
		})
	}
}

// A handler that waits for the end of its context does not hold up a stop, also one that begins during it.
func TestStopEndsTheContextOfLateHandlers(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 3)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("work", func(ctx context.Context) { begun <- struct{}{}; <-ctx.Done() })
	})
	p, _ := join(t, url, "/")
	p.Flood(3, `42["work"]`)
	eventually(t, "all have come", func() bool { return srv.Stats().EventsIn == 3 })
	await(t, begun)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if n := srv.Stats().EventsDropped; n != 1 || len(begun) != 1 {
		t.Errorf("%d dropped, %d begun during the stop, want one each", n, len(begun))
	}
}

// A stop that comes to the end of its time names the handlers that it has waited for, and where they are.
func TestHandlersThatHoldUpAStopAreNamed(t *testing.T) {
	t.Parallel()
	type order struct{ Item string }
	hold, begun := make(chan struct{}), make(chan struct{}, 4)
	log := &lines{}
	srv, err := server.New(server.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	waits := func() { begun <- struct{}{}; <-hold }
	srv.On("work", func(ctx context.Context) { waits() })
	srv.On("order", func(s *server.Socket, o order) (string, error) { waits(); return o.Item, nil })
	web := httptest.NewServer(srv)
	t.Cleanup(func() { close(hold); web.Close() })
	one, _ := join(t, web.URL, "/")
	two, _ := join(t, web.URL, "/")
	three, _ := join(t, web.URL, "/")
	one.Flood(1, `42["work"]`)
	two.Flood(1, `42["work"]`)
	three.Flood(1, `42["order",{"Item":"beans"}]`)
	for range 3 {
		await(t, begun)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown returned %v", err)
	}
	for _, want := range []string{`server_test.TestHandlersThatHoldUpAStopAreNamed`, "late_test.go:", "chan receive", "2 times"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in %s", want, log.String())
		}
	}
}
