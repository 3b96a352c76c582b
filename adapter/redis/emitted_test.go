package redis

import (
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// Servers of versions before know an emitter's messages without numbers: told where its lanes end, they would ask for all of them again.
func TestServersBeforeAreToldNothingOfEmitters(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, mode := range []Mode{PubSub, Streams} {
		prefix := "p-" + string(mode)
		sub := s.Client().PSubscribe(t.Context(), prefix+"-beanpole#*")
		defer sub.Close()
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		e, err := NewEmitter(Config{URL: s.URL(), Mode: mode, Prefix: prefix, Stream: prefix, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close(t.Context())
		if err := e.Emit("x"); err != nil {
			t.Fatal(err)
		}
		for said := false; !said; {
			x, err := sub.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if m, ok := x.(*redis.Message); ok {
				kind, _, l := openLetter([]byte(m.Payload))
				if l == nil || kind < tellLeaving {
					t.Fatalf("mode %s: a letter of kind %d", mode, kind)
				}
				said = kind == tellEmitted
			}
		}
	}
}
