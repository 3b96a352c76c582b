package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestRecoveryOverAHole: an event that Redis has lost is given by its sender to those who stayed, and is not in the stream
// for one who comes back: he begins anew, whatever the server to which he comes has read, and whatever came behind it. Who
// had the stream up to behind it recovers.
func TestRecoveryOverAHole(t *testing.T) {
	t.Parallel()
	for _, read := range []bool{false, true} {
		for _, behind := range []string{"", "sender", "other"} {
			for _, to := range []string{"sender", "other"} {
				t.Run(fmt.Sprintf("read=%v,behind=%s,to=%s", read, behind, to), func(t *testing.T) {
					t.Parallel()
					recoveryOverAHole(t, read, behind, to)
				})
			}
		}
	}
}

func recoveryOverAHole(t *testing.T, read bool, behind, to string) {
	cfg := redis.Config{Mode: redis.Streams, Recovery: &adapter.Recovery{}, Prefix: unique(), HeartbeatInterval: 100 * time.Millisecond, BlockTime: 100 * time.Millisecond}
	cfg.Stream, cfg.SessionPrefix = cfg.Prefix, cfg.Prefix+":session:"
	admin := shared.Client()
	foreign := func(event string) { // of nobody who counts
		t.Helper()
		values := []string{"uid", "another", "nsp", "/hole", "type", "3", "data", `{"packet":{"type":2,"nsp":"/hole","data":["` + event + `"]},"opts":{"rooms":[],"except":[],"flags":{}}}`}
		if err := admin.XAdd(t.Context(), &goredis.XAddArgs{Stream: cfg.Stream, Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	foreign("before all")
	nodes, proxies, clusters := map[string]*adaptertest.Node{}, map[string]*redistest.Proxy{}, []*redis.Cluster{}
	stayed := map[string]*adaptertest.Member{}
	for _, name := range []string{"sender", "other"} {
		proxies[name] = redistest.NewProxy(t, shared.Addr())
		cfg.URL = proxies[name].URL()
		c := start(t, cfg)
		clusters = append(clusters, c)
		nodes[name] = adaptertest.NewNode(t, "/hole", c.Adapter())
		nodes[name].Ready = c.Ready
	}
	ready(t, clusters...)
	for name, n := range nodes {
		stayed[name] = adaptertest.NewMember("member-stayed-" + name)
		n.Join(stayed[name])
	}
	emit := func(from, event string) {
		t.Helper()
		if err := nodes[from].Broadcast(adaptertest.Event(`["`+event+`"]`), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	// all waits until who stayed at those servers has had n events.
	all := func(n int, at ...string) {
		t.Helper()
		for _, name := range at {
			stayed[name].Wait(t, n)
		}
	}
	left := adaptertest.NewMember("member-left")
	nodes["other"].Join(left)
	emit("sender", "first")
	all(1, "sender", "other")
	last := adaptertest.Offset(t, left.Wait(t, 1)[0])
	s := left.Leave(nodes["other"], "pid")
	if err := nodes["other"].Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}

	if !read {
		proxies["other"].Cut(true)
	}
	published := clusters[0].Stats().Published
	emit("sender", "lost")
	all(2, "sender")
	if read {
		all(2, "other")
	}
	adaptertest.Eventually(t, func() error { // and so behind it in the stream
		list, err := admin.XRevRangeN(t.Context(), cfg.Stream, "+", "-", 1).Result()
		if err != nil || !strings.Contains(fmt.Sprint(list[0].Values["data"]), "lost") {
			return fmt.Errorf("the event is not in the stream: %v", err)
		}
		if clusters[0].Stats().Published == published {
			return errors.New("its sender does not know that it is") // and would send it again
		}
		return admin.XDel(t.Context(), cfg.Stream, list[0].ID).Err()
	})
	for _, p := range proxies {
		p.Cut(false)
	}
	foreign("of nobody")
	all(3, "other")
	if behind != "" {
		emit(behind, "behind")
		all(4, "sender", "other")
	} else {
		all(3, "sender")
	}

	n := nodes[to]
	restored, err := n.Restore(t.Context(), s.PID, last)
	if err != nil {
		t.Fatal(err)
	}
	again := adaptertest.NewMember(s.SID)
	if err := n.Resume(t.Context(), again, restored, again.Replay); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("resumed over the hole: %v, and got %q", err, again.Got())
	}
	for name, m := range stayed {
		got := strings.Join(m.Got(), "")
		for _, event := range []string{"first", "lost", "of nobody"} {
			if strings.Count(got, event) != 1 {
				t.Errorf("who stayed at the %s got %q", name, m.Got())
			}
		}
	}

	emit("sender", "later")
	for name, m := range stayed {
		adaptertest.Eventually(t, func() error {
			if !slices.ContainsFunc(m.Got(), func(e string) bool { return strings.Contains(e, "later") }) {
				return fmt.Errorf("at the %s: %q", name, m.Got())
			}
			return nil
		})
	}
}
