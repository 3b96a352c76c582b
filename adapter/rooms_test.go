package adapter_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
)

// model is the index of rooms as plainly as can be said.
type model map[string]map[string]bool // member -> rooms

func (m model) selects(t adapter.Target) []string {
	var ids []string
	for id, rooms := range m {
		in := len(t.Rooms) == 0
		for _, r := range t.Rooms {
			in = in || rooms[r] || r == id && !rooms[out]
		}
		for _, r := range t.Except {
			in = in && !rooms[r] && r != id
		}
		if in {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// out stands among the rooms of a member that has left the one named by its id.
const out = "out"

func TestRoomsAgreeWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rooms adapter.Rooms
		exists := map[string]bool{}
		rooms.Changed = func(name string) {
			delete(exists, name)
			if rooms.Has(name) {
				exists[name] = true
			}
		}
		m := model{}
		members := map[string]*adaptertest.Member{}
		many := rapid.IntRange(2, 40).Draw(t, "members")
		for i := range many {
			id := fmt.Sprint("m", i)
			members[id] = adaptertest.NewMember(id)
		}
		ids := slices.Sorted(maps.Keys(members))
		// Rooms may have the names of members.
		names := append([]string{"r0", "r1", "r2", "r3"}, ids[:2]...)
		someOf := func(label string) []string {
			return rapid.SliceOfN(rapid.SampledFrom(names), 0, 7).Draw(t, label)
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				id, list := rapid.SampledFrom(ids).Draw(t, "id"), someOf("rooms")
				if m[id] == nil {
					m[id] = map[string]bool{}
				}
				for _, r := range list {
					if r != id {
						m[id][r] = true
					} else {
						delete(m[id], out)
					}
				}
				rooms.Join(members[id], list...)
			},
			"everyone joins": func(t *rapid.T) {
				r := rapid.SampledFrom(names[:4]).Draw(t, "room")
				for id := range m {
					m[id][r] = true
					rooms.JoinMember(members[id], r)
				}
			},
			"leave": func(t *rapid.T) {
				id, list := rapid.SampledFrom(ids).Draw(t, "id"), someOf("rooms")
				for _, r := range list {
					if r == id && m[id] != nil {
						m[id][out] = true
					}
					delete(m[id], r)
				}
				rooms.Leave(members[id], list...)
			},
			"remove": func(t *rapid.T) {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				inRooms := append([]string{}, rooms.RoomsOf(members[id])...)
				slices.Sort(inRooms)
				in := m[id] != nil && !m[id][out]
				delete(m[id], out)
				want := slices.Sorted(maps.Keys(m[id]))
				if m[id] != nil {
					want = append(want, id)
				}
				slices.Sort(want)
				if i := slices.Index(want, id); i >= 0 && !in {
					want = slices.Delete(slices.Clone(want), i, i+1)
				}
				if !slices.Equal(inRooms, want) {
					t.Fatalf("RoomsOf = %q, want %q", inRooms, want)
				}
				if m[id] != nil && !in {
					want = append(want, id)
					slices.Sort(want)
				}
				got, _ := rooms.Remove(members[id])
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Fatalf("Remove = %q, want %q", got, want)
				}
				delete(m, id)
			},
			"": func(t *rapid.T) {
				target := adapter.Target{Rooms: someOf("to"), Except: someOf("except")}
				want := m.selects(target)
				var got []string
				rooms.Select(target, func(to []adapter.Member) {
					for _, x := range to {
						got = append(got, x.ID())
					}
				})
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Fatalf("%+v selects %q, want %q", target, got, want)
				}
				if n := rooms.Count(target); n != len(want) {
					t.Fatalf("Count(%+v) = %d, want %d", target, n, len(want))
				}
				if rooms.Len() != len(m) {
					t.Fatalf("Len = %d, want %d", rooms.Len(), len(m))
				}
				all := rooms.Names(true)
				slices.Sort(all)
				if want := slices.Sorted(maps.Keys(exists)); !slices.Equal(all, want) {
					t.Fatalf("Names = %q, want %q", all, want)
				}
			},
		})
	})
}

// The last member leaves a room while another joins: the other must be in it afterwards.
func TestRoomsKeepMembershipWhenJoinRacesWithLeave(t *testing.T) {
	var rooms adapter.Rooms
	a, b := adaptertest.NewMember("a"), adaptertest.NewMember("b")
	rooms.Join(a)
	rooms.Join(b)
	for range 20_000 {
		rooms.Join(a, "r")
		var wg sync.WaitGroup
		wg.Go(func() { rooms.Leave(a, "r") })
		wg.Go(func() { rooms.Join(b, "r") })
		wg.Wait()
		if got := rooms.Members(adapter.Target{Rooms: []string{"r"}}); len(got) != 1 || got[0] != b {
			t.Fatalf("members %v, want b", got)
		}
		rooms.Leave(b, "r")
		if rooms.Has("r") {
			t.Fatal("the empty room is still there")
		}
	}
}

func TestRoomsLetNobodyBackInAfterRemove(t *testing.T) {
	var rooms adapter.Rooms
	for range 5_000 {
		m := adaptertest.NewMember("m")
		rooms.Join(m)
		var wg sync.WaitGroup
		wg.Go(func() { rooms.Join(m, "r") })
		wg.Go(func() { m.SetGone(); rooms.Remove(m) })
		wg.Wait()
		if rooms.Len() != 0 || rooms.Has("r") {
			t.Fatal("a ghost")
		}
	}
}

func TestRoomsReplaceAMemberOfTheSameID(t *testing.T) {
	var rooms adapter.Rooms
	old, other := adaptertest.NewMember("m"), adaptertest.NewMember("m")
	rooms.Join(old, "r")
	rooms.Join(other)
	if got := rooms.Members(adapter.Target{}); len(got) != 1 || got[0] != other {
		t.Errorf("members %v", got)
	}
	if rooms.Has("r") {
		t.Error("the room of the old member is still there")
	}
	if gone, _ := rooms.Remove(old); gone != nil || rooms.Len() != 1 {
		t.Error("Remove of the old member removed the new one")
	}
}

func BenchmarkSelect(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		var rooms adapter.Rooms
		for i := range n {
			rooms.Join(adaptertest.NewMember(fmt.Sprint(i)), "r")
		}
		for name, target := range map[string]adapter.Target{
			"all": {}, "room": {Rooms: []string{"r"}}, "except-one": {Except: []string{"5"}}, "one": {Rooms: []string{"5"}},
		} {
			b.Run(fmt.Sprintf("%s/members=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					rooms.Select(target, func([]adapter.Member) {})
				}
			})
		}
	}
}

// BenchmarkExceptManyRooms leaves 1,000 rooms of 10 out of 10,000 members.
func BenchmarkExceptManyRooms(b *testing.B) {
	var rooms adapter.Rooms
	var target adapter.Target
	for i := range 10_000 {
		name := fmt.Sprint("r", i/10)
		rooms.Join(adaptertest.NewMember(fmt.Sprint(i)), name)
		if i%10 == 0 {
			target.Except = append(target.Except, name)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		rooms.Select(target, func([]adapter.Member) { b.Fatal("selected") })
	}
}

func TestRoomsTellWhoWatches(t *testing.T) {
	var r adapter.Rooms
	var told []string
	a := named("a")
	r.Join(a, "before")
	off := r.Watch(func(e adapter.RoomEvent) {
		switch e.Kind {
		case adapter.RoomJoined:
			told = append(told, e.Member.ID()+"+"+e.Room)
		case adapter.RoomLeft:
			told = append(told, e.Member.ID()+"-"+e.Room)
		default:
			told = append(told, e.Kind.String()+" "+e.Room)
		}
	})
	var joined int
	offToo := r.Watch(func(e adapter.RoomEvent) {
		if e.Kind == adapter.RoomJoined {
			joined++
		}
	})
	r.Join(a, "x", "before", "a")
	r.Leave(a, "x", "y")
	b := named("b")
	r.Join(b, "x", "a") // a room, of a member's id
	r.Leave(b, "b")
	r.Remove(b)
	r.Remove(b)
	offToo()
	off()
	r.Remove(a)
	want := []string{
		"create-room x", "a+x", "a-x", "delete-room x",
		"create-room b", "b+b", "create-room x", "b+x", "b+a", "b-b", "delete-room b", "b-x", "delete-room x", "b-a",
	}
	if !slices.Equal(told, want) || joined != 4 {
		t.Errorf("told %q, want %q; %d joined", told, want, joined)
	}
}

// What happens is told in its order, whoever tells it: each join by its leave, each room by its creation and its deletion.
func TestRoomsTellInOrder(t *testing.T) {
	var r adapter.Rooms
	state := map[string]int{}
	r.Watch(func(e adapter.RoomEvent) {
		was := state[e.Room]
		switch e.Kind {
		case adapter.RoomCreated, adapter.RoomDeleted:
			if was != 0 {
				t.Errorf("%v of %s with %d members", e.Kind, e.Room, was)
			}
		case adapter.RoomJoined:
			state[e.Room]++
		case adapter.RoomLeft:
			state[e.Room]--
		}
	})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			m := named(strconv.Itoa(i))
			for range 300 {
				r.Join(m, "x", "y")
				r.Leave(m, "x")
				r.Remove(m)
			}
		})
	}
	wg.Wait()
	for room, n := range state {
		if n != 0 {
			t.Errorf("%d are said to be in %s", n, room)
		}
	}
}

type named string

func (n named) ID() string { return string(n) }

// An index that was large keeps no more than what is in it.
func TestRoomsGiveTheirMemoryBack(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	var rooms adapter.Rooms
	stays := adaptertest.NewMember("stays")
	rooms.Join(stays, "room")
	before := heap()
	func() {
		names := make([]string, 200_000)
		for i := range names {
			names[i] = fmt.Sprint("room", i)
		}
		goes := adaptertest.NewMember("goes")
		rooms.Join(goes, names...)
		rooms.Remove(goes)
	}()
	if kept := heap() - before; kept > 1<<20 {
		t.Errorf("%d bytes are kept of 200,000 rooms that are gone", kept)
	}
	if !rooms.Has("room") || !rooms.Has("stays") || rooms.Has("room1") {
		t.Error("not those that were left")
	}
	runtime.KeepAlive(stays)
}

// Who has been taken out is told nothing more of what has happened before, by itself, another or elsewhere.
func TestRoomEventsEndWithOff(t *testing.T) {
	var r adapter.Rooms
	var told []string
	var offs [2]func()
	for i := range offs {
		offs[i] = r.Watch(func(e adapter.RoomEvent) {
			told = append(told, fmt.Sprint(i, " ", e.Kind, " ", e.Room))
			if e.Room == "b" {
				offs[0]()
				offs[1]()
			}
		})
	}
	r.Join(named("a"), "b", "c") // several at once
	if want := []string{"0 create-room a", "1 create-room a", "0 join-room a", "1 join-room a", "0 create-room b"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
