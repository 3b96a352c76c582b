package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// Node is one node of a cluster as the suite sees it.
type Node struct {
	adapter.Adapter
	NS *Namespace
	// Ready, if not nil, waits until other nodes' emits reach the rooms joined so far.
	Ready func(context.Context) error
}

// Unwrap returns the adapter, for adapter.As.
func (n *Node) Unwrap() adapter.Adapter { return n.Adapter }

// Cluster makes n nodes that share the namespace nsp and know of each other. They are closed by
// t.Cleanup.
type Cluster func(t *testing.T, nsp string, n int) []*Node

// NewNode makes a node with the factory and closes it when the test ends.
func NewNode(t *testing.T, nsp string, f adapter.Factory) *Node {
	t.Helper()
	ns := NewNamespace(nsp)
	a, err := f(ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &Node{Adapter: a, NS: ns}
}

// Event returns an event.
func Event(data string, attachments ...[]byte) adapter.Message {
	return adapter.Message{Data: []byte(data), Attachments: attachments}
}

// id makes socket ids of 20 characters, as the wire formats of clusters want them.
func id(n int) string { return fmt.Sprintf("member-%013d", n) }

// Run runs the suite with clusters of 1 and, if nodes is more, of that many nodes.
func Run(t *testing.T, nodes int, c Cluster) {
	RunUnordered(t, nodes, c)
	t.Run("Order", func(t *testing.T) { testOrder(t, c, nodes) })
}

// RunUnordered is Run for adapters with which events to different rooms may overtake each other.
func RunUnordered(t *testing.T, nodes int, c Cluster) {
	for n := 1; n <= nodes; n += max(1, nodes-1) {
		t.Run(fmt.Sprintf("nodes=%d", n), func(t *testing.T) {
			for _, test := range []struct {
				name string
				fn   func(*testing.T, Cluster, int)
			}{
				{"Broadcast", testBroadcast}, {"Rooms", testRooms}, {"Binary", testBinary},
				{"Flags", testFlags}, {"Acks", testAcks}, {"AcksPartial", testAcksPartial},
				{"Fetch", testFetch}, {"Manage", testManage}, {"ServerSideEmit", testServerSideEmit},
				{"Servers", testServers}, {"Namespaces", testNamespaces},
			} {
				t.Run(test.name, func(t *testing.T) { test.fn(t, c, n) })
			}
		})
	}
}

// populate puts two members on each of the nodes: member 2*i and 2*i+1 on node i; even ones join
// "even", all join "node<i>".
func populate(nodes []*Node) []*Member {
	var all []*Member
	for i, n := range nodes {
		for k := range 2 {
			m := NewMember(id(2*i + k))
			m.strip = n.Recovers()
			n.Join(m)
			n.Join(m, fmt.Sprint("node", i))
			if k == 0 {
				n.Join(m, "even")
			}
			all = append(all, m)
		}
	}
	return all
}

// joined waits until emits reach the rooms joined so far.
func joined(t *testing.T, nodes []*Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	for _, n := range nodes {
		if n.Ready != nil {
			if err := n.Ready(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// expect fails unless exactly the members numbered by want get the event data, and each once.
// last is an event sent after it to everyone.
func expect(t *testing.T, all []*Member, data string, want ...int) {
	t.Helper()
	for i, m := range all {
		count := func() (n int) {
			for _, got := range m.Got() {
				if got == data {
					n++
				}
			}
			return n
		}
		w := slices.Contains(want, i)
		if w {
			Eventually(t, func() error {
				if count() == 0 {
					return fmt.Errorf("member %d did not get %s", i, data)
				}
				return nil
			})
		}
		if n := count(); w && n != 1 || !w && n != 0 {
			t.Errorf("member %d got %s %d times, wanted %v", i, data, n, w)
		}
	}
}

// flush sends an event to everyone from every node and waits until all have it: whatever was sent
// before has arrived then, too.
func flush(t *testing.T, nodes []*Node, all []*Member) {
	t.Helper()
	joined(t, nodes)
	for i, n := range nodes {
		data := fmt.Sprintf(`["flush","%s-%d-%d"]`, t.Name(), i, time.Now().UnixNano())
		if err := n.Broadcast(Event(data), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			Eventually(t, func() error {
				if !slices.Contains(m.Got(), data) {
					return fmt.Errorf("%s did not get %s", m.ID(), data)
				}
				return nil
			})
		}
	}
}

func every(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func without(s []int, not ...int) []int {
	return slices.DeleteFunc(slices.Clone(s), func(x int) bool { return slices.Contains(not, x) })
}

// Ask is BroadcastWithAck, and returns when that is done.
func (n *Node) Ask(ctx context.Context, m adapter.Message, t adapter.Target, answer func(adapter.Message)) error {
	done := make(chan error, 1)
	n.BroadcastWithAck(ctx, m, t, answer, func(err error) { done <- err })
	return <-done
}
