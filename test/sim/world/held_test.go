package main

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
)

// TestScale: what is in the product's maps, lists and slices is counted, whatever they are reached by.
func TestScale(t *testing.T) {
	memory, err := adapter.Memory(nil)(adaptertest.NewNamespace("/"))
	if err != nil {
		t.Fatal(err)
	}
	weigh := func() map[string]int {
		s := scale{counts: map[string]int{}, seen: map[visit]bool{}}
		s.value("", reflect.ValueOf(memory))
		return s.counts
	}
	before := weigh()
	m := adaptertest.NewMember(fmt.Sprintf("member-%013d", 1))
	memory.Join(m, "a", "b")
	in := weigh()
	memory.Remove(m)
	if after := weigh(); !reflect.DeepEqual(before, after) || in["adapter.Rooms.rooms"] < before["adapter.Rooms.rooms"]+2 {
		t.Errorf("before %v\nin     %v\nafter  %v", before, in, after)
	}
}
