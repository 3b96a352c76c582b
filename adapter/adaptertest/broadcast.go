package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

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
	// A v2 client's socket has a longer id.
	old := NewMember("/rooms#abcdefghijklmnopqrst")
	nodes[n-1].Join(old)
	joined(t, nodes)
	send(`["old"]`, target(old.ID()))
	if got := old.Wait(t, 1); !strings.HasPrefix(got[0], `["old"`) {
		t.Errorf("the member with the longer id got %q", got)
	}
	nodes[n-1].Remove(old)
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
	if got, _ := nodes[0].Remove(all[0]); !slices.Contains(got, "even") || !slices.Contains(got, id(0)) {
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
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("Count(%q) = %d, want %d", room, got, want)
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
