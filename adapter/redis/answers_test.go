package redis

import (
	"context"
	"fmt"
	"slices"
	"testing"

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
			n := &namespace{c: &Cluster{inflow: newInflow()}, requests: map[string]*request{}}
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
