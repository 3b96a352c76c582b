package redis_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
)

// Of several servers the one is degraded that most others do not reach, or that does not reach whom most others do; and nobody else.
func TestWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d", "e"}
	for name, x := range map[string]struct {
		reaches map[string]string // whom each reaches, of those that do not reach all
		reach   string            // who is told that the others do not reach it
		out     string            // who says that it does not reach the others
		says    string
	}{
		"one does not reach three":         {map[string]string{"a": "e"}, "", "a", "does not reach another, and others do"},
		"one does not reach another":       {map[string]string{"a": "cde"}, "", "a", "server b, at"},
		"one does not reach one far off":   {map[string]string{"a": "bde"}, "", "a", "server c, at"},
		"two do not reach one far off":     {map[string]string{"a": "bce", "b": "ace"}, "", "ab", "server d, at"},
		"three do not reach one far off":   {map[string]string{"a": "bde", "d": "abe", "e": "abd"}, "c", "", "do not reach this one"},
		"two do not reach another":         {map[string]string{"a": "cde", "d": "ace"}, "", "a", "server b, at"},
		"three do not reach another":       {map[string]string{"a": "cde", "c": "ade", "d": "ace"}, "b", "", "do not reach this one"},
		"nobody reaches three":             {map[string]string{"a": "b", "b": "a", "c": "ab", "d": "ab", "e": "ab"}, "cde", "", "do not reach this one"},
		"one reaches nobody, all reach it": {map[string]string{"a": ""}, "", "a", "reaches none of the others"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix, open := unique(), make(chan struct{})
			var trouble atomic.Bool
			var met [5]atomic.Int64
			var addrs atomic.Pointer[map[string]string] // names by address
			fronts, logs := map[string]*front{}, map[string]*written{}
			for _, n := range names {
				logs[n] = new(written)
				fronts[n] = visited(t, n, prefix, redis.ForwardConfig{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					select { // all are there
					case <-open:
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					to := (*addrs.Load())[addr]
					if reaches, some := x.reaches[n]; trouble.Load() && some && !strings.Contains(reaches, to) {
						return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}
					}
					met[to[0]-'a'].Add(1)
					return new(net.Dialer).DialContext(ctx, network, addr)
				}}, logs[n])
			}
			takesVisits(t, prefix, int64(len(names)))
			of := map[string]string{}
			for n, f := range fronts {
				of[strings.TrimPrefix(f.URL, "http://")] = n
			}
			addrs.Store(&of)
			close(open)
			// It comes when nobody has reason to doubt anybody, and all are visited no more often than is usual.
			adaptertest.Eventually(t, func() error {
				for i := range met {
					if met[i].Load() < 3 {
						return fmt.Errorf("%s has been visited %d times", names[i], met[i].Load())
					}
				}
				return nil
			})
			trouble.Store(true)
			for _, n := range strings.Split(x.reach, "") {
				fronts[n].says(t, "reach", x.says)
			}
			for _, n := range strings.Split(x.out, "") {
				fronts[n].says(t, "out", x.says)
			}
			bad := strings.Split(x.reach+x.out, "")
			for _, n := range names {
				if !slices.Contains(bad, n) && (!fronts[n].cluster.Status().Up || strings.Contains(logs[n].String(), "degraded")) {
					t.Errorf("%s: %+v\n%s", n, fronts[n].cluster.Status(), logs[n])
				}
			}
		})
	}
}
