package redis

import (
	"reflect"
	"testing"
)

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
		if !ok || !reflect.DeepEqual(again, o) {
			t.Errorf("%q is %+v, and then %+v", s, o, again)
		}
	})
}

func TestOffset(t *testing.T) {
	for s, want := range map[string]offset{
		"1700000000000-0":            {id: streamID{1700000000000, 0}},
		"1700000000000-12~a3.x8Kd0f": {streamID{1700000000000, 12}, []early{{363, "x8Kd0f"}}},
		"1-2~1.a~2.b":                {streamID{1, 2}, []early{{1, "a"}, {2, "b"}}},
	} {
		if o, ok := parseOffset(s); !ok || !reflect.DeepEqual(o, want) || o.String() != s {
			t.Errorf("%q is %+v, %v", s, o, ok)
		}
	}
	for _, s := range []string{"", "0", "a-0", "01-0", "1-0~", "1-0~0.a", "1-0~1.", "1-0~1", "1-0~-1.a", "1-0~1.a~"} {
		if o, ok := parseOffset(s); ok {
			t.Errorf("%q is taken for %+v", s, o)
		}
	}
	o := offset{streamID{5, 0}, []early{{3, "a"}}}
	for _, c := range []struct {
		uid  string
		seq  uint64
		want bool
	}{{"a", 3, true}, {"a", 4, false}, {"b", 1, false}, {"a", 0, false}} {
		if got := o.has(c.uid, c.seq); got != c.want {
			t.Errorf("has(%q, %d) = %v", c.uid, c.seq, got)
		}
	}
}
