package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// reader reads JSON by itself.
type reader struct{ text string }

func (r *reader) UnmarshalJSON(b []byte) error { r.text = string(b); return nil }

// streamed reads JSON by itself, from the library.
type streamed struct{ text string }

func (s *streamed) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	s.text = string(raw)
	return err
}

// worded reads a text.
type worded struct{}

func (*worded) UnmarshalText([]byte) error { return nil }

type (
	anything any
	number   struct {
		Num int `json:"num"`
	}
	crate struct {
		A number             `json:"a"`
		B *map[string]string `json:"b"`
		C []reader           `json:"c"`
		D anything           `json:"d"`
		E map[string]any     `json:"e"`
		F [1]streamed        `json:"f"`
		G []byte             `json:"g"`
		H *blob              `json:"h"`
	}
)

const stands = `{"_placeholder":true,"num":0}`

// A binary fits a []byte and an any, at any depth, and nothing else: an object that stands for it is nobody's.
func TestBinaryFitsBytesAndAnyAlone(t *testing.T) {
	for _, c := range []struct {
		text string
		v    any
		want string
	}{
		{stands, new(map[string]json.RawMessage), "expected object, got binary"},
		{stands, new(map[string]any), "expected object, got binary"},
		{stands, new(map[string]int), "expected object, got binary"},
		{stands, new(struct{}), "expected object, got binary"},
		{stands, new(number), "expected object, got binary"},
		{` { "num" : 0 , "_placeholder" : true } `, new(**number), "expected object, got binary"},
		{stands, new([]any), "expected array, got binary"},
		{stands, new([4]byte), "expected array, got binary"},
		{stands, new(string), "expected string, got binary"},
		{stands, new(int), "expected integer, got binary"},
		{stands, new(json.Number), "expected number, got binary"},
		{stands, new(worded), "expected string, got binary"},
		{stands, new(reader), "expected JSON, got binary"},
		{stands, new(streamed), "expected JSON, got binary"},
		{stands, new(json.RawMessage), "expected JSON, got binary"},
		{stands, new(jsontext.Value), "expected JSON, got binary"},
		{`{"x":[` + stands + `]}`, new(reader), "expected JSON, got binary"},
		{`{"a":` + stands + `}`, new(crate), "a: expected object, got binary"},
		{`{"a":{"num":` + stands + `}}`, new(crate), "a.num: expected integer, got binary"},
		{`{"b":` + stands + `}`, new(crate), "b: expected object, got binary"},
		{`{"b":{"x":` + stands + `}}`, new(crate), "b.x: expected string, got binary"},
		{`{"c":[1,` + stands + `]}`, new(crate), "c.1: expected JSON, got binary"},
		{`{"c":[1,{"x":` + stands + `}]}`, new(crate), "c.1: expected JSON, got binary"},
		{`{"e":` + stands + `}`, new(crate), "e: expected object, got binary"},
		{`{"f":[` + stands + `]}`, new(crate), "f.0: expected JSON, got binary"},
		{`[{"a":{}}, ` + stands + `]`, new([]crate), "1: expected object, got binary"},
		{`{"x": {"y":` + stands + `}}`, new(map[string]map[string]number), "x.y: expected object, got binary"},
	} {
		err := DecodeArgs([][]byte{[]byte(c.text)}, [][]byte{{1}}, c.v)
		var arg *ArgError
		var m *MismatchError
		if !errors.As(err, &arg) || !errors.As(err, &m) || !errors.Is(err, ErrTarget) || m.Got != "binary" || m.Error() != c.want {
			t.Errorf("%s into %T: %v, want %s", c.text, c.v, err, c.want)
		}
	}
	// Nothing is attached: an object like others.
	for _, v := range []any{new(number), new(reader), new(json.RawMessage), new(map[string]any), new([]reader)} {
		text := stands
		if reflect.TypeOf(v).Elem().Kind() == reflect.Slice && reflect.TypeOf(v).Elem().Elem() == reflect.TypeFor[reader]() {
			text = `[` + stands + `]`
		}
		if err := Decode([]byte(text), nil, v); err != nil {
			t.Errorf("%s into %T: %v", text, v, err)
		}
	}
}

// What fits is in its place, whatever is around it, and what has no binary in it is read as ever.
func TestBinaryIsInItsPlace(t *testing.T) {
	one, two := []byte{1}, []byte{2}
	const other = `{"_placeholder":true,"num":1}`
	var h crate
	err := Decode([]byte(`{"a":{"num":3},"b":{"x":"y"},"c":[1,{"z":2}],"d":[{"q":`+stands+`}],"e":{"w":`+other+`,"v":{"_placeholder":false,"num":0}},"f":["s"],"more":7}`),
		[][]byte{one, two}, &h)
	want := crate{A: number{3}, B: &map[string]string{"x": "y"}, C: []reader{{"1"}, {`{"z":2}`}}, D: []any{map[string]any{"q": one}},
		E: map[string]any{"w": two, "v": map[string]any{"_placeholder": false, "num": 0.0}}, F: [1]streamed{{`"s"`}}}
	if err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("%+v, %v", h, err)
	}
	h = crate{}
	if err := Decode([]byte(`{"c":["{\"_placeholder\":true,\"num\":0}"],"d":`+stands+`,"h":`+other+`}`), [][]byte{one, two}, &h); err != nil ||
		!reflect.DeepEqual(h.D, anything(one)) || !bytes.Equal(*h.H, two) || len(h.C) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
	inside := any(new(number))
	if err := Decode([]byte(stands), [][]byte{one}, &inside); !errors.Is(err, ErrTarget) {
		t.Errorf("%+v, %v", inside, err)
	}
	inside = any(new([]byte))
	if err := Decode([]byte(stands), [][]byte{one}, &inside); err != nil || !bytes.Equal(*inside.(*[]byte), one) {
		t.Errorf("%+v, %v", inside, err)
	}
	var list []anything
	if err := Decode([]byte(`[null, 1,`+stands+`]`), [][]byte{one}, &list); err != nil || !reflect.DeepEqual(list, []anything{nil, 1.0, one}) {
		t.Errorf("%+v, %v", list, err)
	}
	var both struct {
		A json.RawMessage
		B []byte
	}
	if err := Decode([]byte(`{"A":[1],"B":`+stands+`}`), [][]byte{{7}}, &both); err != nil || string(both.A) != "[1]" || len(both.B) != 1 {
		t.Errorf("%+v, %v", both, err)
	}
}
