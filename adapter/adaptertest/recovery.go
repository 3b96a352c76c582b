package adaptertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

// RunRecovery runs the suite of connection state recovery with clusters of 1 and of nodes.
func RunRecovery(t *testing.T, nodes int, c Cluster) {
	for n := 1; n <= nodes; n += max(1, nodes-1) {
		t.Run(fmt.Sprintf("nodes=%d", n), func(t *testing.T) {
			for _, test := range []struct {
				name string
				fn   func(*testing.T, Cluster, int)
			}{
				{"Offsets", testOffsets}, {"Recover", testRecover}, {"Unknown", testUnknown}, {"Exact", testExact},
				{"Namespace", testOtherNamespace}, {"Quiet", testQuiet}, {"Trail", testTrail}, {"TakeOver", testTakeOver},
				{"Reentrant", testReentrant}, {"Misleading", testMisleading}, {"Claim", testClaim}, {"Reserve", testReserve},
				{"Forgotten", testForgotten}, {"OwnRoom", testOwnRoom},
				{"SavedMeanwhile", testSavedMeanwhile}, {"Discard", testDiscard},
			} {
				t.Run(test.name, func(t *testing.T) { test.fn(t, c, n) })
			}
		})
	}
}

// RunExact runs only the test that every event comes once and in its sender's order, with a cluster of nodes.
func RunExact(t *testing.T, nodes int, c Cluster) { testExact(t, c, nodes) }

// Offset returns the offset at the end of an event.
func Offset(t *testing.T, data string) string {
	t.Helper()
	_, offset := split(t, data)
	return offset
}

// split takes an event apart into what was emitted and its offset.
func split(t *testing.T, data string) (event, offset string) {
	t.Helper()
	var args []json.RawMessage
	if err := json.Unmarshal([]byte(data), &args); err != nil {
		t.Fatalf("event %q: %v", data, err)
	}
	if json.Unmarshal(args[len(args)-1], &offset) != nil || len(args) < 2 {
		return data, ""
	}
	b, err := json.Marshal(args[:len(args)-1])
	if err != nil {
		t.Fatal(err)
	}
	return string(b), offset
}

// lastOffset returns the offset of the last event m got.
func lastOffset(t *testing.T, m *Member) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == "" {
		t.Fatal("no event has come")
	}
	return m.last
}

// newMember is NewMember whose Got leaves out offsets.
func newMember(id string) *Member {
	m := NewMember(id)
	m.strip = true
	return m
}

func send(t *testing.T, n *Node, data string, tg adapter.Target) {
	t.Helper()
	if err := n.Broadcast(Event(data), tg); err != nil {
		t.Fatal(err)
	}
}

func testOffsets(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/offsets", n)
	m := NewMember(id(1))
	nodes[n-1].Join(m)
	if !nodes[0].Recovers() {
		t.Fatal("does not recover")
	}
	send(t, nodes[0], `["a",1]`, adapter.Target{})
	send(t, nodes[0], `["v",1]`, adapter.Target{Flags: adapter.Flags{Volatile: true}})
	send(t, nodes[0], ` ["b" ] `, adapter.Target{Rooms: []string{id(1)}})
	got := m.Wait(t, 3)
	_, o1 := split(t, got[0])
	_, o2 := split(t, got[2])
	if o1 == "" || o2 == "" || o1 == o2 || got[1] != `["v",1]` {
		t.Errorf("got %q", got)
	}
}

func testRecover(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/recover", n)
	here, there := nodes[0], nodes[n-1]
	m := NewMember(id(1))
	here.Join(m)
	here.Join(m, "room")
	// Another one that stays tells when everything has arrived.
	w := NewMember(id(2))
	there.Join(w)
	send(t, here, `["before"]`, adapter.Target{})
	m.Wait(t, 1)
	w.Wait(t, 1)
	offset := lastOffset(t, m)
	s := m.Leave(here, "pid-"+t.Name())
	s.Data, s.Identity = adapter.Raw(`{"user":7}`), "ann"
	rooms := s.Rooms
	if err := here.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	send(t, here, `["all"]`, adapter.Target{})
	send(t, there, `["room"]`, adapter.Target{Rooms: []string{"room"}})
	send(t, here, `["room, not me"]`, adapter.Target{Rooms: []string{"room"}, Except: []string{id(1)}})
	send(t, here, `["me"]`, adapter.Target{Rooms: []string{id(1), "other"}})
	send(t, here, `["other"]`, adapter.Target{Rooms: []string{"other"}})
	send(t, here, `["not room"]`, adapter.Target{Except: []string{"room"}})
	send(t, here, `["volatile"]`, adapter.Target{Flags: adapter.Flags{Volatile: true}})
	if err := here.Broadcast(Event(`["bin",{"_placeholder":true,"num":0}]`, []byte{0, 1, 255}), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		if got := fmt.Sprint(w.Got()); !strings.Contains(got, "bin") {
			return fmt.Errorf("the other got %s", got)
		}
		return nil
	})
	if _, err := there.Restore(t.Context(), "another", offset); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("Restore of another pid: %v", err)
	}
	got, err := there.Restore(t.Context(), s.PID, offset)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got.Rooms)
	slices.Sort(rooms)
	if got.SID != s.SID || got.PID != s.PID || !slices.Equal(got.Rooms, rooms) || string(got.Data) != string(s.Data) ||
		got.Identity != s.Identity || got.Namespace != "/recover" {
		t.Errorf("Restore = %+v", got)
	}
	back := NewMember(s.SID)
	var missed []adapter.Message
	if err := there.Resume(t.Context(), back, got, func(m adapter.Message) { missed = append(missed, m) }); err != nil {
		t.Fatal(err)
	}
	if err := there.Resume(t.Context(), NewMember(s.SID), got, func(adapter.Message) {}); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("second Resume: %v", err)
	}
	var list []string
	for _, x := range missed {
		e, o := split(t, string(x.Data))
		if o == "" {
			t.Errorf("no offset at %q", x.Data)
		}
		list = append(list, e)
	}
	want := []string{`["all"]`, `["room"]`, `["me"]`, `["bin",{"_placeholder":true,"num":0}]`}
	// Events of different nodes may come in either order.
	slices.Sort(list)
	slices.Sort(want)
	if !slices.Equal(list, want) {
		t.Errorf("missed %q, want %q", list, want)
	}
	for _, x := range missed {
		if strings.Contains(string(x.Data), "bin") && (len(x.Attachments) != 1 || string(x.Attachments[0]) != "\x00\x01\xff") {
			t.Errorf("attachments %q", x.Attachments)
		}
	}
	if got := there.RoomsOf(back); !slices.Contains(got, "room") || !slices.Contains(got, s.SID) {
		t.Errorf("rooms %q", got)
	}
	send(t, here, `["after"]`, adapter.Target{Rooms: []string{"room"}})
	if got, _ := split(t, back.Wait(t, 1)[0]); got != `["after"]` {
		t.Errorf("got %q", got)
	}
}

func testUnknown(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/unknown", n)
	s := adapter.Session{SID: id(1), PID: "pid", Rooms: []string{id(1)}}
	for _, offset := range []string{"", "x", "0", "-1", "99999999999999-0", "1-1", strings.Repeat("z", 1000), "1-x", "\x00"} {
		if err := nodes[0].Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if got, err := nodes[n-1].Restore(t.Context(), s.PID, offset); !errors.Is(err, adapter.ErrNoRecovery) {
			t.Errorf("Restore at offset %q = %+v, %v", offset, got, err)
		}
	}
}

// testExact has a client leave and come back many times while events are sent from all nodes, each
// time without the last few events that were sent to it, and wants every event to arrive once and in
// the order of each sender.
func testExact(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/exact", n)
	const senders, each = 4, 150
	m, w := NewMember(id(1)), NewMember(id(2))
	nodes[0].Join(m, "room")
	nodes[n-1].Join(w, "room")
	send(t, nodes[0], `["start"]`, adapter.Target{})
	have := m.Wait(t, 1) // what the client has got so far
	w.Wait(t, 1)
	m = NewMember(id(1))
	nodes[0].Join(m, "room") // in place of the first

	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				send(t, nodes[s%n], fmt.Sprintf(`["e",%d,%d]`, s, i), adapter.Target{Rooms: []string{"room"}})
			}
		})
	}
	sent := make(chan struct{})
	go func() { wg.Wait(); close(sent) }()
	at := 0
	for over, round := false, 0; !over; round++ {
		select {
		case <-sent:
			over = true
		default:
		}
		s := m.Leave(nodes[at], "pid"+t.Name())
		if err := nodes[at].Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		got := m.Got()
		have = append(have, got[:max(0, len(got)-round%4)]...) // the rest was lost on the way
		_, offset := split(t, have[len(have)-1])
		at = (at + 1) % n
		restored, err := nodes[at].Restore(t.Context(), s.PID, offset)
		if err != nil {
			t.Fatal(err)
		}
		m = NewMember(m.ID())
		if err := nodes[at].Resume(t.Context(), m, restored, func(x adapter.Message) { m.deliver(x, adapter.Flags{}) }); err != nil {
			t.Fatal(err)
		}
	}
	Eventually(t, func() error {
		if got := len(have) - 1 + len(m.Got()); got < senders*each {
			return fmt.Errorf("got %d events of %d", got, senders*each)
		}
		return nil
	})
	next := make([]int, senders)
	for _, data := range append(have, m.Got()...)[1:] {
		var s, i int
		if _, err := fmt.Sscanf(data, `["e",%d,%d`, &s, &i); err != nil {
			t.Fatalf("event %q: %v", data, err)
		}
		if next[s] != i {
			t.Fatalf("event %d of sender %d where %d was due", i, s, next[s])
		}
		next[s]++
	}
}

// testOtherNamespace: a session is of its namespace, and whoever shows it to another changes nothing.
func testOtherNamespace(t *testing.T, c Cluster, n int) {
	nodes, admin := c(t, "/"+t.Name(), n), c(t, "/admin", n)
	m := NewMember(id(1))
	nodes[0].Join(m, "room")
	send(t, nodes[0], `["x"]`, adapter.Target{})
	m.Wait(t, 1)
	offset := lastOffset(t, m)
	s := m.Leave(nodes[0], "pid-"+t.Name())
	if err := nodes[0].Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []string{offset, ""} {
		if got, err := admin[n-1].Restore(t.Context(), s.PID, offset); !errors.Is(err, adapter.ErrNoRecovery) {
			t.Errorf("Restore in another namespace = %+v, %v", got, err)
		}
	}
	if _, err := nodes[n-1].Restore(t.Context(), s.PID, offset); err != nil {
		t.Errorf("Restore in its own: %v", err)
	}
}

// comeBackTwice is comeBack of a client whose first attempt ended before it was resumed. With more nodes than one, n
// has read everything when it comes again.
func comeBackTwice(t *testing.T, nodes []*Node, n *Node, s adapter.Session, last string) (*Member, []string) {
	t.Helper()
	if _, err := n.Restore(t.Context(), s.PID, last); err != nil {
		t.Fatal(err)
	}
	if len(nodes) > 1 {
		w := newMember(id(2))
		n.Join(w)
		flush(t, nodes, []*Member{w})
	}
	m, missed := comeBack(t, n, s, last)
	return m, slices.DeleteFunc(missed, func(e string) bool { return strings.HasPrefix(e, `["flush"`) })
}

// comeBack restores and resumes a session whose client has last, and returns the member and what it missed.
func comeBack(t *testing.T, n *Node, s adapter.Session, last string) (*Member, []string) {
	t.Helper()
	restored, err := n.Restore(t.Context(), s.PID, last)
	if err != nil {
		t.Fatalf("offset %q: %v", last, err)
	}
	m := NewMember(s.SID)
	var missed []string
	err = n.Resume(t.Context(), m, restored, func(x adapter.Message) {
		event, _ := split(t, string(x.Data))
		missed = append(missed, event)
		m.deliver(x, adapter.Flags{})
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, missed
}

// testQuiet: a client that got nothing, or nothing for long, while others were busy, misses nothing.
func testQuiet(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	m, busy := newMember(id(1)), []*Member{newMember(id(2)), newMember(id(3))}
	send(t, here, `["before it came"]`, adapter.Target{})
	here.Join(busy[0])
	there.Join(busy[1])
	flush(t, nodes, busy)
	here.Join(m, "room")
	s := m.Leave(here, "pid-"+t.Name())
	for round, last := 0, ""; round < 2; round++ {
		if err := here.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`["missed",%d]`, round)
		send(t, there, want, adapter.Target{Rooms: []string{"room"}})
		flush(t, nodes, busy) // so that the node it comes back to has read all
		var missed []string
		m, missed = comeBack(t, here, s, last)
		missed = slices.DeleteFunc(missed, func(e string) bool { return strings.HasPrefix(e, `["flush"`) })
		if !slices.Equal(missed, []string{want}) {
			t.Errorf("round %d: missed %q, want %s", round, missed, want)
		}
		last = lastOffset(t, m)
		s = m.Leave(here, s.PID)
	}
}

// testTrail: what a client gets again is what it should have got, as its rooms were when it was sent.
func testTrail(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	m := NewMember(id(1))
	to := func(data string, room string) {
		send(t, here, data, adapter.Target{Rooms: []string{room}})
	}
	here.Join(m, "left")
	to(`["first"]`, m.ID())
	first := ""
	for _, step := range []func(){
		func() { to(`["a"]`, "left") },
		func() { here.Leave(m, "left") },
		func() { to(`["after it left"]`, "left") },
		func() { to(`["before it joined"]`, "joined") },
		func() { here.Join(m, "joined") },
		func() { to(`["b"]`, "joined") },
		func() { send(t, here, `["not joined"]`, adapter.Target{Except: []string{"joined"}}) },
		func() { send(t, here, `["not left"]`, adapter.Target{Except: []string{"left"}}) },
	} {
		if first == "" {
			m.Wait(t, 1)
			first = lastOffset(t, m)
		}
		step()
	}
	m.Wait(t, 4)
	s := m.Leave(here, "pid-"+t.Name())
	if err := here.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	to(`["c"]`, "joined")
	_, missed := comeBackTwice(t, nodes, there, s, first)
	if want := []string{`["a"]`, `["b"]`, `["not left"]`, `["c"]`}; !slices.Equal(missed, want) {
		t.Errorf("missed %q, want %q", missed, want)
	}
}
