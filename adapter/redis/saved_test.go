package redis

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// A SET whose answer was lost is done again if Redis has not done it, and never if somebody may have taken what
// it saved: that would be there for a second socket.
func TestSetInDoubt(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client()
	p := &sender{publisher: &publisher{client: client, keeper: &keeper{}, stats: &counters{}, state: newState(slog.New(slog.DiscardHandler)), maxAge: time.Minute}}
	for name, c := range map[string]struct {
		holds, was string
		want       bool
	}{
		"not done":                            {"", "", false},
		"not done, after another was taken":   {takenBy("before") + " x", takenBy("before"), false},
		"done":                                {"mine", takenBy("before"), true},
		"done and taken":                      {takenBy("mine") + " x", "", true},
		"done and taken, after another":       {takenBy("mine") + " x", takenBy("before"), true},
		"done, taken, and saved by somebody":  {"another", "", true},
		"done, taken, saved, and taken again": {takenBy("another") + " x", takenBy("before"), true},
	} {
		key := "key " + name
		if c.holds != "" {
			if err := client.Set(t.Context(), key, c.holds, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.saved(t.Context(), &command{op: opSet, key: key, data: []byte("mine"), was: c.was, at: time.Now()}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestPersistWaitsForRedis: what Redis will do a little later is asked for again, as after a broken connection.
func TestPersistWaitsForRedis(t *testing.T) {
	for text, want := range map[string]int{
		"LOADING Redis is loading the dataset in memory": 3, "MASTERDOWN Link with MASTER is down": 3,
		"WRONGTYPE Operation against a key": 1, "redis: nil": 1,
	} {
		tries := 0
		err := persist(t.Context(), func() error {
			if tries++; tries == 3 {
				return nil
			}
			return refusal(text)
		})
		if tries != want || (err == nil) != (want == 3) {
			t.Errorf("%s: asked %d times, %v", text, tries, err)
		}
	}
}

// However many rooms a server publishes to, and whatever the names are, Redis keeps the ends of so many.
func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for _, nsp := range []string{"/", "/" + strings.Repeat("n", 500)} {
		r := newRecord(client, &Config{Prefix: strconv.Itoa(len(nsp))}, "server")
		const each = 5000
		write := func(from int) {
			t.Helper()
			ends := map[laneKey]recorded{}
			for i := range each {
				ends[laneKey{nsp, strconv.Itoa(from + i)}] = recorded{n: 1, count: 1}
			}
			if err := r.write(t.Context(), ends); err != nil {
				t.Fatal(err)
			}
		}
		most := maxRecorded / (fieldCost + len(nsp))
		parts := 3*most/each + 3
		for i := range parts {
			write(i * each)
		}
		names, err := r.departed(t.Context(), time.Time{})
		if err != nil || len(names) > 0 { // its own are not
			t.Error(names, err)
		}
		list := client.ZRange(t.Context(), r.at+"ends", 0, -1).Val()
		if len(list) != 2 {
			t.Errorf("there are %q", list)
		}
		for _, name := range list {
			if n := client.HLen(t.Context(), r.at+name).Val(); n > int64(most)+each {
				t.Errorf("%s has %d fields, and %d fit", name, n, most)
			}
		}
		adaptertest.Eventually(t, func() error {
			if keys := client.Keys(t.Context(), r.at+"server.*").Val(); len(keys) != 2 {
				return fmt.Errorf("there are %q", keys)
			}
			return nil
		})
		last := strconv.Itoa(parts*each - 1)
		if ends, err := r.read(t.Context(), list, []laneKey{{nsp, last}}); err != nil || len(ends) != 1 {
			t.Errorf("of the last: %v, %v", ends, err)
		}
	}
}

// TestRecordExpires: what a server keeps in Redis of its messages does not stay there, though Redis has been emptied
// meanwhile.
func TestRecordExpires(t *testing.T) {
	client := redistest.Start(t).Client()
	r := newRecord(client, &Config{Prefix: "p"}, "server")
	for range 2 {
		if err := r.write(t.Context(), map[laneKey]recorded{{nsp: "/"}: {n: 1, count: 1}}); err != nil {
			t.Fatal(err)
		}
		if left := client.PTTL(t.Context(), r.at+r.name).Val(); left <= 0 {
			t.Errorf("the record ends in %v", left)
		}
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// The record of a server that has ended is read by who may have missed the last that it says: until when it was written is
// not said each time.
func TestRecordOfOneThatHasJustEndedIsRead(t *testing.T) {
	client := redistest.Start(t).Client()
	cfg := &Config{Prefix: "p"}
	ended, away := newRecord(client, cfg, "ended"), newRecord(client, cfg, "away")
	write := func(n uint64) {
		t.Helper()
		if err := ended.write(t.Context(), map[laneKey]recorded{{nsp: "/"}: {n: n, count: n}}); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	since := time.Now()
	write(2)
	if names, err := away.departed(t.Context(), since); err != nil || len(names["ended"]) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	if names, err := away.departed(t.Context(), since.Add(time.Minute)); err != nil || len(names) > 0 {
		t.Errorf("of one that ended before: %v, %v", names, err)
	}
}
