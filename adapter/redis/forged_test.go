package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// forge publishes something to the namespace of f in the form of all modes, with a number of the first node.
func (f *flow) forge(cfg redis.Config, uid string, n, prev, count uint64) {
	f.t.Helper()
	client, channel := shared.Client(), f.prefix+"#/fault#"
	payload := fmt.Sprintf(`{"uid":%q,"nsp":"/fault","type":3,"data":[],"bp":[%d,%d,%d,%d,%d]}`, uid, n, prev, count, prev, count)
	var err error
	switch cfg.Mode {
	case redis.Streams:
		err = client.Do(f.t.Context(), "xadd", f.prefix, "*", "uid", uid, "nsp", "/fault", "type", "3", "data", "[]", "bp", fmt.Sprintf("%d..1", n)).Err()
	case redis.Sharded:
		err = client.SPublish(f.t.Context(), channel, payload).Err()
	default:
		err = client.Publish(f.t.Context(), channel, payload).Err()
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// What cannot be understood of another Beanpole server is an event lost, of that server, and the status says so; what
// comes from somebody unknown is garbage.
func TestWhatIsNotUnderstoodIsCounted(t *testing.T) {
	for name, cfg := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := pair(t, cfg, shared.URL(), shared.URL())
			f.forge(cfg, "somebody", 1, 0, 1)
			uid := f.clusters[0].UID()
			f.forge(cfg, uid, 1, 0, 1)
			adaptertest.Eventually(t, func() error {
				c := f.clusters[1]
				s, err := c.Stats(), failure(c, redis.PartAgreement, "messages")
				if s.Malformed != 2 || s.Lost["not understood"] != 1 || len(s.LostOf) != 1 || s.LostOf[uid] != 1 || c.Status().Up ||
					err == nil || !strings.Contains(err.Error(), uid) {
					return fmt.Errorf("%+v, %v", s, err)
				}
				return nil
			})
		})
	}
}

// A message that has the name of a server and a number that this has not given, far ahead, hides nothing of what the server
// sends afterwards, is not waited for, and counted for nothing that was lost.
func TestForgedNumberHidesNothing(t *testing.T) {
	t.Parallel()
	const far = 1 << 40
	for name, cfg := range modes() {
		for how, prev := range map[string]uint64{"as the first": 0, "as the next": 1, "behind a gap": far - 1} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				f := pair(t, cfg, shared.URL(), shared.URL())
				uid, want := f.clusters[0].UID(), 0
				send := func(k int) {
					for range k {
						say(t, f.nodes[0], want)
						want++
					}
				}
				has := func() {
					t.Helper()
					adaptertest.Eventually(t, func() error {
						if got := numbers(f.there); len(got) != want || !slices.IsSorted(got) {
							return fmt.Errorf("%d events came of %d: %v", len(got), want, got)
						}
						return nil
					})
				}
				if how != "as the first" {
					send(1)
					has()
				}
				f.forge(cfg, uid, far, prev, far)
				published(t, f.clusters[0])
				adaptertest.Eventually(t, func() error { // the sender of the rest must not overtake it
					if s := f.clusters[1].Stats(); s.Malformed == 0 {
						return fmt.Errorf("%+v", s)
					}
					return nil
				})
				send(3)
				has()
				s := f.clusters[1].Stats()
				if n := s.Lost["not understood"]; n > 2 || len(s.Lost) > 1 {
					t.Errorf("%+v", s.Lost)
				}
				before := s.Received
				pass(t, time.Second)
				if s := f.clusters[1].Stats(); s.Received > before+20 {
					t.Errorf("%d messages in a second in which nothing was sent", s.Received-before)
				}
			})
		}
	}
}

// What waits for something missing shows in the status, and a server that nobody has ever seen is not waited for for ever, nor
// counted as having lost anything.
func TestWhatIsMissingOfNobody(t *testing.T) {
	t.Parallel()
	for name, cfg := range channels() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := pair(t, cfg, shared.URL(), shared.URL())
			f.forge(cfg, "somebody", 1, 0, 1)
			f.forge(cfg, "somebody", 1<<40, 1<<40-1, 1<<40)
			for _, waits := range []bool{true, false} {
				adaptertest.Eventually(t, func() error {
					if lag := f.clusters[1].Status().FetchLag; (lag > 0) != waits {
						return fmt.Errorf("%v; %+v", lag, f.clusters[1].Stats())
					}
					return nil
				})
			}
			if s := f.clusters[1].Stats(); len(s.Lost)+len(s.LostOf) > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
