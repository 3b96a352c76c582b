package adaptertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

// away makes a member that has gone, with its session saved, and returns what it was saved as.
func away(t *testing.T, n *Node, member int, rooms ...string) adapter.Session {
	t.Helper()
	m := NewMember(id(member))
	n.Join(m, rooms...)
	send(t, n, `["x"]`, adapter.Target{Rooms: []string{m.ID()}})
	m.Wait(t, 1)
	s := m.Leave(n, "pid-"+t.Name())
	s.Owner = "pattern ^/x$"
	if err := n.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// testClaim: who has restored a session takes that one, and none that was saved since, with other rooms.
func testClaim(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	s := away(t, here, 1, "secret")
	slow, err := here.Restore(t.Context(), s.PID, "")
	if err != nil {
		t.Fatal(err)
	}
	if slow.Owner != s.Owner {
		t.Errorf("owner %q, want %q", slow.Owner, s.Owner)
	}
	quick, _ := comeBack(t, there, s, "")
	there.Leave(quick, "secret")
	if err := there.Save(t.Context(), quick.Leave(there, s.PID)); err != nil {
		t.Fatal(err)
	}
	m := NewMember(s.SID)
	if err := here.Resume(t.Context(), m, slow, m.Replay); !errors.Is(err, adapter.ErrNoRecovery) || !errors.Is(err, adapter.ErrTaken) {
		t.Errorf("Resume of what another has taken and saved anew: %v", err)
	}
	if rooms := here.RoomsOf(m); rooms != nil {
		t.Errorf("it is in %q", rooms)
	}
	last, _ := comeBack(t, here, s, "")
	if rooms := here.RoomsOf(last); slices.Contains(rooms, "secret") {
		t.Errorf("it is in %q", rooms)
	}
}

// settled waits until none of the node's events is on its way to where others read them: offsets are short then.
func settled(t *testing.T, n *Node) {
	t.Helper()
	Eventually(t, func() error {
		m := NewMember(id(9))
		n.Join(m)
		if at := m.Leave(n, "probe").Trail.End; strings.Contains(at, "~") {
			return fmt.Errorf("events are on their way: %s", at)
		}
		return nil
	})
}

// testReserve: a session that missed more than may be replayed is not taken.
func testReserve(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	w := newMember(id(2))
	there.Join(w)
	s := away(t, here, 1)
	send(t, here, `["a lot"]`, adapter.Target{})
	w.Wait(t, 1)
	settled(t, there)
	restored, err := there.Restore(t.Context(), s.PID, "")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	restored.Reserve = func(bytes int) bool { asked = bytes; return false }
	m := NewMember(s.SID)
	err = there.Resume(t.Context(), m, restored, m.Replay)
	if !errors.Is(err, adapter.ErrNoRecovery) || !errors.Is(err, adapter.ErrReplayFull) || asked == 0 {
		t.Errorf("Resume: %v; asked for %d bytes", err, asked)
	}
	if _, missed := comeBack(t, there, s, ""); !slices.Contains(missed, `["a lot"]`) {
		t.Errorf("missed %q", missed)
	}
}

// testForgotten: a trail holds so many rooms that were left. Who may have missed events in others is told.
func testForgotten(t *testing.T, c Cluster, n int) {
	node := c(t, "/"+t.Name(), n)[0]
	m := newMember(id(1))
	node.Join(m)
	send(t, node, `["seen"]`, adapter.Target{})
	m.Wait(t, 1)
	seen := lastOffset(t, m)
	for i := range 100 {
		room := fmt.Sprint("room", i)
		node.Join(m, room)
		send(t, node, `["in it"]`, adapter.Target{Rooms: []string{room}})
		m.Wait(t, i+2)
		node.Leave(m, room)
	}
	last := lastOffset(t, m)
	s := m.Leave(node, "pid-"+t.Name())
	if err := node.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Restore(t.Context(), s.PID, seen); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("Restore from before what is forgotten: %v", err)
	}
	if _, missed := comeBack(t, node, s, last); len(missed) != 0 {
		t.Errorf("missed %q", missed)
	}
}

// direct is an adapter that delivers to one member, whatever rooms it is in.
type direct interface {
	DeliverTo(to adapter.Member, m adapter.Message, f adapter.Flags)
}

// testOwnRoom: a member gets again what was sent to its id while it was in the room of that, and nothing of while it was
// not; by its other rooms it has what it has.
func testOwnRoom(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	m := NewMember(id(1))
	to := func(data string, room string) {
		send(t, here, data, adapter.Target{Rooms: []string{room}})
	}
	here.Join(m, "room")
	to(`["first"]`, m.ID())
	m.Wait(t, 1)
	first := lastOffset(t, m)
	for round := range 2 {
		to(`["to id"]`, m.ID())
		here.Leave(m, m.ID())
		to(`["out"]`, m.ID())
		to(`["to room"]`, "room")
		send(t, here, `["except id"]`, adapter.Target{Except: []string{m.ID()}})
		here.Adapter.(direct).DeliverTo(m, Event(`["direct","text"]`), adapter.Flags{})
		if round == 0 {
			here.Join(m, m.ID())
		}
	}
	m.Wait(t, 7)
	if msgs := m.Messages(); msgs[len(msgs)-1].Offset == "" {
		t.Errorf("%s goes without an offset", msgs[len(msgs)-1].Data)
	}
	s := m.Leave(here, "pid-"+t.Name())
	if err := here.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	to(`["away"]`, m.ID())
	to(`["to room"]`, "room")
	m, missed := comeBackTwice(t, nodes, there, s, first)
	want := []string{`["to id"]`, `["to room"]`, `["to id"]`, `["to room"]`, `["to room"]`}
	if !slices.Equal(missed, want) {
		t.Errorf("missed %q, want %q", missed, want)
	}
	if rooms := there.RoomsOf(m); !slices.Contains(rooms, m.ID()) {
		t.Errorf("it is in %q", rooms)
	}
}
