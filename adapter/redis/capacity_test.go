package redis_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// usage is what a Redis server has done: commands that clients sent, and bytes in and out.
type usage struct{ commands, in, out int64 }

func (u usage) minus(v usage) usage {
	return usage{u.commands - v.commands, u.in - v.in, u.out - v.out}
}

// used asks a server what it has done.
func used(t *testing.T, s *redistest.Server) (u usage) {
	t.Helper()
	text, err := s.Client().Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "total_commands_processed":
			u.commands = n
		case "total_net_input_bytes":
			u.in = n
		case "total_net_output_bytes":
			u.out = n
		}
	}
	return u
}

// TestCapacityOfMembership: what many servers cost when they start together, when they are idle, and when one asks
// the others. With -v of 200 servers.
func TestCapacityOfMembership(t *testing.T) {
	count := 50
	if testing.Verbose() {
		count = 200
	}
	s := redistest.Start(t)
	prefix := unique()
	var clusters []*redis.Cluster
	var nodes []*adaptertest.Node
	before, began := used(t, s), time.Now()
	for range count {
		c, err := redis.New(redis.Config{URL: s.URL(), Prefix: prefix, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), adaptertest.Patience)
			defer cancel()
			_ = c.Close(ctx)
		})
		clusters = append(clusters, c)
		nodes = append(nodes, adaptertest.NewNode(t, "/", c.Adapter()))
	}
	for i, c := range clusters {
		adaptertest.Eventually(t, func() error {
			if s := c.Status(); !s.Up || s.Nodes != count {
				return fmt.Errorf("server %d: status %+v", i, s)
			}
			return nil
		})
	}
	u := used(t, s).minus(before)
	t.Logf("%d servers know each other after %v: %d commands, %d KB in, %d KB out", count, time.Since(began).Round(time.Millisecond),
		u.commands, u.in>>10, u.out>>10)

	pass(t, 3*time.Second) // what comes behind a start is no rest
	idle := 10 * time.Second
	before = used(t, s)
	pass(t, idle)
	u = used(t, s).minus(before)
	rate := float64(u.commands) / idle.Seconds() / float64(count)
	t.Logf("at rest: %.2f commands, %.0f bytes in and %.0f out, a second and server", rate,
		float64(u.in)/idle.Seconds()/float64(count), float64(u.out)/idle.Seconds()/float64(count))

	for _, n := range nodes {
		n.Join(adaptertest.NewMember(fmt.Sprintf("member-%013d", 0)))
	}
	before, began = used(t, s), time.Now()
	if n, err := nodes[0].Count(t.Context(), adapter.Target{}); n != count || err != nil {
		t.Errorf("Count = %d, %v", n, err)
	}
	took := time.Since(began)
	u = used(t, s).minus(before)
	t.Logf("a question: %v, %d commands, %d KB in, %d KB out", took.Round(time.Millisecond), u.commands, u.in>>10, u.out>>10)
}
