package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

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
		err := node.Ask(ctx, Event(`["ask"]`), adapter.Target{}, func(m adapter.Message) {
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
		err = node.Ask(ctx, Event(`["ask room"]`), adapter.Target{Rooms: []string{id(2*n - 1)}}, func(m adapter.Message) {
			got = append(got, string(m.Data))
		})
		cancel()
		if err != nil || len(got) != 1 || got[0] != fmt.Sprint(2*n-1) {
			t.Errorf("answers %q, %v", got, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := nodes[0].Ask(ctx, Event(`["ask"]`), adapter.Target{Rooms: []string{"nobody"}}, func(adapter.Message) {
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
	// Nothing tells when the answers that come have come: when some were late, or the others could not even be asked in
	// time, there is more of it.
	for wait := time.Second / 20; ; wait *= 2 {
		got := 0
		ctx, cancel := context.WithTimeoutCause(t.Context(), wait, adapter.ErrTimeout)
		err := nodes[n-1].Ask(ctx, Event(`["ask"]`), adapter.Target{}, func(adapter.Message) { got++ })
		cancel()
		var p *adapter.PartialError
		partial := errors.As(err, &p) && errors.Is(err, adapter.ErrTimeout)
		if partial && p.Clients == 1 && got == 2*n-1 {
			return
		}
		if !partial && !errors.Is(err, adapter.ErrDegraded) || got > 2*n-1 || wait > Patience {
			t.Fatalf("error %v (%+v), %d answers of %d", err, p, got, 2*n-1)
		}
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
	for wait := time.Second / 20; ; wait *= 2 { // as in testAcksPartial
		short, cancel := context.WithTimeout(t.Context(), wait)
		got = nil
		err = nodes[0].ServerSideEmitWithAck(short, Event(`["ask"]`), func(m adapter.Message) { got = append(got, string(m.Data)) })
		cancel()
		var p *adapter.PartialError
		partial := errors.As(err, &p)
		if partial && p.Nodes == 1 && len(got) == n-2 {
			return
		}
		if !partial || len(got) > n-2 || wait > Patience {
			t.Fatalf("error %v (%+v), answers %q", err, p, got)
		}
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
