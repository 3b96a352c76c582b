package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"
)

type (
	player struct {
		ID      string   `json:"id"`
		Name    string   `json:"name,omitempty"`
		Age     int8     `json:"age"`
		Score   float32  `json:"score,omitempty"`
		Total   float64  `json:"total,omitzero"`
		Big     uint64   `json:"big"`
		On      bool     `json:"on,omitempty"`
		At      *point   `json:"at"`
		Trail   []point  `json:"trail"`
		Tags    []string `json:"tags,omitempty"`
		File    []byte   `json:"file,omitempty"`
		Named   blob     `json:"named,omitempty"`
		Any     any      `json:"any,omitempty"`
		Map     map[string]int
		Friends []*player `json:"friends,omitempty"`
		Best    *player   `json:"best,omitempty"`
		When    time.Time `json:"when"`
		Took    time.Duration
		Shout   shout `json:"shout"`
		Rows    [][]int
		Hidden  string `json:"-"`
		inner   string
		Team    struct{ Name, NAME string }
		Pair    [2]int
		Deep    **int
	}
	point struct{ X, Y float64 }
	// What has methods that are found by its address alone.
	whisper  string
	whispers struct{ A, B whisper }
	embeds   struct {
		point
		Z int
	}
	quotes struct {
		N int  `json:",string"`
		B bool `json:"b"`
	}
	ring struct{ Next *ring }
)

func (w *whisper) MarshalJSON() ([]byte, error) { return json.Marshal("psst " + string(*w)) }

// planned are types that have a plan, or must have none.
var planned = []reflect.Type{
	reflect.TypeFor[player](), reflect.TypeFor[*player](), reflect.TypeFor[[]player](), reflect.TypeFor[[]point](), reflect.TypeFor[[]int](),
	reflect.TypeFor[[]string](), reflect.TypeFor[point](), reflect.TypeFor[message](), reflect.TypeFor[whispers](), reflect.TypeFor[*whispers](),
	reflect.TypeFor[embeds](), reflect.TypeFor[quotes](), reflect.TypeFor[ring](), reflect.TypeFor[sample](), reflect.TypeFor[[][]float32](),
	reflect.TypeFor[map[string]point](), reflect.TypeFor[struct{ P, Q []*point }](), reflect.TypeFor[struct{ N json.Number }](),
}

// FuzzPlan compares what plans decode and encode with what the library does.
func FuzzPlan(f *testing.F) {
	for _, raw := range []string{
		`{"id":"a","name":"é\u00e9\ud800","age":-12,"score":1.5,"total":1e-9,"big":18446744073709551615,"on":true,"at":{"X":1,"Y":-0}}`,
		`{"trail":[{"X":1},{"Y":2.5e3},null,{}],"tags":["a","",null],"file":{"_placeholder":true,"num":0},"named":"AQI="}`,
		`{"any":{"a":[1,null,{"_placeholder":true,"num":0}]},"Map":{"a":1},"friends":[{"id":"b"},null,{"friends":[]}],"best":{"best":{"age":3}}}`,
		`{"when":"2026-01-02T03:04:05Z","Took":5,"shout":"x","Rows":[[1],[],null],"Team":{"Name":"a","NAME":"b"},"Pair":[1,2],"Deep":7}`,
		`{"ID":"fold"}`, `{"Known":1,"rooſ":2,"tagſ":["x"],"ſcore":1}`, `{"\u017fcore":1}`, `{"id":"a","id":null}`, `{"id":"a","id":"b"}`, `{"Trail":[{"X":1}],"trail":[{"Y":2}]}`, `{"id":7}`, `{"age":300}`, `{"age":1.0}`, `{"age":1e2}`, `{"score":1e40}`,
		`{"at":null,"trail":null,"tags":null,"file":null,"id":null,"age":null,"on":null,"Team":null}`, `{"tags":[]}`, `{"file":""}`, `{"file":7}`,
		`{"unknown":{"a":[1,{"b":"]"}]},"":1,"id":"x"}`, ` { "id" : "a" , "age" : 3 } `, `[{"X":1,"Y":2}, {"x":3}]`, `[1,2,3]`, `["a","\"b"]`, `[]`, `null`, `{}`, `[[1.5],[2]]`, `7`, `"x"`, `true`,
		`{"room":"r","text":"t","seq":1,"tags":["a","b","c","d","e"]}`, `{"A":"a","B":"b"}`, `{"N":"5","b":true}`, `{"N":5}`, `{"Next":{"Next":{}}}`, `{"P":[{"X":1}],"Q":[]}`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = trim(raw)
		if len(raw) > 1<<12 || valid(raw, 50) != nil || bytes.ContainsAny(raw, "eE") && bytes.Contains(raw, []byte("any")) {
			return // a number too large is an infinity in an interface of ours, and an error of the library's
		}
		attachments := [][]byte{{1, 2, 3}}
		for _, typ := range planned {
			want, got := reflect.New(typ), reflect.New(typ)
			wantErr, gotErr := decodeLibrary(raw, attachments, want.Interface()), Decode(raw, attachments, got.Interface())
			if (wantErr == nil) != (gotErr == nil) || wantErr != nil && wantErr.Error() != gotErr.Error() {
				t.Fatalf("%s into %s: %v, want %v", raw, typ, gotErr, wantErr)
			}
			if wantErr != nil {
				continue
			}
			if !reflect.DeepEqual(want.Interface(), got.Interface()) {
				t.Fatalf("%s into %s: %+v\nwant %+v", raw, typ, got.Elem(), want.Elem())
			}
			sameText(t, got.Elem().Interface())
			sameText(t, got.Interface())
		}
	})
}

// sameText compares the two ways of encoding v.
func sameText(t *testing.T, v any) {
	t.Helper()
	h := holds(reflect.TypeOf(v))
	if h >= binaryItself {
		return // these have not been the library's before
	}
	want, wantAtts, wantErr := appendLibrary(nil, nil, v, h, 0)
	got, gotAtts, gotErr := AppendValue(nil, nil, v)
	if (wantErr == nil) != (gotErr == nil) || wantErr == nil && (!bytes.Equal(want, got) || !reflect.DeepEqual(wantAtts, gotAtts)) {
		t.Fatalf("%T: %s, %v, %v\nwant %s, %v, %v", v, got, gotAtts, gotErr, want, wantAtts, wantErr)
	}
}

// What is in values of Go and in no JSON text.
func TestPlanEncodesAsTheLibrary(t *testing.T) {
	seven := 7
	p := &seven
	a, b := &player{ID: "a\x00\"\\\u2028<>&\xff", Deep: &p, When: time.Unix(1, 5).UTC(), Map: map[string]int{"b": 1, "a": 2}}, &player{ID: "b", inner: "x"}
	a.Friends, a.Best, b.Any = []*player{b, nil}, b, whispers{"x", "y"}
	a.Score, a.Total = float32(math.Copysign(0, -1)), math.Copysign(0, -1)
	b.File, b.Named, b.Total, b.Score = []byte{}, blob{1}, 1e21, 1.0e-7
	for _, v := range []any{a, *a, []player{*a, *b}, []*player{a, nil}, []point{{1, 2}}, []point(nil), whispers{"a", "b"}, &whispers{"a", "b"}, []whispers{{"a", "b"}},
		embeds{point{1, 2}, 3}, quotes{1, true}, &point{1, 2}, (*point)(nil), player{At: &point{}, Any: &point{1, 2}}, struct{ N json.Number }{"1.50"},
		struct {
			R json.RawMessage
		}{json.RawMessage(`{ "a" : 1 }`)}} {
		sameText(t, v)
	}
	if got, _, err := AppendValue(nil, nil, []point{{math.NaN(), math.Inf(1)}}); err != nil || string(got) != `[{"X":null,"Y":null}]` {
		t.Errorf("not finite: %s, %v", got, err)
	}
	around := &ring{}
	around.Next = around
	if _, _, err := AppendValue(nil, nil, around); !errors.Is(err, ErrValue) {
		t.Errorf("a cycle: %v", err)
	}
}

// What is in a variable already is merged as encoding/json does.
func TestPlanMergesAsTheLibrary(t *testing.T) {
	for _, raw := range []string{`{"Y":2}`, `{"X":null}`, `{"X":"a"}`} {
		got, want := point{1, 1}, point{1, 1}
		gotErr, wantErr := Decode([]byte(raw), nil, &got), decodeLibrary([]byte(raw), nil, &want)
		if got != want || (gotErr == nil) != (wantErr == nil) {
			t.Errorf("%s: %v, %v, want %v, %v", raw, got, gotErr, want, wantErr)
		}
	}
	// What does not fit leaves what the library leaves.
	got, want := message{}, message{}
	_, _ = Decode([]byte(`{"room":"a","seq":"b","text":"c"}`), nil, &got), decodeLibrary([]byte(`{"room":"a","seq":"b","text":"c"}`), nil, &want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
