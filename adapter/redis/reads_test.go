package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// Many recoveries that read much share what there is; one that reads little does not wait for them.
func TestRecoveriesShareWhatTheyRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begun := newReads(), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var pages, reading atomic.Int64
		var wg sync.WaitGroup
		page := func(bytes int) bool {
			if r.begin(ctx, bytes) != nil {
				return false
			}
			if n := reading.Add(1); n > maxReading {
				t.Errorf("%d read at a time", n)
			}
			time.Sleep(time.Millisecond) // of Redis
			reading.Add(-1)
			r.end()
			pages.Add(1)
			return true
		}
		for range 100 {
			wg.Go(func() {
				for page(10 * pageBytes) {
				}
			})
		}
		for range 100 {
			time.Sleep(50 * time.Millisecond)
			at := time.Now()
			if page(0); time.Since(at) > 100*time.Millisecond {
				t.Errorf("a first page waited %v", time.Since(at))
			}
		}
		wg.Wait()
		if most := int64((time.Since(begun)+readBurst)/pageEvery) + 101; pages.Load() > most || pages.Load() < most/2 {
			t.Errorf("%d pages in %v, want %d at most", pages.Load(), time.Since(begun), most)
		}
	})
}

// A recovery that had no turn says so, and nobody takes that for a fault of Redis.
func TestRecoveryWithoutATurn(t *testing.T) {
	c, err := New(Config{URL: redistest.Start(t).URL(), Mode: Streams, Recovery: &adapter.Recovery{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	adaptertest.NewNode(t, "/crowd", c.Adapter())
	for range maxReading {
		c.reads.turns <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.namespace("/crowd").entries(ctx, "-", "+", 1, 0); !errors.Is(err, errCrowded) {
		t.Error(err)
	}
	for _, p := range c.Status().Parts {
		if p.Kind == PartRecovery && p.Err != nil {
			t.Error(p.Err)
		}
	}
}
