package redis_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestClientsThatComeBackTogether: what many clients have missed is read from the stream once for all of them, however large
// it is: each that reads it by itself takes the others their time.
func TestClientsThatComeBackTogether(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	const clients, events, size = 50, 50, 500_000
	cfg := redis.Config{URL: s.URL(), Mode: redis.Streams, Recovery: &adapter.Recovery{}, Prefix: "p", MaxStreamBytes: 1 << 30, RequestTimeout: adaptertest.Patience}
	c := start(t, cfg)
	n := adaptertest.NewNode(t, "/back", c.Adapter())
	n.Ready = c.Ready
	ready(t, c)
	if err := n.Broadcast(adaptertest.Event(`["before"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	var sessions []adapter.Session
	for i := range clients {
		m := adaptertest.NewMember(fmt.Sprintf("member-%012d", i))
		n.Join(m)
		if err := n.Broadcast(adaptertest.Event(`["one"]`), adapter.Target{}); err != nil { // each has another state
			t.Fatal(err)
		}
		s := m.Leave(n, fmt.Sprint("pid", i))
		if err := n.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	watcher := adaptertest.NewMember("watcher")
	n.Join(watcher)
	for range events {
		if err := n.Broadcast(adaptertest.Event(`["`+strings.Repeat("x", size)+`"]`), adapter.Target{Rooms: []string{"of nobody"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Broadcast(adaptertest.Event(`["last"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, func() error { // all of it is in the stream
		if got := c.Stats().Received; got < clients+events+2 {
			return fmt.Errorf("%d entries were read", got)
		}
		return nil
	})
	before := sent(t, s)
	var wg sync.WaitGroup
	for _, s := range sessions {
		wg.Go(func() {
			restored, err := n.Restore(t.Context(), s.PID, s.Last)
			if err != nil {
				t.Errorf("%s: %v", s.PID, err)
				return
			}
			m := adaptertest.NewMember(s.SID)
			if err := n.Resume(t.Context(), m, restored, m.Replay); err != nil {
				t.Errorf("%s: %v", s.PID, err)
				return
			}
			if got := m.Got(); len(got) == 0 || !strings.Contains(got[len(got)-1], "last") || strings.Contains(fmt.Sprint(got), "xxx") {
				t.Errorf("%s got %d events", s.PID, len(got))
			}
		})
	}
	wg.Wait()
	if read := sent(t, s) - before; read > 3*events*size {
		t.Errorf("Redis has sent %d bytes for %d clients that have missed the same %d", read, clients, events*size)
	}
}

// sent is how many bytes a Redis has sent.
func sent(t *testing.T, s *redistest.Server) int {
	t.Helper()
	info, err := s.Client().Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "total_net_output_bytes:")
	line, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
