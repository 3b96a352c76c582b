package contract

import (
	"encoding/json"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
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

type (
	tree    map[string]tree
	array   []array
	ring    [2][]ring
	pointer *map[string]pointer
	between []map[string]*between
	hollow  []struct{ Kids hollow }
	outer   []struct{ Inner }
	Inner   struct{ Kids outer }
	kids    []node // is none by itself
	node    struct{ Kids kids }
	names   map[string][]string
)

// A type that holds itself has a name, by which it does; another that is no struct has none.
func TestTypesThatHoldThemselves(t *testing.T) {
	for _, c := range []struct {
		of   reflect.Type
		want string // the named, and the type itself
	}{
		{reflect.TypeFor[tree](), `{"Tree":{"type":"object","additionalProperties":{"anyOf":[{"$ref":"#Tree"},{"type":"null"}]}}} {"anyOf":[{"$ref":"#Tree"},{"type":"null"}]}`},
		{reflect.TypeFor[*array](), `{"Array":{"type":"array","items":{"anyOf":[{"$ref":"#Array"},{"type":"null"}]}}} {"anyOf":[{"$ref":"#Array"},{"type":"null"}]}`},
		{reflect.TypeFor[ring](), `{"Ring":{"type":"array","items":{"anyOf":[{"type":"array","items":{"$ref":"#Ring"}},{"type":"null"}]},"minItems":2,"maxItems":2}} {"$ref":"#Ring"}`},
		{reflect.TypeFor[pointer](), `{"Pointer":{"type":"object","additionalProperties":{"anyOf":[{"$ref":"#Pointer"},{"type":"null"}]}}} {"anyOf":[{"$ref":"#Pointer"},{"type":"null"}]}`},
		{reflect.TypeFor[[]between](), `{"Between":{"type":"array","items":{"anyOf":[{"type":"object","additionalProperties":{"anyOf":[{"$ref":"#Between"},{"type":"null"}]}},{"type":"null"}]}}} {"anyOf":[{"type":"array","items":{"anyOf":[{"$ref":"#Between"},{"type":"null"}]}},{"type":"null"}]}`},
		{reflect.TypeFor[names](), `null {"anyOf":[{"type":"object","additionalProperties":{"anyOf":[{"type":"array","items":{"type":"string"}},{"type":"null"}]}},{"type":"null"}]}`},
	} {
		var r reflector
		got, err := json.Marshal(r.schema(c.of))
		if err != nil {
			t.Fatal(err)
		}
		named, err := json.Marshal(r.named)
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.ReplaceAll(string(named)+" "+string(got), place, "#"); all != c.want {
			t.Errorf("%s: %s, want %s", c.of, all, c.want)
		}
	}
	for of, want := range map[reflect.Type][]string{
		reflect.TypeFor[hollow](): {"Hollow"}, reflect.TypeFor[outer](): {"Outer"}, reflect.TypeFor[Inner](): {"Inner", "Outer"},
		reflect.TypeFor[kids](): {"Node"}, reflect.TypeFor[node](): {"Node"},
	} {
		var r reflector
		r.schema(of)
		if got := slices.Sorted(maps.Keys(r.named)); !slices.Equal(got, want) {
			t.Errorf("%s has the named %q, want %q", of, got, want)
		}
	}
}

// Namespaces whose names differ in signs alone are told apart, in both forms.
func TestNamespacesHaveIdentifiersOfTheirOwn(t *testing.T) {
	c := &Contract{}
	for _, name := range []string{"/", "/-", "/a-b", "/a_b", "/a/b", "/ab"} {
		c.Namespaces = append(c.Namespaces, Namespace{Name: name})
	}
	if got, want := c.identifiers(), []string{"", "_2", "AB", "AB2", "AB3", "Ab"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	doc, err := c.AsyncAPI(Info{})
	if err != nil || strings.Count(string(doc), `"address"`) != len(c.Namespaces) {
		t.Errorf("%v\n%s", err, doc)
	}
}

// The members of a pointer that is embedded are absent where it is nil.
func TestEmbeddedPointersAreOptional(t *testing.T) {
	var r reflector
	type guest struct {
		Name string
		*Other
	}
	r.schema(reflect.TypeFor[guest]())
	if got := r.named["Guest"]; !slices.Equal(got.Required, []string{"Name"}) || got.Properties["X"] == nil {
		t.Errorf("required: %q of %v", got.Required, got.Properties)
	}
}
