package redis_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// TestSocketThatCannotBeDescribed: one whose description is longer than a message may be is left out, which is said at once
// on both sides, and hides none of the others of its server.
func TestSocketThatCannotBeDescribed(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log written
			cfg.URL, cfg.Prefix, cfg.MaxMessageBytes = shared.URL(), unique(), 4<<10
			cfg.Stream, cfg.Logger = cfg.Prefix, slog.New(slog.NewTextHandler(&log, nil))
			a, b := start(t, cfg), start(t, cfg)
			x, y := adaptertest.NewNode(t, "/", a.Adapter()), adaptertest.NewNode(t, "/", b.Adapter())
			large := strings.Repeat("l", 5000)
			y.Join(adaptertest.NewMember(large))
			const others = 40 // more than one piece
			for i := range others {
				y.Join(adaptertest.NewMember(fmt.Sprintf("member-%013d", i)))
			}
			ready(t, a, b)
			for range 2 {
				began := time.Now()
				list, err := x.Fetch(t.Context(), adapter.Target{})
				var p *adapter.PartialError
				if len(list) != others || !errors.As(err, &p) || p.Clients != 1 || p.Nodes != 0 || !errors.Is(err, redis.ErrTooLarge) {
					t.Errorf("%d sockets of %d, %v after %v", len(list), others, err, time.Since(began))
				}
			}
			if n, err := x.Count(t.Context(), adapter.Target{}); n != others+1 || err != nil {
				t.Errorf("Count = %d, %v", n, err)
			}
			adaptertest.Eventually(t, func() error {
				if n := strings.Count(log.String(), "socket="+large); n != 1 || b.Stats().Lost["too large"] != 2 {
					return fmt.Errorf("said %d times; %+v", n, b.Stats())
				}
				return nil
			})
		})
	}
}

// A server of Node, which takes no pieces, gets those that fit.
func TestNodeGetsTheSocketsThatFit(t *testing.T) {
	t.Parallel()
	cfg := redis.Config{URL: shared.URL(), Prefix: unique(), MaxMessageBytes: 8 << 10}
	c := start(t, cfg)
	x := adaptertest.NewNode(t, "/", c.Adapter())
	x.Join(adaptertest.NewMember(strings.Repeat("l", 5000)))
	for i := range 5 {
		x.Join(adaptertest.NewMember(fmt.Sprintf("member-%013d", i)))
	}
	ready(t, c)
	client := shared.Client()
	sub := client.Subscribe(t.Context(), cfg.Prefix+"-response#/#")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	question := `{"requestId":"r","uid":"node","type":5,"opts":{"rooms":[],"except":[],"flags":{}}}`
	if err := client.Publish(t.Context(), cfg.Prefix+"-request#/#", question).Err(); err != nil {
		t.Fatal(err)
	}
	m, err := sub.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Sockets []json.RawMessage }
	if err := json.NewDecoder(bytes.NewBufferString(m.Payload)).Decode(&got); err != nil || len(got.Sockets) != 5 {
		t.Errorf("%d sockets, %v", len(got.Sockets), err)
	}
}
