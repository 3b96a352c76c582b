package adapter_test

import (
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
)

// onBus makes clusters on a bus of their own.
func onBus(r *adapter.Recovery) adaptertest.Cluster {
	return func(t *testing.T, nsp string, n int) (nodes []*adaptertest.Node) {
		t.Helper()
		b, err := adapter.NewBus(r)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			nodes = append(nodes, adaptertest.NewNode(t, nsp, b.Adapter()))
		}
		return nodes
	}
}

func TestBus(t *testing.T) { adaptertest.Run(t, 3, onBus(nil)) }

func TestBusWithRecovery(t *testing.T) { adaptertest.RunRecovery(t, 3, onBus(&adapter.Recovery{})) }

func TestBusRefusesNegativeLimits(t *testing.T) {
	if _, err := adapter.NewBus(&adapter.Recovery{MaxEvents: -1}); err == nil {
		t.Error("taken")
	}
}

// What is for one server alone is not replayed on another, and a namespace that all have left begins anew.
func TestBusForgets(t *testing.T) {
	nodes := onBus(&adapter.Recovery{})(t, "/", 2)
	m, w := adaptertest.NewMember("a"), adaptertest.NewMember("w")
	nodes[0].Join(m)
	nodes[1].Join(w)
	_ = nodes[0].Broadcast(adaptertest.Event(`["x"]`), adapter.Target{})
	s := m.Leave(nodes[0], "pid")
	if err := nodes[0].Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	_ = nodes[0].Broadcast(adaptertest.Event(`["here"]`), adapter.Target{Flags: adapter.Flags{Local: true}})
	_ = nodes[0].Broadcast(adaptertest.Event(`["all"]`), adapter.Target{})
	back, err := nodes[1].Restore(t.Context(), "pid", offsets(m)[0])
	if err != nil {
		t.Fatal(err)
	}
	again := adaptertest.NewMember("a")
	if err := nodes[1].Resume(t.Context(), again, back, again.Replay); err != nil {
		t.Fatal(err)
	}
	if got := again.Got(); len(got) != 1 || got[0][:6] != `["all"` {
		t.Errorf("missed %q", got)
	}
}
