package near_test

import (
	"testing"

	"github.com/beanpole/beanpole/internal/near"
)

func TestName(t *testing.T) {
	for _, c := range []struct {
		name, want string
		within     int
	}{
		{"mesage", "message", 3},
		{"massages", "message", 3},
		{"massagers", "", 3},
		{"jion", "join", 3},
		{"join", "join", 1},
		{"", "", 3},
	} {
		if got := near.Name(c.name, []string{"join", "message", "leave"}, c.within); got != c.want {
			t.Errorf("Name(%q, %d) = %q, want %q", c.name, c.within, got, c.want)
		}
	}
	if got := near.Name("join", nil, 3); got != "" {
		t.Errorf("of no names %q", got)
	}
}
