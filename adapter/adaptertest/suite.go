package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

func testBroadcast(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/broadcast", n)
	all := populate(nodes)
	last := nodes[n-1]
	flush(t, nodes, all)
	if err := last.Broadcast(Event(`["all",1,{"a":"b"}]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	if err := last.Broadcast(Event(`["except"]`), adapter.Target{Except: []string{id(0), "node9"}}); err != nil {
		t.Fatal(err)
	}
	if err := last.Broadcast(Event(`["local"]`), adapter.Target{Flags: adapter.Flags{Local: true}}); err != nil {
		t.Fatal(err)
	}
	flush(t, nodes, all)
	expect(t, all, `["all",1,{"a":"b"}]`, every(2*n)...)
	expect(t, all, `["except"]`, without(every(2*n), 0)...)
	expect(t, all, `["local"]`, 2*n-2, 2*n-1)
}

func testRooms(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/rooms", n)
	all := populate(nodes)
	flush(t, nodes, all)
	first := nodes[0]
	send := func(data string, tg adapter.Target) {
		t.Helper()
		if err := first.Broadcast(Event(data), tg); err != nil {
			t.Fatal(err)
		}
	}
	even := []int{}
	for i := 0; i < 2*n; i += 2 {
		even = append(even, i)
	}
	target := func(rooms ...string) adapter.Target { return adapter.Target{Rooms: rooms} }
	send(`["even"]`, target("even"))
	send(`["both"]`, target("even", "node0"))
	send(`["self"]`, target(id(2*n-1)))
	send(`["none"]`, target("nobody"))
	send(`["many"]`, target("a", "b", "c", "even", "node0", id(0), id(1)))
	send(`["unlike"]`, adapter.Target{Rooms: []string{"even"}, Except: []string{"node0"}})
	send(`["mixed"]`, adapter.Target{Rooms: []string{"even", id(1)}, Except: []string{id(1)}})
	// A room of twenty characters is a room, though it looks like a socket id.
	nodes[n-1].Join(all[2*n-1], "abcdefghijklmnopqrst")
	// A room with the separators of the wire in its name.
	nodes[n-1].Join(all[2*n-1], "a#b#", "*?[x]\\")
	joined(t, nodes)
	send(`["twenty"]`, target("abcdefghijklmnopqrst"))
	send(`["hash"]`, target("a#b#"))
	send(`["glob"]`, target("*?[x]\\"))
	flush(t, nodes, all)
	expect(t, all, `["even"]`, even...)
	expect(t, all, `["both"]`, append([]int{1}, even...)...)
	expect(t, all, `["self"]`, 2*n-1)
	expect(t, all, `["none"]`)
	expect(t, all, `["many"]`, append([]int{1}, even...)...)
	expect(t, all, `["unlike"]`, without(even, 0)...)
	expect(t, all, `["mixed"]`, even...)
	expect(t, all, `["twenty"]`, 2*n-1)
	expect(t, all, `["hash"]`, 2*n-1)
	expect(t, all, `["glob"]`, 2*n-1)

	// Left rooms and removed members.
	nodes[n-1].Leave(all[2*n-1], "a#b#")
	if got := nodes[n-1].RoomsOf(all[2*n-1]); !slices.Contains(got, "*?[x]\\") || slices.Contains(got, "a#b#") || got[0] != id(2*n-1) {
		t.Errorf("RoomsOf = %q", got)
	}
	all[0].SetGone()
	if got := nodes[0].Remove(all[0]); !slices.Contains(got, "even") || !slices.Contains(got, id(0)) {
		t.Errorf("Remove = %q", got)
	}
	nodes[0].Join(all[0], "even") // too late
	send(`["left"]`, target("a#b#"))
	send(`["removed"]`, target("even"))
	flush(t, nodes, all[1:])
	expect(t, all, `["left"]`)
	expect(t, all, `["removed"]`, without(even, 0)...)
}

// settle waits until n can count want members in the room wherever they are: until an emit reaches it.
func settle(t *testing.T, n *Node, room string, want int) {
	t.Helper()
	Eventually(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		defer cancel()
		got, err := n.Count(ctx, adapter.Target{Rooms: []string{room}})
		if err != nil || got != want {
			return fmt.Errorf("Count(%q) = %d, %v, want %d", room, got, err, want)
		}
		return nil
	})
}

func testBinary(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/binary", n)
	all := populate(nodes)
	flush(t, nodes, all)
	big := []byte(strings.Repeat("\x00\xff\xfe\r\n", 20_000))
	want := Event(`["bin",{"_placeholder":true,"num":0},[{"x":{"_placeholder":true,"num":1}}],"é☃😀"]`, []byte{}, big)
	if err := nodes[0].Broadcast(want, adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		Eventually(t, func() error {
			text := m.Got()
			for i, got := range m.Messages()[:len(text)] {
				if text[i] == string(want.Data) {
					if !slices.EqualFunc(got.Attachments, want.Attachments, func(a, b []byte) bool { return string(a) == string(b) }) {
						t.Fatalf("%s got other attachments", m.ID())
					}
					return nil
				}
			}
			return fmt.Errorf("%s got %.300q", m.ID(), m.Got())
		})
	}
}

func testFlags(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/flags", n)
	all := populate(nodes)
	flush(t, nodes, all)
	f := adapter.Flags{Volatile: true, NoCompress: true}
	if err := nodes[0].Broadcast(Event(`["flagged"]`), adapter.Target{Flags: f}); err != nil {
		t.Fatal(err)
	}
	flush(t, nodes, all)
	for _, m := range all {
		i := slices.Index(m.Got(), `["flagged"]`)
		if i < 0 {
			t.Fatalf("%s got %q", m.ID(), m.Got())
		}
		if got := m.Flags()[i]; got != f {
			t.Errorf("flags of %s = %+v, want %+v", m.ID(), got, f)
		}
	}
}

func testOrder(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/order", n)
	all := populate(nodes)
	flush(t, nodes, all)
	const events = 500
	for i := range events {
		var tg adapter.Target
		switch i % 4 {
		case 1:
			tg.Rooms = []string{"even"}
		case 2:
			tg.Rooms = []string{"even", "node0"}
		case 3:
			tg.Rooms = []string{id(2*n - 2)}
		}
		if err := nodes[0].Broadcast(Event(fmt.Sprintf(`["n",%d]`, i)), tg); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, nodes, all)
	next := 0
	for _, got := range all[2*n-2].Got() {
		var i int
		if k, _ := fmt.Sscanf(got, `["n",%d]`, &i); k == 1 {
			if i != next {
				t.Fatalf("got event %d, want %d", i, next)
			}
			next++
		}
	}
	if next != events {
		t.Errorf("got %d events of %d", next, events)
	}
}

func testAcks(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/acks", n)
	all := populate(nodes)
	flush(t, nodes, all)
	for i, m := range all {
		m.Answer(func(adapter.Message) *adapter.Message {
			if i == 0 {
				return &adapter.Message{Data: []byte(`{"_placeholder":true,"num":0}`), Attachments: [][]byte{{0, 255}}}
			}
			return &adapter.Message{Data: fmt.Append(nil, i)}
		})
	}
	for _, node := range nodes {
		var got []string
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		err := node.BroadcastWithAck(ctx, Event(`["ask"]`), adapter.Target{}, func(m adapter.Message) {
			got = append(got, string(m.Data)+string(slices.Concat(m.Attachments...)))
		})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"{\"_placeholder\":true,\"num\":0}\x00\xff"}
		for i := 1; i < 2*n; i++ {
			want = append(want, fmt.Sprint(i))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("answers %q, want %q", got, want)
		}
		got = nil
		ctx, cancel = context.WithTimeout(t.Context(), Patience)
		err = node.BroadcastWithAck(ctx, Event(`["ask room"]`), adapter.Target{Rooms: []string{id(2*n - 1)}}, func(m adapter.Message) {
			got = append(got, string(m.Data))
		})
		cancel()
		if err != nil || len(got) != 1 || got[0] != fmt.Sprint(2*n-1) {
			t.Errorf("answers %q, %v", got, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := nodes[0].BroadcastWithAck(ctx, Event(`["ask"]`), adapter.Target{Rooms: []string{"nobody"}}, func(adapter.Message) {
		t.Error("an answer of nobody")
	}); err != nil {
		t.Errorf("asking nobody: %v", err)
	}
}

func testAcksPartial(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/partial", n)
	all := populate(nodes)
	flush(t, nodes, all)
	for _, m := range all[1:] {
		m.Answer(func(adapter.Message) *adapter.Message { return &adapter.Message{Data: []byte(`1`)} })
	}
	got := 0
	// Long enough for the answers that come, as nothing tells when they have.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	err := nodes[n-1].BroadcastWithAck(ctx, Event(`["ask"]`), adapter.Target{}, func(adapter.Message) { got++ })
	var p *adapter.PartialError
	if !errors.As(err, &p) || !errors.Is(err, context.DeadlineExceeded) || p.Clients != 1 || got != 2*n-1 {
		t.Errorf("error %v (%+v), %d answers of %d", err, p, got, 2*n-1)
	}
}

func testFetch(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/fetch", n)
	all := populate(nodes)
	flush(t, nodes, all)
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	for _, node := range nodes {
		d, err := node.Fetch(ctx, adapter.Target{})
		if err != nil || len(d) != 2*n {
			t.Fatalf("Fetch = %+v, %v", d, err)
		}
		want := NewNamespace("").Describe([]adapter.Member{all[0]})[0]
		for _, x := range d {
			if x.ID == all[0].ID() && fmt.Sprintf("%+v", x) != fmt.Sprintf("%+v", want) {
				t.Errorf("Fetch = %+v, want %+v", x, want)
			}
		}
		if d, err = node.Fetch(ctx, adapter.Target{Rooms: []string{"even"}, Except: []string{"node0"}}); err != nil || len(d) != n-1 {
			t.Errorf("Fetch even = %d details, %v", len(d), err)
		}
		if d, err = node.Fetch(ctx, adapter.Target{Flags: adapter.Flags{Local: true}}); err != nil || len(d) != 2 {
			t.Errorf("Fetch local = %d details, %v", len(d), err)
		}
		for _, x := range []struct {
			t    adapter.Target
			want int
		}{
			{adapter.Target{}, 2 * n},
			{adapter.Target{Rooms: []string{"even"}}, n},
			{adapter.Target{Rooms: []string{"even", id(0), id(1)}}, n + 1},
			{adapter.Target{Rooms: []string{id(2*n - 1)}}, 1},
			{adapter.Target{Except: []string{"even"}}, n},
			{adapter.Target{Flags: adapter.Flags{Local: true}}, 2},
			{adapter.Target{Rooms: []string{"nobody"}}, 0},
		} {
			if got, err := node.Count(ctx, x.t); err != nil || got != x.want {
				t.Errorf("Count(%+v) = %d, %v, want %d", x.t, got, err, x.want)
			}
		}
	}
}

func testManage(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/manage", n)
	all := populate(nodes)
	flush(t, nodes, all)
	if err := nodes[0].SocketsJoin(adapter.Target{Rooms: []string{"even"}}, "x", "y"); err != nil {
		t.Fatal(err)
	}
	settle(t, nodes[n-1], "x", n)
	settle(t, nodes[n-1], "y", n)
	if err := nodes[0].SocketsLeave(adapter.Target{Except: []string{"node0"}}, "x"); err != nil {
		t.Fatal(err)
	}
	settle(t, nodes[n-1], "x", 1)
	settle(t, nodes[n-1], "y", n)
	if err := nodes[n-1].SocketsLeave(adapter.Target{Flags: adapter.Flags{Local: true}}, "y"); err != nil {
		t.Fatal(err)
	}
	settle(t, nodes[0], "y", n-1)
	if err := nodes[n-1].Disconnect(adapter.Target{Rooms: []string{id(0)}}, true); err != nil {
		t.Fatal(err)
	}
	if err := nodes[n-1].Disconnect(adapter.Target{Rooms: []string{id(1)}}, false); err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		if a, b := all[0].Ended(), all[1].Ended(); !slices.Equal(a, []bool{true}) || !slices.Equal(b, []bool{false}) {
			return fmt.Errorf("ended %v, %v", a, b)
		}
		return nil
	})
}

func testServerSideEmit(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/server-side", n)
	all := populate(nodes)
	flush(t, nodes, all)
	if err := nodes[0].ServerSideEmit(Event(`["hello",1]`)); err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes[1:] {
		Eventually(t, func() error {
			if got := node.NS.Events(); !slices.Equal(got, []string{`["hello",1]`}) {
				return fmt.Errorf("events %q", got)
			}
			return nil
		})
	}
	for i, node := range nodes {
		node.NS.Reply(func(m adapter.Message) *adapter.Message { return &adapter.Message{Data: fmt.Append(nil, i)} })
	}
	var got []string
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	err := nodes[0].ServerSideEmitWithAck(ctx, Event(`["ask"]`), func(m adapter.Message) { got = append(got, string(m.Data)) })
	slices.Sort(got)
	if err != nil || len(got) != n-1 {
		t.Errorf("answers %q, %v", got, err)
	}
	if got := nodes[0].NS.Events(); len(got) != 0 {
		t.Errorf("events of the sender %q", got)
	}
	if n == 1 {
		return
	}
	// One node says nothing.
	nodes[n-1].NS.Reply(nil)
	short, cancel := context.WithTimeout(t.Context(), time.Second/4)
	defer cancel()
	got = nil
	err = nodes[0].ServerSideEmitWithAck(short, Event(`["ask"]`), func(m adapter.Message) { got = append(got, string(m.Data)) })
	var p *adapter.PartialError
	if !errors.As(err, &p) || p.Nodes != 1 || len(got) != n-2 {
		t.Errorf("error %v (%+v), answers %q", err, p, got)
	}
}

func testServers(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/servers", n)
	for _, node := range nodes {
		if got, err := node.Servers(t.Context()); err != nil || got != n {
			t.Errorf("Servers = %d, %v, want %d", got, err, n)
		}
	}
}

func testNamespaces(t *testing.T, c Cluster, n int) {
	nodes, others := c(t, "/one", n), c(t, "/one#two", n)
	all, foreign := populate(nodes), populate(others)
	flush(t, nodes, all)
	flush(t, others, foreign)
	for _, target := range []adapter.Target{{}, {Rooms: []string{"even"}}, {Rooms: []string{"even", "x"}}} {
		if err := nodes[0].Broadcast(Event(`["mine"]`), target); err != nil {
			t.Fatal(err)
		}
		if err := others[0].Broadcast(Event(`["theirs"]`), target); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, nodes, all)
	flush(t, others, foreign)
	expect(t, all, `["theirs"]`)
	expect(t, foreign, `["mine"]`)
}
