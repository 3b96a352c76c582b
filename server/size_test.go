package server

import (
	"testing"
	"unsafe"
)

// What every idle socket holds stays within the allocator's size class that it has now: a field more must be
// worth 16 bytes of each.
func TestIdleSocketIsSmall(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	for _, of := range []struct {
		name      string
		size, max uintptr
	}{
		{"Socket", unsafe.Sizeof(Socket{}), 208},
		{"client", unsafe.Sizeof(client{}), 168},
	} {
		if of.size > of.max {
			t.Errorf("a %s has %d bytes", of.name, of.size)
		}
	}
}
