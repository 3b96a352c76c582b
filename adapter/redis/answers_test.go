package redis

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// An answer that Redis brings twice, or that comes of a server to which the question came twice, counts once: nobody gets it
// again, and the others are waited for.
func TestAnswerThatComesTwiceCountsOnce(t *testing.T) {
	one := adapter.Message{Data: []byte(`[1]`)}
	for name, x := range map[string]struct {
		kind   kind
		answer message
		want   []string
	}{
		"servers":  {kindServerSideEmit, message{kind: kindServerSideEmitResponse, event: one}, []string{"[1]", "[1]"}},
		"clients":  {kindBroadcast, message{kind: kindClientCount}, nil},
		"a number": {kindFetch, message{kind: kindFetchResponse, counted: true, count: 2}, []string{"4"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &namespace{c: &Cluster{inflow: newInflow(time.Now)}, requests: map[string]*request{}}
			var got []string
			r := newRequest(x.kind, func(m adapter.Message) { got = append(got, string(m.Data)) })
			n.requests["q"] = r
			r.ask([]string{"a", "b"}, 1) // and one without a name
			r.answers.Expect(0)
			for _, uid := range []string{"a", "a", "a", "b"} {
				m := x.answer
				m.uid, m.request = uid, "q"
				n.answer(&m)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if r.answers.Wait(ended) == nil {
				t.Error("the one without a name is not waited for")
			}
			if x.kind == kindFetch {
				got = append(got, fmt.Sprint(r.count))
			}
			if !slices.Equal(got, x.want) {
				t.Errorf("got %v, want %v", got, x.want)
			}
		})
	}
}

// FuzzApart: whatever comes as several answers is read, or refused, and what was put together comes apart.
func FuzzApart(f *testing.F) {
	f.Add([]byte(`[1]`), []byte{0xc4, 1, 7}, false)
	f.Add([]byte(`{"_placeholder":true,"num":0}`), []byte{0x91, 0xc0}, true)
	f.Fuzz(func(t *testing.T, data, packed []byte, binary bool) {
		m := adapter.Message{Data: data}
		if binary {
			m.Attachments = [][]byte{packed}
		}
		list, err := apart(m)
		if err != nil || len(list) == 0 {
			return
		}
		if again, err := apart(together(list)); err != nil || len(again) != len(list) {
			t.Errorf("%d answers, then %d, %v", len(list), len(again), err)
		}
	})
}
