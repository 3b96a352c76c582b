package contract

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

type color string

func (color) Values() []color { return []color{"red", "green"} }

type lights string

func (lights) Values() []lights { return []lights{"red", "green", "amber"} }

type small struct {
	A int `json:"a"`
}

type large struct {
	A int    `json:"a"`
	B string `json:"b"`
}

type loose struct {
	A int `json:"a,omitempty"`
}

type list struct {
	Next *list `json:"next"`
	A    any   `json:"a"`
}

func typ[T any]() reflect.Type { return reflect.TypeFor[T]() }

func TestBreaks(t *testing.T) {
	only := func(args ...reflect.Type) Function { return Function{Args: args} }
	asks := func(fails bool, results ...reflect.Type) Function { return Function{Results: results, Fails: fails} }
	rest := Function{Variadic: typ[float64]()}
	for name, c := range map[string]struct {
		old, now Function
		in, out  string // what it says of an event from clients, and to them; "" for nothing
	}{
		"the same":        {only(typ[list](), typ[time.Time]()), only(typ[list](), typ[time.Time]()), "", ""},
		"integer, number": {only(typ[int]()), only(typ[float64]()), "", "argument 1 is number and not integer"},
		"other type":      {only(typ[int]()), only(typ[string]()), "argument 1 is integer and not string", "argument 1 is string and not integer"},
		"one more":        {only(), only(typ[int]()), "argument 1 is not sent", "argument 1 is not taken"},
		"any number":      {only(typ[int](), typ[int]()), rest, "", "argument 1 is not sent"},
		"field more":      {only(typ[small]()), only(typ[large]()), `argument 1 has no field "b"`, ""},
		"field optional":  {only(typ[small]()), only(typ[loose]()), "", `argument 1 may be without its field "a"`},
		"deep":            {only(typ[map[string][]small]()), only(typ[map[string][]large]()), `argument 1, values, items has no field "b"`, ""},
		"null":            {only(typ[small]()), only(typ[*small]()), "", "argument 1 may be null"},
		"value more":      {only(typ[color]()), only(typ[lights]()), "", `argument 1 may be "amber"`},
		"any text":        {only(typ[color]()), only(typ[string]()), "", `argument 1 may be other than "red", "green"`},
		"anything":        {only(typ[small]()), only(typ[any]()), "", "argument 1 is of any type and not object"},
		"binary":          {only(typ[[]byte]()), only(typ[string]()), "argument 1 may be null", "argument 1 is string and not binary"},
		"time":            {only(typ[time.Time]()), only(typ[string]()), "", "argument 1 is string and not a time"},
		"array":           {only(typ[[2]int]()), only(typ[[3]int]()), "argument 1 has not 3 items", "argument 1 has not 2 items"},
		"map":             {only(typ[small]()), only(typ[map[string]int]()), "argument 1 is an object of fields and not a map", "argument 1 may be null"},
		"no answer":       {asks(false, typ[int]()), only(), "is not acknowledged any more", ""},
		"other answer":    {asks(false, typ[int]()), asks(false, typ[string]()), "value 1 of the acknowledgement is string and not integer", "value 1 of the acknowledgement is integer and not string"},
		"one value less":  {asks(false, typ[int](), typ[int]()), asks(false, typ[int]()), "value 2 of the acknowledgement is gone", ""},
		"may fail":        {asks(false, typ[int]()), asks(true, typ[int]()), "", ""},
		"answers itself":  {asks(false, typ[int]()), Function{Later: true}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range []struct {
				add  func(b *Builder, f Function)
				want string
				side string
			}{
				{func(b *Builder, f Function) { b.Receives("/", "x", f) }, c.in, "from"},
				{func(b *Builder, f Function) { b.Sends("/", "x", f) }, c.out, "to"},
			} {
				var old, now Builder
				d.add(&old, c.old)
				d.add(&now, c.now)
				var want []string
				if d.want != "" {
					want = []string{`/: "x" ` + d.side + " clients, " + d.want}
				}
				got := now.Contract().Breaks(old.Contract())
				if len(got) == 0 != (len(want) == 0) || len(want) > 0 && !slices.Contains(got, want[0]) {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
}

func TestWhatIsGoneBreaks(t *testing.T) {
	var old, now Builder
	old.Receives("/", "in", Function{})
	old.Sends("/", "out", Function{})
	old.Namespace("/admin")
	now.Receives("/", "new", Function{})
	want := []string{`/: "in" from clients has no handler any more`, `/: "out" to clients is not sent any more`, `/admin: the namespace is gone`}
	if got := now.Contract().Breaks(old.Contract()); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
