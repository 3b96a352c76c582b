package redis_test

import (
	"fmt"
	"strings"
	"testing"

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
