package packet

import (
	"errors"
	"testing"
)

type (
	endless *endless
	holder  struct{ P endless }
	open    struct{ P *any }
)

// A value that contains itself is an error, whatever it goes through, and not the end of the process.
func TestCyclesOfPointers(t *testing.T) {
	var through any
	through = &through
	var alone endless
	alone = &alone
	var a, b any
	a, b = &b, &a
	for name, v := range map[string]any{
		"any": through, "map": map[string]any{"a": through}, "slice": []any{1, through}, "two": []any{a, b},
		"type": alone, "member": holder{alone}, "pointer to it": &holder{alone}, "field": open{&through},
		"behind others": []any{[]*int{nil, new(int)}, open{new(any)}, open{&through}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := AppendValue(nil, nil, v); !errors.Is(err, ErrValue) {
				t.Errorf("AppendValue: %v", err)
			}
			if _, err := AppendJSON(nil, v); !errors.Is(err, ErrValue) {
				t.Errorf("AppendJSON: %v", err)
			}
		})
	}
	var deep any = "x"
	for range 500 {
		deep = &[]any{deep}[0]
	}
	for _, v := range []any{deep, make([]*int, 5000), make([]open, 5000), holder{}} {
		if _, _, err := AppendValue(nil, nil, v); err != nil {
			t.Errorf("%T: %v", v, err)
		}
	}
}

func TestDecodeIntoItself(t *testing.T) {
	var v any
	v = &v
	var alone, made endless
	alone = &alone
	for name, into := range map[string]any{"any": &v, "type": &alone, "new": &made} {
		if err := Decode([]byte(`{"a":1}`), nil, into); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var n int
	into := any(&n)
	if err := Decode([]byte("5"), nil, &into); err != nil || n != 5 {
		t.Errorf("an interface with a pointer: %v, %d", err, n)
	}
}
