package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// The password of Redis is changed, connections end, and later it is changed back: what was published meanwhile has
// waited, and was not counted as published.
func TestPasswordIsChanged(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--requirepass", "before")
			url := fmt.Sprintf("redis://:before@127.0.0.1:%d", s.Port)
			f := pair(t, cfg, url, url)
			admin := s.Client().Conn() // stays authenticated
			defer admin.Close()
			set := func(password string) {
				if err := admin.Do(t.Context(), "config", "set", "requirepass", password).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if err := admin.Auth(t.Context(), "before").Err(); err != nil {
				t.Fatal(err)
			}
			set("after")
			for _, kind := range []string{"normal", "pubsub"} {
				if err := admin.Do(t.Context(), "client", "kill", "type", kind, "skipme", "yes").Err(); err != nil {
					t.Fatal(err)
				}
			}
			adaptertest.Eventually(t, func() error {
				if f.clusters[0].Status().Up {
					return errors.New("up")
				}
				return nil
			})
			published := f.clusters[0].Stats().Published
			for i := range 100 {
				say(t, f.nodes[0], i)
			}
			pass(t, 300*time.Millisecond)
			if n := f.clusters[0].Stats().Published - published; n > 0 {
				t.Errorf("%d counted as published", n)
			}
			set("before")
			f.there.Wait(t, 100)
			if got := numbers(f.there); !slices.IsSorted(got) || len(got) != 100 {
				t.Errorf("got %v", got)
			}
		})
	}
}

// The stream is emptied, and goes on with ids that are lower than those read.
func TestStreamBeginsAnew(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	f := pair(t, redis.Config{Mode: redis.Streams, BlockTime: 200 * time.Millisecond}, s.URL(), s.URL())
	client := s.Client()
	if err := client.Do(t.Context(), "xadd", f.prefix, "99999999999999-0", "uid", "x", "nsp", "/other", "type", "3").Err(); err != nil {
		t.Fatal(err)
	}
	adaptertest.Eventually(t, func() error {
		if f.clusters[1].Stats().Skipped == 0 {
			return errors.New("not read yet")
		}
		return nil
	})
	if err := client.Del(t.Context(), f.prefix).Err(); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		say(t, f.nodes[0], i)
	}
	f.there.Wait(t, 10)
}

// storm sends n events.
func (f *flow) storm(n int) {
	f.t.Helper()
	f.burst(n)
	adaptertest.Eventually(f.t, func() error {
		if w := f.clusters[0].Stats().Waiting; w > 0 {
			return fmt.Errorf("%d wait", w)
		}
		return nil
	})
}

// burst is storm, and does not wait until Redis has taken it.
func (f *flow) burst(n int) {
	f.t.Helper()
	for range n {
		say(f.t, f.nodes[0], f.sent)
		f.sent++
	}
}

// arrives wants all that was sent to arrive, in order, or be counted by the receiver.
func (f *flow) arrives(causes ...string) {
	f.t.Helper()
	adaptertest.Eventually(f.t, func() error {
		s := f.clusters[1].Stats()
		got, lost := numbers(f.there), 0
		for _, cause := range causes {
			lost += int(s.Lost[cause])
		}
		if len(got)+lost != f.sent || len(causes) > 0 && lost == 0 || !slices.IsSorted(got) {
			return fmt.Errorf("%d of %d, %+v", len(got), f.sent, s)
		}
		return nil
	})
}

func streams() map[string]redis.Config {
	m := modes()
	return map[string]redis.Config{"streams": m["streams"], "recovery": m["recovery"]}
}

// What the stream has dropped before it was read is fetched from who added it. What that has no more is counted, to
// the number.
func TestTrimmed(t *testing.T) {
	t.Parallel()
	for name, cfg := range streams() {
		for _, keeps := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/keeps=%v", name, keeps), func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				p := redistest.NewProxy(t, s.Addr())
				cfg := cfg
				cfg.MaxStreamLen = 200
				var causes []string
				if !keeps {
					cfg.MaxResendBytes, causes = 200_000, []string{"trimmed"}
				}
				f := pair(t, cfg, s.URL(), p.URL())
				f.storm(10)
				f.there.Wait(t, 10)
				p.Block()
				f.storm(3000)
				p.Unblock()
				f.arrives(causes...)
				f.storm(10)
				f.arrives(causes...)
				if n := f.clusters[1].Stats().Fetched; n == 0 {
					t.Error("nothing was fetched")
				}
			})
		}
	}
}

// A reader that falls behind says so before anything is trimmed.
func TestFarBehindIsSaid(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	l := &logged{Handler: slog.DiscardHandler}
	f := pair(t, redis.Config{Mode: redis.Streams, MaxStreamLen: 1000, ReadCount: 10, Logger: slog.New(l)}, s.URL(), p.URL())
	f.storm(10)
	f.there.Wait(t, 10)
	p.Block()
	f.storm(1000)
	adaptertest.Eventually(t, func() error { // all are in the stream before the first is read
		if n := f.clusters[0].Stats().Published; n < 1010 {
			return fmt.Errorf("%d are published", n)
		}
		return nil
	})
	p.Unblock()
	f.arrives()
	adaptertest.Eventually(t, func() error {
		if !l.has("read more slowly than it is written") {
			return errors.New("nothing is said")
		}
		return nil
	})
	if s := f.clusters[1].Stats(); s.Fetched > 0 {
		t.Errorf("it was trimmed already: %+v", s)
	}
	adaptertest.Eventually(t, func() error {
		if lag := f.clusters[1].Status().StreamLag; lag > 0 {
			return fmt.Errorf("it is %v behind", lag)
		}
		return nil
	})
}

// Somebody empties Redis under two servers, again and again, and it starts without its data: what they have not read is
// fetched, or counted with the right advice.
func TestRedisIsEmptied(t *testing.T) {
	t.Parallel()
	for name, cfg := range streams() {
		for _, keeps := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/keeps=%v", name, keeps), func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				p := redistest.NewProxy(t, s.Addr())
				cfg := cfg
				cfg.BlockTime = 200 * time.Millisecond
				var causes []string
				if !keeps {
					cfg.MaxResendBytes, causes = 10_000, []string{"stream lost"}
				}
				f := pair(t, cfg, s.URL(), p.URL())
				admin := s.Client()
				for range 2 {
					f.storm(100)
					adaptertest.Eventually(t, func() error { // of who was never read nobody knows where it began
						if f.clusters[1].Stats().Received == 0 {
							return errors.New("nothing has been read")
						}
						return nil
					})
					p.Block()
					f.storm(1) // comes to the read that waits in Redis, which many in one transaction would do as well
					f.storm(200)
					if err := admin.FlushAll(t.Context()).Err(); err != nil {
						t.Fatal(err)
					}
					p.Unblock() // and nothing comes behind
					f.arrives(causes...)
				}
				p.Block()
				f.storm(1)
				f.storm(200)
				s.Kill()
				s.Run()
				p.Unblock()
				f.storm(100)
				f.arrives(causes...)
				if lost := f.clusters[0].Stats().Lost; len(lost) > 0 {
					t.Errorf("the sender has lost %v", lost)
				}
			})
		}
	}
}

// Redis refuses entries in the middle of a pipeline for a moment: they wait, nobody takes them for repetitions, and
// nothing overtakes them.
func TestRefusedInTheMiddle(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	f := pair(t, redis.Config{Mode: redis.Streams, BlockTime: time.Second, MaxStreamLen: 200_000}, s.URL(), s.URL())
	admin := s.Client()
	storm(t, f, func(ctx context.Context) {
		for ctx.Err() == nil { // OOM for a moment
			_ = admin.ConfigSet(ctx, "maxmemory", "1").Err()
			pass(t, time.Millisecond)
			_ = admin.ConfigSet(context.WithoutCancel(ctx), "maxmemory", "0").Err()
			pass(t, 20*time.Millisecond)
		}
	})
}

// Redis cannot write to its disk, and refuses writes: they wait as when it is out of memory.
func TestEntriesWaitWhileTheDiskIsFull(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--save", "3600 1", "--enable-protected-configs", "yes")
	f := pair(t, redis.Config{Mode: redis.Streams, BlockTime: time.Second}, s.URL(), s.URL())
	admin := s.Client()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "dump", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, x := range [][2]string{{"dir", dir}, {"dbfilename", "dump"}} { // a directory cannot be replaced
		if err := admin.ConfigSet(t.Context(), x[0], x[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	adaptertest.Eventually(t, func() error {
		_ = admin.BgSave(t.Context()).Err()
		if err := admin.Set(t.Context(), "x", "y", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "MISCONF") {
			return fmt.Errorf("writes are not refused: %v", err)
		}
		return nil
	})
	f.flow()
	adaptertest.Eventually(t, func() error {
		if s := f.clusters[0].Stats(); s.Waiting < 10 {
			return fmt.Errorf("nothing waits: %+v", s)
		}
		return nil
	})
	if err := admin.ConfigSet(t.Context(), "stop-writes-on-bgsave-error", "no").Err(); err != nil {
		t.Fatal(err)
	}
	here, there := f.end()
	f.check(here, there)
}

// The stream is emptied before a node has read anything of another: it gets that from there, with the next entry and without.
func TestFirstEntriesOfAnEmptiedStream(t *testing.T) {
	t.Parallel()
	for name, cfg := range modes() {
		if cfg.Mode != redis.Streams {
			continue
		}
		for _, more := range []int{0, 1} {
			t.Run(fmt.Sprint(name, more), func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				p := redistest.NewProxy(t, s.Addr())
				f := pair(t, cfg, s.URL(), p.URL())
				emit := func(n int) {
					for range n {
						say(t, f.nodes[0], f.sent)
						f.sent++
					}
				}
				p.Cut(true)
				emit(5)
				client := s.Client()
				adaptertest.Eventually(t, func() error {
					if n, err := client.XLen(t.Context(), f.prefix).Result(); n != 5 || err != nil {
						return fmt.Errorf("%d entries, %v", n, err)
					}
					return nil
				})
				if err := client.Del(t.Context(), f.prefix).Err(); err != nil {
					t.Fatal(err)
				}
				p.Cut(false)
				emit(more)
				f.there.Wait(t, f.sent)
				if got := numbers(f.there); len(got) != f.sent || !slices.IsSorted(got) {
					t.Errorf("got %v; %+v", got, f.clusters[1].Stats())
				}
			})
		}
	}
}
