package adapter_test

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
)

// The trail has each stay from when it began to when it ended, in whatever order rooms are joined and left.
func TestTrailAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := 0
		rooms := adapter.Rooms{Position: func() string { return strconv.Itoa(at) }}
		m := adaptertest.NewMember("m")
		rooms.Join(m)
		now := map[string]string{}
		want := []adapter.Stay{{Room: "m", From: "0"}}
		for range rapid.IntRange(1, 40).Draw(t, "steps") { // fewer stays than are kept
			at++
			room := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "room")
			if from, in := now[room]; in {
				rooms.Leave(m, room)
				want = append(want, adapter.Stay{Room: room, From: from, To: rooms.Position()})
				delete(now, room)
			} else {
				rooms.Join(m, room)
				now[room] = rooms.Position()
			}
		}
		for room, from := range now {
			want = append(want, adapter.Stay{Room: room, From: from})
		}
		_, trail := rooms.Remove(m)
		for _, s := range want {
			if !slices.Contains(trail.Stays, s) {
				t.Fatalf("the trail lacks %+v: %+v", s, trail)
			}
		}
		if len(trail.Stays) != len(want) || trail.End != rooms.Position() || trail.Forgot != "" {
			t.Fatalf("the trail is %+v, want %+v", trail, want)
		}
	})
}
