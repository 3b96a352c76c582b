package redis

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// failing refuses some commands as Redis does while it fails over.
type failing struct{ left int }

func (*failing) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if f.left > 0 {
			f.left--
			err := refusal([]string{"CLUSTERDOWN The cluster is down", "TRYAGAIN", "LOADING Redis is loading"}[f.left%3])
			c.SetErr(err)
			return err
		}
		return next(ctx, c)
	}
}

// A server is found though Redis fails over in that moment: to wait costs a client less than its session. The address of
// one that was found before is used at once.
func TestServerIsFoundWhileRedisFailsOver(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	f := &failing{}
	client.AddHook(f)
	r := newRegistry(&Cluster{client: client, cfg: Config{Prefix: "p"}}, "here", func(context.Context) (string, error) { return "http://here", nil }, "secret")
	if err := client.Set(t.Context(), r.key("there"), "http://there#x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	f.left = 3
	if at, err := r.find(t.Context(), "there"); at.addr != "http://there" || err != nil || f.left > 0 {
		t.Errorf("find = %q, %v, and %d refusals are left", at.addr, err, f.left)
	}
	r.mu.Lock()
	r.known["there"] = place{addr: "http://there", at: r.known["there"].at.Add(-2 * freshFor)}
	r.mu.Unlock()
	f.left = 3
	if at, err := r.find(t.Context(), "there"); at.addr != "http://there" || err != nil || f.left != 2 {
		t.Errorf("find = %q, %v, and %d refusals are left", at.addr, err, f.left)
	}
}

// Of two that have one address either may renew its entry last: a twin that was not met once is there nevertheless.
func TestTwinThatIsNotMetOnce(t *testing.T) {
	r := newRegistry(&Cluster{cfg: Config{HeartbeatMisses: 3}}, "a", nil, "secret")
	for i, met := range []bool{true, false, false, true, false, false, false} {
		var twin error
		if met {
			twin = errTwin
		}
		if changed := r.meets(twin); changed != (i == 0) || r.twinned() == nil {
			t.Errorf("renewal %d: changed %t, %v", i, changed, r.twinned())
		}
	}
	if !r.meets(nil) || r.twinned() != nil {
		t.Errorf("it is not over: %v", r.twinned())
	}
}

// What others have found while a node stood still it reads when that is over: it is one when it is renewed.
func TestFindingOfTheTimeANodeStoodStill(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	state := newState(slog.New(slog.DiscardHandler))
	r := newRegistry(&Cluster{client: client, cfg: Config{Prefix: "p"}, state: state}, "here", nil, "secret")
	v := newVisits(r, &ForwardConfig{})
	now := time.Now().Unix()
	for i, step := range []struct {
		at   int64 // of the finding; 0: there is none
		said bool
	}{{now, false}, {now, false}, {0, false}, {now, false}, {now + 1, true}, {now + 2, true}, {0, false}, {now + 2, false}} {
		if step.at == 0 {
			client.Del(t.Context(), v.findingKey("here"))
		} else {
			text := mark{at: step.at, from: "there", addr: findUnanswered + " in time"}.sign("secret", aboutNode("here", place{instance: r.instance}))
			if err := client.Set(t.Context(), v.findingKey("here"), text, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		v.heed(t.Context())
		if _, _, err, _ := state.get(); errors.Is(err, errUnanswered) != step.said {
			t.Errorf("step %d: %v", i, err)
		}
	}
}
