package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// briefly has Redis run out of memory in the middle of the next pipeline.
type briefly struct {
	admin *redis.Client
	cut   bool // and the connection breaks before the rest has been sent
	done  bool
}

func (*briefly) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*briefly) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b *briefly) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, list []redis.Cmder) error {
		if b.done {
			return next(ctx, list)
		}
		b.done = true
		var errs []error
		for i, part := range [][]redis.Cmder{list[:4], list[4:6], list[6:]} {
			errs = append(errs, b.admin.ConfigSet(ctx, "maxmemory", strconv.Itoa(i%2)).Err())
			if i < 2 || !b.cut {
				errs = append(errs, next(ctx, part))
				continue
			}
			errs = append(errs, b.admin.Do(ctx, "client", "kill", "type", "normal", "skipme", "yes").Err(), io.ErrUnexpectedEOF)
			for _, x := range part {
				x.SetErr(io.ErrUnexpectedEOF)
			}
		}
		return errors.Join(errs...)
	}
}

// What Redis refuses in the middle of a pipeline is not overtaken by what it would take, nor by what it has not answered.
func TestNothingOvertakesWhatIsRefused(t *testing.T) {
	t.Parallel()
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut=%v", cut), func(t *testing.T) {
			t.Parallel()
			refusedInTheMiddle(t, cut)
		})
	}
}

func refusedInTheMiddle(t *testing.T, cut bool) {
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 1, PipelinePoolSize: 1, MaxRetries: -1})
	defer client.Close()
	client.AddHook(&briefly{admin: server.Client(), cut: cut})
	box := newOutbox(100, 1<<20)
	s := newSender(&publisher{client: client, box: box, keeper: &keeper{rings: rings{"": newRing(0, 0)}}, stats: &counters{}, state: newState(slog.New(slog.DiscardHandler)),
		maxAge: time.Minute, maxLen: func(string) int64 { return 1000 }}, "", client, box)
	for i := range 9 {
		for _, stream := range []string{"a", "b"} {
			err := box.put(&command{op: opXAdd, key: stream, route: stream, xadd: &entry{uid: "x", nsp: "/", data: strconv.Itoa(i)}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	s.pending = box.take(nil, 100, 1<<20)
	if err := s.send(t.Context()); err == nil || !cut && !passing(err) || len(s.pending) == 0 {
		t.Errorf("send = %v, and %d are to be sent again", err, len(s.pending))
	}
	if err := s.send(t.Context()); err != nil || len(s.pending) > 0 {
		t.Errorf("send = %v, and %d are to be sent again", err, len(s.pending))
	}
	for _, stream := range []string{"a", "b"} {
		list, err := client.XRange(t.Context(), stream, "-", "+").Result()
		if err != nil || len(list) != 9 {
			t.Errorf("%d entries, %v", len(list), err)
		}
		for i, x := range list {
			if x.Values["data"] != strconv.Itoa(i) {
				t.Errorf("in place %d of stream %s is %v", i, stream, x.Values["data"])
			}
		}
	}
}
