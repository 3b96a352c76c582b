package transport

import (
	"regexp"
	"testing"
)

func TestSID(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`)
	seen := make(map[string]bool)
	for range 1000 {
		node := NodeID{1, 2, 0xfb, 0xff, 0xbf}
		sid := newSID(node)
		if !form.MatchString(sid) || seen[sid] {
			t.Fatalf("newSID = %q, seen %v", sid, seen[sid])
		}
		seen[sid] = true
		if got, ok := NodeOf(sid); got != node || !ok {
			t.Fatalf("NodeOf(newSID(%v)) = %v, %v", node, got, ok)
		}
	}
}

func TestNodeOfRefusesWhatIsNoSID(t *testing.T) {
	for _, sid := range []string{"", "abc", "lv_VI97HAXpY6yYWAAAB", "lv+VI97HAXpY6yYWAAAB", "lv_VI97HAXpY6yYWAAABx", "éééééééééé"} {
		_, ok := NodeOf(sid)
		if want := sid == "lv_VI97HAXpY6yYWAAAB"; ok != want {
			t.Errorf("NodeOf(%q) ok %v, want %v", sid, ok, want)
		}
	}
}
