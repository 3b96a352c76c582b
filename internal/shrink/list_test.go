package shrink

import (
	"runtime"
	"slices"
	"testing"
	"weak"
)

func TestFirstKeepsNothing(t *testing.T) {
	list := []*[64]string{new([64]string), new([64]string), new([64]string)}
	x := First(&list)
	w := weak.Make(x)
	runtime.GC()
	if w.Value() != nil {
		t.Error("the first is kept")
	}
	if len(list) != 2 || slices.Contains(list, nil) {
		t.Errorf("%d are left", len(list))
	}
	First(&list)
	if First(&list); list != nil {
		t.Error("an empty list is kept")
	}
}
