package main

import (
	"errors"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/redis"
)

// TestAiling: a part that fails is a violation, but for states of sessions that could not be kept before.
func TestAiling(t *testing.T) {
	since := time.Now()
	before, after := since.Add(-time.Second), since.Add(time.Second)
	err := errors.New("NOPERM")
	for _, x := range []struct {
		part redis.Part
		is   string
	}{
		{redis.Part{Kind: redis.PartRecovery, Since: after}, ""},
		{redis.Part{Kind: redis.PartRecovery, Err: err, Since: before}, ""},
		{redis.Part{Kind: redis.PartRecovery, Err: err, Since: after}, "recovery : NOPERM"},
		{redis.Part{Kind: redis.PartChannels, Of: "a", Err: err, Since: before}, "channels a: NOPERM"},
	} {
		if is := ailing(redis.Status{Parts: []redis.Part{{Kind: redis.PartStart}, x.part}}, since); is != x.is {
			t.Errorf("%v: %q", x.part, is)
		}
	}
}
