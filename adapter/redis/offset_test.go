package redis

import "testing"

func FuzzOffset(f *testing.F) {
	for _, s := range []string{"1700000000000-0", "1700000000000-12~a3.x8Kd0f", "0-0~1.a~b", "1-0~0.a", "1-0~1.", "01-0", "1-0~", "-", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, ok := parseOffset(s)
		if !ok {
			return
		}
		again, ok := parseOffset(o.String())
		if !ok || again != o {
			t.Errorf("%q is %+v, and then %+v", s, o, again)
		}
	})
}

func TestOffset(t *testing.T) {
	for s, want := range map[string]offset{
		"1700000000000-0":            {id: streamID{1700000000000, 0}},
		"1700000000000-12~a3.x8Kd0f": {id: streamID{1700000000000, 12}, seq: 363, uid: "x8Kd0f"},
	} {
		if o, ok := parseOffset(s); !ok || o != want || o.String() != s {
			t.Errorf("%q is %+v, %v", s, o, ok)
		}
	}
	for _, s := range []string{"", "0", "a-0", "01-0", "1-0~", "1-0~0.a", "1-0~1.", "1-0~1", "1-0~-1.a"} {
		if o, ok := parseOffset(s); ok {
			t.Errorf("%q is taken for %+v", s, o)
		}
	}
	o := offset{id: streamID{5, 0}, seq: 3, uid: "a"}
	for _, c := range []struct {
		uid  string
		seq  uint64
		want bool
	}{{"a", 3, true}, {"a", 4, false}, {"b", 1, false}, {"a", 0, false}} {
		if got := o.early(c.uid, c.seq); got != c.want {
			t.Errorf("early(%q, %d) = %v", c.uid, c.seq, got)
		}
	}
}
