package server_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
)

// question returns the id that an event wants its acknowledgement with.
func question(t *testing.T, p *peer) (id int) {
	t.Helper()
	if _, err := fmt.Sscanf(p.Text(), `42%d["?"]`, &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// A client that answers nothing takes nothing from others: what is asked of them stays open, however much is asked of it. Its
// own questions end at once when it leaves too much unanswered.
func TestASilentClientTakesNothingFromOthers(t *testing.T) {
	const bound = 64
	for _, mode := range []redis.Mode{redis.PubSub, redis.Sharded, redis.Streams} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			start := nodesWithin(t, redis.Config{Mode: mode}, server.Limits{MaxQuestions: bound})
			a, _, readyA := start(func(*server.Server) {})
			_, url, readyB := start(func(*server.Server) {})
			silent, room := join(t, url, "/")
			slow, other := join(t, url, "/")
			readyA()
			readyB()
			type outcome struct {
				answers int
				err     error
			}
			ask := func(room string, told chan outcome) {
				t.Helper()
				if err := a.To(room).Timeout(patience).EmitThen(func(list []server.Args, err error) { told <- outcome{len(list), err} }, "?"); err != nil {
					t.Fatal(err)
				}
			}
			first := make(chan outcome, 1)
			ask(other, first)
			id := question(t, slow)
			before := runtime.NumGoroutine()
			told := make(chan outcome, 20*bound)
			for range 20 * bound {
				ask(room, told)
				question(t, silent)
			}
			if n := runtime.NumGoroutine() - before; n > bound {
				t.Errorf("%d goroutines", n)
			}
			for range 19 * bound {
				var part *adapter.PartialError
				if x := await(t, told); !errors.As(x.err, &part) || part.Clients != 1 || x.answers != 0 {
					t.Errorf("of the silent one: %v", x)
				}
			}
			slow.Send(fmt.Sprintf(`43%d["late"]`, id))
			if x := await(t, first); x.err != nil || x.answers != 1 {
				t.Errorf("of the other: %v", x)
			}
			silent.HangUp() // what is open ends
		})
	}
}

// With many silent clients it is the oldest questions that are given up, and nobody's is refused.
func TestTheOldestQuestionToManyIsGivenUp(t *testing.T) {
	const each, silent, most = 8, 6, 4 * 8
	io, url := start(t, server.Config{Limits: server.Limits{MaxQuestions: each}}, func(*server.Server) {})
	type outcome struct {
		k   int
		err error
	}
	told := make(chan outcome, each*silent)
	n := 0
	for range silent {
		p, room := join(t, url, "/")
		for range each {
			k := n
			if err := io.To(room).Timeout(patience).EmitThen(func(list []server.Args, err error) {
				told <- outcome{k, err}
			}, "?"); err != nil {
				t.Fatal(err)
			}
			question(t, p)
			n++
			if n > most {
				x := await(t, told)
				if part := (*adapter.PartialError)(nil); x.k != n-most-1 || !errors.As(x.err, &part) || !errors.Is(x.err, server.ErrQueueFull) || part.Clients != 1 {
					t.Errorf("question %d of %d ends with %v", x.k, n, x.err)
				}
			}
		}
	}
	p, room := join(t, url, "/")
	answered := make(chan error, 1)
	if err := io.To(room).EmitThen(func(list []server.Args, err error) { answered <- err }, "?"); err != nil {
		t.Fatal(err)
	}
	p.Send(fmt.Sprintf(`43%d[]`, question(t, p)))
	if err := await(t, answered); err != nil {
		t.Error(err)
	}
}

// A client whose large answers stay, as others do not answer the same questions, takes no answer from those who say little: of its
// own some are dropped, wherever it is connected.
func TestLargeAnswersTakeNothingFromSmallOnes(t *testing.T) {
	sizes := slices.Concat(slices.Repeat([]int{10_000}, 26), slices.Repeat([]int{700}, 9), slices.Repeat([]int{1}, 9))
	for _, where := range []string{"here", "there"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			start := nodesWithin(t, redis.Config{}, server.Limits{MaxQueuedBytes: 64 << 10})
			a, url, readyA := start(func(*server.Server) {})
			_, there, readyB := start(func(*server.Server) {})
			if where == "there" {
				url = there
			}
			silent, quiet := join(t, url, "/")
			loud, room := join(t, url, "/")
			good, other := join(t, url, "/")
			readyA()
			readyB()
			type outcome struct {
				answers int
				err     error
			}
			told := make(chan outcome, len(sizes))
			for _, size := range sizes {
				if err := a.To(room, quiet).Timeout(patience).EmitThen(func(list []server.Args, err error) { told <- outcome{len(list), err} }, "?"); err != nil {
					t.Fatal(err)
				}
				question(t, silent)
				loud.Send(fmt.Sprintf(`43%d["%s"]`, question(t, loud), strings.Repeat("x", size)))
			}
			for _, r := range []string{room, other} { // behind what was sent before
				for range 5 {
					answer := make(chan error, 1)
					go func() {
						list, err := a.To(r).Timeout(patience).EmitWithAck(t.Context(), "?")
						if err == nil && (len(list) != 1 || list[0].Len() != 1) {
							err = fmt.Errorf("answers %v", list)
						}
						answer <- err
					}()
					p := map[string]*peer{room: loud, other: good}[r]
					p.Send(fmt.Sprintf(`43%d["y"]`, question(t, p)))
					if err := await(t, answer); err != nil {
						t.Errorf("a small answer: %v", err)
					}
				}
			}
			silent.HangUp()
			lost := 0
			for range sizes {
				x := await(t, told)
				part := (*adapter.PartialError)(nil)
				switch {
				case x.err == nil && x.answers == 1:
				case errors.As(x.err, &part) && part.Clients == 1 && errors.Is(x.err, server.ErrQueueFull) && x.answers == 0:
					lost++
				default:
					t.Errorf("%d answers, %v", x.answers, x.err)
				}
			}
			if lost == 0 || lost > 3 {
				t.Errorf("%d answers of the loud one are not kept", lost)
			}
		})
	}
}
