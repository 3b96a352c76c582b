package adaptertest

import (
	"context"
	"errors"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

// testDiscard: nobody comes back to a session that was discarded, be it saved, about to be, or connected.
func testDiscard(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	gone := func(pid string) {
		t.Helper()
		if err := there.Discard(t.Context(), pid); err != nil {
			t.Errorf("Discard: %v", err)
		}
		for _, node := range nodes {
			if s, err := node.Restore(t.Context(), pid, ""); !errors.Is(err, adapter.ErrNoRecovery) {
				t.Errorf("Restore of what was discarded: %v, %v", s, err)
			}
		}
	}
	s := away(t, here, 1)
	slow, err := here.Restore(t.Context(), s.PID, "")
	if err != nil {
		t.Fatal(err)
	}
	gone(s.PID)
	m := NewMember(s.SID)
	if err := here.Resume(t.Context(), m, slow, m.Replay); !errors.Is(err, adapter.ErrTaken) {
		t.Errorf("Resume of what was discarded meanwhile: %v", err)
	}
	gone("never known")

	const pid = "a secret that is put out"
	m = newMember(adapter.SocketID(pid))
	here.Join(m)
	var asked []bool
	here.NS.OnTakeOver(func(_ context.Context, id string, forGood bool) bool {
		if id != m.ID() {
			return false
		}
		if asked = append(asked, forGood); !forGood || len(asked) > 1 {
			return false
		}
		m.Leave(here, pid)
		return true
	})
	gone(pid)
	if len(asked) == 0 || !asked[0] {
		t.Errorf("taken over for good: %v", asked)
	}
	// A server may have begun to save it, or know nothing of such an end.
	m = newMember(adapter.SocketID(pid))
	here.Join(m)
	asked = nil
	here.NS.OnTakeOver(func(ctx context.Context, id string, _ bool) bool {
		asked = append(asked, true)
		return id == m.ID() && len(asked) == 1 && here.Save(ctx, m.Leave(here, pid)) == nil
	})
	gone(pid)

	other := c(t, "/"+t.Name()+"/other", n)[n-1]
	s = away(t, here, 3)
	_ = other.Discard(t.Context(), s.PID) // Redis has one place for all of a pid
	if _, err := there.Restore(t.Context(), s.PID, ""); err != nil {
		t.Errorf("Restore after a Discard in another namespace: %v", err)
	}
}
