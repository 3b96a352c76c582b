package contract

import (
	"encoding/json"
	"math/big"
	"reflect"
	"testing"
	"time"
)

type deep struct{ A, B, C int }

type Embedded struct {
	A int `json:"a"`
	X int
}

type Other struct {
	X int
	Y int `json:"same"`
}

type whole struct {
	Embedded
	*Other
	deep    `json:"deep"`
	A       string   `json:"a"`
	Z       int      `json:"same"`
	At      *big.Int `json:"at"`
	Seconds time.Duration
	secret  int
}

// The names of the members are those that encoding/json gives.
func TestFieldsAreThoseOfJSON(t *testing.T) {
	w := whole{Other: &Other{}, At: big.NewInt(1), secret: 1}
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	var r reflector
	s := r.named[r.schema(reflect.TypeOf(w)).Ref[len(place):]]
	for name := range want {
		if s.Properties[name] == nil {
			t.Errorf("no %q", name)
		}
	}
	if len(s.Properties) != len(want) {
		t.Errorf("%d members, want %s", len(s.Properties), b)
	}
	if s.Properties["a"].Type != "string" {
		t.Errorf("a is %+v", s.Properties["a"])
	}
}

type Page[T any] struct{ Items []T }

func TestNamesAreDistinct(t *testing.T) {
	type Embedded struct{ Here bool }
	var r reflector
	seen := map[string]bool{}
	for _, typ := range []reflect.Type{reflect.TypeFor[Page[deep]](), reflect.TypeFor[Page[Other]](), reflect.TypeFor[Page[map[string]time.Time]](),
		reflect.TypeFor[Embedded](), reflect.TypeOf(whole{}.Embedded)} {
		ref := r.schema(typ).Ref
		if ref == "" || seen[ref] {
			t.Errorf("%s is %q", typ, ref)
		}
		seen[ref] = true
	}
}
