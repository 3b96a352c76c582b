package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestEmitterSaysWhatIsLost: whoever closes an emitter learns how much of what it took is lost, and why; and its log does
// not say that the cluster is up, of which it has seen nothing.
func TestEmitterSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	trouble := map[string]struct {
		cause string
		begin func(t *testing.T, s *redistest.Server)
	}{
		"away":    {"too old", func(_ *testing.T, s *redistest.Server) { s.Stop() }},
		"refused": {"refused", func(t *testing.T, s *redistest.Server) { forbid(t, s, "-publish", "-spublish", "-xadd") }},
		"unknown": {"too old", func(t *testing.T, s *redistest.Server) { forbid(t, s, "resetpass") }},
	}
	for mode, cfg := range modes() {
		for name, x := range trouble {
			t.Run(mode+" "+name, func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				var log written
				cfg := cfg
				cfg.URL, cfg.Prefix, cfg.MaxOutboxAge = s.URL(), unique(), 200*time.Millisecond
				cfg.Stream, cfg.Logger = cfg.Prefix, slog.New(slog.NewTextHandler(&log, nil))
				x.begin(t, s)
				e, err := redis.NewEmitter(cfg)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if err := e.Emit("x"); err != nil {
						t.Fatal(err)
					}
				}
				adaptertest.Eventually(t, func() error {
					if s := e.Stats(); s.Lost[x.cause] != 3 || s.Waiting != 0 {
						return fmt.Errorf("%+v", s)
					}
					return nil
				})
				ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
				defer cancel()
				var lost *redis.LostError
				if err := e.Close(ctx); !errors.As(err, &lost) || lost.Messages != 3 || lost.Causes[x.cause] != 3 || lost.Err == nil {
					t.Errorf("Close: %v", err)
				}
				adaptertest.Eventually(t, func() error {
					if text := log.String(); strings.Contains(text, "cluster up") || !strings.Contains(text, "cluster degraded") {
						return fmt.Errorf("the log says: %s", text)
					}
					return nil
				})
			})
		}
	}
}

// forbid changes what the user of all tests may do at s.
func forbid(t *testing.T, s *redistest.Server, rules ...any) {
	t.Helper()
	if err := s.Client().Do(t.Context(), append([]any{"acl", "setuser", "default"}, rules...)...).Err(); err != nil {
		t.Fatal(err)
	}
}

// An emitter whose messages were lost for a while says how many, when it works again.
func TestEmitterSaysWhatWasLost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var log written
	e, err := redis.NewEmitter(redis.Config{URL: s.URL(), Prefix: unique(), MaxOutboxAge: 200 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := e.Emit("lost"); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, func() error {
		if n := e.Stats().Lost["too old"]; n != 1 {
			return fmt.Errorf("%d lost", n)
		}
		return nil
	})
	s.Run()
	if err := e.Emit("arrives"); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, func() error {
		if text := log.String(); e.Stats().Published != 1 || !strings.Contains(text, "cluster up") || !strings.Contains(text, "messages=1") {
			return fmt.Errorf("%+v; the log says: %s", e.Stats(), text)
		}
		return nil
	})
	var lost *redis.LostError
	if err := e.Close(t.Context()); !errors.As(err, &lost) || lost.Messages != 1 {
		t.Errorf("Close: %v", err)
	}
}

// TestKeptEventsReachServersThatAreBackLater: an emitter publishes what it kept while Redis was away before servers listen again,
// and Redis has lost the list of them.
func TestKeptEventsReachServersThatAreBackLater(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			cfg.URL, cfg.Prefix = p.URL(), unique()
			c := start(t, cfg)
			m := adaptertest.NewMember("member-0000000000001")
			adaptertest.NewNode(t, "/", c.Adapter()).Join(m, "room")
			ready(t, c)
			adaptertest.Eventually(t, func() error { // it is in the list
				n, err := s.Client().ZCard(t.Context(), cfg.Prefix+"-beanpole:{"+cfg.Prefix+"}:nodes").Result()
				if err == nil && n != 1 {
					err = fmt.Errorf("%d servers", n)
				}
				return err
			})
			cfg.URL = s.URL()
			e, err := redis.NewEmitter(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.To("room").Emit("n", 0); err != nil {
				t.Fatal(err)
			}
			m.Wait(t, 1)
			p.Cut(true)
			s.Stop()
			const kept = 20
			for i := range kept {
				if err := e.To("room").Emit("n", i+1); err != nil {
					t.Fatal(err)
				}
			}
			s.Run()
			adaptertest.Eventually(t, func() error {
				if s := e.Stats(); s.Waiting > 0 {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			p.Cut(false)
			adaptertest.Eventually(t, func() error {
				if got := numbers(m); len(got) < 1+kept {
					return fmt.Errorf("got %v, %+v", got, e.Stats())
				}
				return nil
			})
			if got := numbers(m); len(got) != 1+kept || !slices.IsSorted(got) {
				t.Errorf("got %v", got)
			}
			ctx, cancel := context.WithTimeout(t.Context(), adaptertest.Patience)
			defer cancel()
			if err := e.Close(ctx); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}
