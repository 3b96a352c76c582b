package redis

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// A number counts once, in whatever order they come.
func TestWindow(t *testing.T) {
	w := &window{}
	for _, x := range []struct {
		seq   uint64
		fresh bool
	}{{5, true}, {6, true}, {5, false}, {9, true}, {8, true}, {8, false}, {7, true}, {7, false}, {10, true}, {3, false},
		{1 << 40, true}, {1<<40 - 1, true}, {12, false}} {
		if fresh := w.take(x.seq); fresh != x.fresh {
			t.Errorf("take(%d) = %v", x.seq, fresh)
		}
	}
}

// A stream stands still while it asks for what is missing: of who has not answered not for as long as the first time, until
// that answers.
func TestWhoDoesNotAnswerIsAskedOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c, err := New(Config{URL: s.URL(), Mode: Streams, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	// It listens to its letters, and is no server that the list has: as one of another version.
	sub := s.Client().Subscribe(t.Context(), c.inbox.channel+"deaf#")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &reader{c: c, stream: "of nobody", windows: map[string]*window{}, replies: make(chan reply, 4), tails: map[string]uint64{}}
	w := &window{max: 1}
	for i, want := range []int{maxAsks, 1, 1} {
		upto := w.max + 1
		r.fetch(t.Context(), "deaf", true, w, upto)
		if w.max != upto {
			t.Errorf("it stands at %d, want %d", w.max, upto)
		}
		if err := s.Client().Publish(t.Context(), c.inbox.channel+"deaf#", "end").Err(); err != nil {
			t.Fatal(err)
		}
		asked := 0
		for {
			x, err := sub.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if m, ok := x.(*redis.Message); ok && m.Payload == "end" {
				break
			}
			asked++
		}
		if asked != want {
			t.Errorf("missing the %d. time: asked %d times, want %d", i+1, asked, want)
		}
	}
	// It answers again, and is given its time the next time.
	w.deaf = true
	r.replies <- reply{uid: "deaf", id: c.inbox.asked.Load() + 1, piece: piece{ending: ending{n: 1}, floor: w.max + 1}}
	r.fetch(t.Context(), "deaf", true, w, w.max+1)
	if w.deaf {
		t.Error("it has answered")
	}
}

// Where the entries of a server begin for one that has had none of it is asked until it is known: else what the stream
// has lost of it would be missing without a word. Of who never answers one is counted.
func TestWhereEntriesBeginIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c, err := New(Config{URL: s.URL(), Mode: Streams, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for answers, want := range map[int]uint64{1: 2, 2: 2, maxAsks: 2, maxAsks + 1: 8} {
		uid := fmt.Sprint("slow", answers)
		sub := s.Client().Subscribe(t.Context(), c.inbox.channel+uid+"#")
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := &reader{c: c, stream: "of nobody", windows: map[string]*window{}, replies: make(chan reply, 4), tails: map[string]uint64{}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for asked := 1; ; asked++ {
				if _, err := sub.ReceiveMessage(t.Context()); err != nil {
					return // closed
				}
				if asked < answers {
					continue
				}
				select { // each from then on: an answer that comes when it has asked again is none
				case r.replies <- reply{uid: uid, id: c.inbox.asked.Load(), piece: piece{ending: ending{n: 8, base: 2}}}:
				default:
				}
			}
		}()
		w := &window{}
		if !r.begin(t.Context(), uid, w, 9) || w.max != want || !w.begins() {
			t.Errorf("answered the %d. time: begins behind %d, want %d", answers, w.max, want)
		}
		if got := c.Stats().LostOf[uid]; got != uint64(b2i(answers > maxAsks)) {
			t.Errorf("answered the %d. time: %d lost", answers, got)
		}
		_ = sub.Close()
		<-done
	}
}
