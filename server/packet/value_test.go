package packet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

type (
	blob   []byte
	shout  string
	inner  struct{ Bytes blob }
	object map[string]any
	key    string
	sample struct {
		Name  string            `json:"name"`
		Empty string            `json:"empty,omitempty"`
		Count int               `json:",string"`
		File  []byte            `json:"file"`
		Blob  blob              `json:"blob,omitempty"`
		Any   any               `json:"any"`
		List  [][]byte          `json:"list"`
		Map   map[string][]byte `json:"map"`
		Ptr   *[]byte           `json:"ptr"`
		Raw   json.RawMessage   `json:"raw"`
		Inner *inner            `json:"inner"`
		Skip  []byte            `json:"-"`
	}
)

func (s shout) MarshalJSON() ([]byte, error) { return json.Marshal(strings.ToUpper(string(s))) }

// missing is an error of which nothing could be seen, said one that is its text.
type (
	missing struct{ what string }
	said    string
)

func (m *missing) Error() string { return m.what }
func (s said) Error() string     { return string(s) }

func TestAppendValue(t *testing.T) {
	file := []byte{1, 2}
	var loop any
	loop = []any{&loop}
	for _, c := range []struct {
		in   any
		want string
		atts [][]byte
	}{
		{nil, `null`, nil},
		{"a\"b\\\n\x01<&>é\u2028\x7f", "\"a\\\"b\\\\\\n\\u0001<&>é\u2028\x7f\"", nil},
		{"bad\xff\xfe!", "\"bad\ufffd\ufffd!\"", nil},
		{true, `true`, nil},
		{-12, `-12`, nil},
		{uint64(math.MaxUint64), `18446744073709551615`, nil},
		{1.0, `1`, nil}, {1e21, `1e+21`, nil}, {1e-7, `1e-7`, nil}, {float32(0.1), `0.1`, nil}, {-0.5, `-0.5`, nil},
		{[]string{"a", "b"}, `["a","b"]`, nil},
		{[]string(nil), `null`, nil}, {[]any(nil), `null`, nil}, {map[string]any(nil), `null`, nil}, {[]byte(nil), `null`, nil},
		{[]int(nil), `null`, nil}, {[]int{}, `[]`, nil}, {(*sample)(nil), `null`, nil},
		{[]int{1, 2}, `[1,2]`, nil}, {[2]byte{1, 2}, `[1,2]`, nil}, {map[int]string{2: "b", 1: "a"}, `{"1":"a","2":"b"}`, nil},
		{[]byte{}, `{"_placeholder":true,"num":0}`, [][]byte{{}}},
		{blob{3}, `{"_placeholder":true,"num":0}`, [][]byte{{3}}},
		{&file, `{"_placeholder":true,"num":0}`, [][]byte{{1, 2}}},
		{[][]byte{{1}, nil, {2}}, `[{"_placeholder":true,"num":0},null,{"_placeholder":true,"num":1}]`, [][]byte{{1}, {2}}},
		{map[string]any{"b": []byte{2}, "a": blob{1}, "c": map[string]blob{"x": {3}}},
			`{"a":{"_placeholder":true,"num":0},"b":{"_placeholder":true,"num":1},"c":{"x":{"_placeholder":true,"num":2}}}`, [][]byte{{1}, {2}, {3}}},
		{[]any{1, "x", []any{[]byte{1}}}, `[1,"x",[{"_placeholder":true,"num":0}]]`, [][]byte{{1}}},
		{json.RawMessage(` {"a":1} `), ` {"a":1} `, nil}, {jsontext.Value(`[1]`), `[1]`, nil}, {json.RawMessage(nil), `null`, nil},
		{json.RawMessage("\"\xff\""), "\"\ufffd\"", nil},
		{json.Number("12.50"), `12.50`, nil}, {[]json.Number{"1"}, `[1]`, nil}, {map[string]json.Number{"a": ""}, `{"a":0}`, nil},
		{struct{ N any }{json.Number("7")}, `{"N":7}`, nil},
		{struct{ R json.RawMessage }{json.RawMessage("\"\xff\"")}, "{\"R\":\"\ufffd\"}", nil},
		{shout("hi"), `"HI"`, nil}, {net.IPv4(127, 0, 0, 1), `"127.0.0.1"`, nil}, {[]any{net.IPv4(127, 0, 0, 1)}, `["127.0.0.1"]`, nil},
		{struct{ IP any }{net.IPv4(127, 0, 0, 1)}, `{"IP":"127.0.0.1"}`, nil},
		{time.Unix(0, 0).UTC(), `"1970-01-01T00:00:00Z"`, nil}, {time.Second, `1000000000`, nil},
		{object{"b": blob{1}, "a": object{"c": []object{{}, nil}}}, `{"a":{"c":[{},null]},"b":{"_placeholder":true,"num":0}}`, [][]byte{{1}}},
		{[]map[string]any{{"a": blob{1}}, nil}, `[{"a":{"_placeholder":true,"num":0}},null]`, [][]byte{{1}}},
		{map[key][]any{"b": nil, "a": {blob{1}, blob(nil)}}, `{"a":[{"_placeholder":true,"num":0},null],"b":null}`, [][]byte{{1}}},
		{[]error{nil}, `[null]`, nil}, {map[any]int{"a": 1}, `{"a":1}`, nil}, {map[fmt.Stringer]int{}, `{}`, nil}, {map[int]any{2: blob{1}}, `{"2":{"_placeholder":true,"num":0}}`, [][]byte{{1}}},
		{[]net.IP{net.IPv4(1, 2, 3, 4)}, `["1.2.3.4"]`, nil}, {[]any{shout("a"), new(shout)}, `["A",""]`, nil},
		{struct{ S string }{"<b>"}, `{"S":"<b>"}`, nil},
		{(*missing)(nil), `null`, nil}, {&json.SyntaxError{Offset: 1}, `{"Offset":1}`, nil}, {said("x"), `"x"`, nil},
		{sample{Name: "n", File: []byte{1}, Blob: blob{2}, Any: []any{blob{3}}, List: [][]byte{{4}}, Map: map[string][]byte{"m": {5}},
			Ptr: &file, Raw: json.RawMessage(`{"r":1}`), Inner: &inner{blob{6}}, Skip: []byte{9}},
			`{"name":"n","Count":"0","file":{"_placeholder":true,"num":0},"blob":{"_placeholder":true,"num":1},` +
				`"any":[{"_placeholder":true,"num":2}],"list":[{"_placeholder":true,"num":3}],"map":{"m":{"_placeholder":true,"num":4}},` +
				`"ptr":{"_placeholder":true,"num":5},"raw":{"r":1},"inner":{"Bytes":{"_placeholder":true,"num":6}}}`,
			[][]byte{{1}, {2}, {3}, {4}, {5}, {1, 2}, {6}}},
	} {
		got, atts, err := AppendValue([]byte("x"), nil, c.in)
		if err != nil || string(got) != "x"+c.want || !reflect.DeepEqual(atts, c.atts) {
			t.Errorf("AppendValue(%#v) = %s, %v, %v\nwant x%s, %v", c.in, got, atts, err, c.want, c.atts)
		}
	}
	for _, in := range []any{make(chan int), func() {}, errors.New("x"), []any{fmt.Errorf("x: %w", io.EOF)}, &missing{}, object{"error": io.EOF},
		json.RawMessage(`{"a":`), json.RawMessage{}, struct{ R json.RawMessage }{json.RawMessage(`{`)}, loop, json.Number("x"),
		map[string]any{"a": []any{1, make(chan int)}}} {
		if got, atts, err := AppendValue([]byte("x"), nil, in); !errors.Is(err, ErrValue) || string(got) != "x" || atts != nil {
			t.Errorf("AppendValue(%T) = %s, %v, %v", in, got, atts, err)
		}
	}
	cycle := map[string]any{}
	cycle["a"] = cycle
	if _, _, err := AppendValue(nil, nil, cycle); !errors.Is(err, ErrDepth) {
		t.Errorf("cycle: %v", err)
	}
}

// JSON.stringify writes null for what is not finite, wherever it stands.
func TestWhatIsNotFiniteIsNull(t *testing.T) {
	type celsius float64
	type reading struct {
		At    celsius   `json:"at"`
		File  []byte    `json:"file,omitempty"`
		Name  blob      `json:"name,omitempty"`
		Any   any       `json:"any"`
		Row   []float32 `json:"row"`
		Ptr   *float64  `json:"ptr"`
		Text  float64   `json:"text,string"`
		Spoke shout     `json:"spoke"`
	}
	nan, inf := math.NaN(), math.Inf(-1)
	const full = `{"at":null,"any":{"x":null},"row":[1,null],"ptr":null,"text":null,"spoke":"A"}`
	r := reading{At: celsius(nan), Any: map[string]any{"x": inf}, Row: []float32{1, float32(inf)}, Ptr: &nan, Text: nan, Spoke: "a"}
	for _, c := range []struct {
		in   any
		want string
	}{
		{nan, `null`}, {inf, `null`}, {float32(inf), `null`}, {celsius(nan), `null`}, {&nan, `null`},
		{[]float64{1, nan}, `[1,null]`}, {[2]float32{float32(nan), 2}, `[null,2]`}, {map[string]celsius{"a": celsius(inf), "b": 1.5}, `{"a":null,"b":1.5}`},
		{[]any{nan, []any{inf, 1.5}}, `[null,[null,1.5]]`}, {map[string]any{"a": map[string]any{"b": nan}}, `{"a":{"b":null}}`},
		{[][]celsius{{1, celsius(nan)}}, `[[1,null]]`}, {struct{ V any }{celsius(nan)}, `{"V":null}`}, {r, full}, {[]*reading{&r}, `[` + full + `]`},
	} {
		got, atts, err := AppendValue([]byte("x"), nil, c.in)
		if err != nil || string(got) != "x"+c.want || atts != nil {
			t.Errorf("AppendValue(%v) = %s, %v, %v\nwant x%s", c.in, got, atts, err, c.want)
		}
		if got, err = AppendJSON([]byte("x"), c.in); err != nil || string(got) != "x"+c.want {
			t.Errorf("AppendJSON(%v) = %s, %v\nwant x%s", c.in, got, err, c.want)
		}
	}
	// What the first attempt had collected is not sent twice.
	got, atts, err := AppendValue(nil, [][]byte{{9}}, reading{File: []byte{1}, Name: blob{2}, Any: nan, Row: []float32{}})
	if want := `{"at":0,"file":{"_placeholder":true,"num":1},"name":{"_placeholder":true,"num":2},"any":null,"row":[],"ptr":null,"text":"0","spoke":""}`; err != nil ||
		string(got) != want || !reflect.DeepEqual(atts, [][]byte{{9}, {1}, {2}}) {
		t.Errorf("with binaries = %s, %v, %v\nwant %s", got, atts, err, want)
	}
}

func TestAppendJSON(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, `null`}, {"<b>", `"<b>"`}, {[]byte{1, 2}, `"AQI="`}, {blob{1, 2}, `"AQI="`}, {map[string]any{"a": []byte{1}, "n": json.Number("1.50")}, `{"a":"AQ==","n":1.50}`},
		{shout("a"), `"A"`}, {json.RawMessage(`{"a":1}`), `{"a":1}`}, {struct{ R json.RawMessage }{json.RawMessage("\"\xff\"")}, "{\"R\":\"\ufffd\"}"},
	} {
		if got, err := AppendJSON([]byte("x"), c.in); err != nil || string(got) != "x"+c.want {
			t.Errorf("AppendJSON(%v) = %s, %v, want x%s", c.in, got, err, c.want)
		}
	}
	for _, in := range []any{make(chan int), []any{func() {}}, json.RawMessage(`{`), nested(maxDepth)} {
		if got, err := AppendJSON([]byte("x"), in); !errors.Is(err, ErrValue) || string(got) != "x" {
			t.Errorf("AppendJSON(%T) = %.20s, %v", in, got, err)
		}
	}
}

// nested is raw JSON of so many arrays.
func nested(depth int) json.RawMessage {
	return json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
}

// A payload that can be made can be sent in every form, however deep what it is made of nests.
func TestDepthOfPayloadsIsBounded(t *testing.T) {
	type list struct{ Next any }
	type speaker struct{ json.Marshaler }
	deep := func(depth int, inside any, wrap func(any) any) any {
		for range depth {
			inside = wrap(inside)
		}
		return inside
	}
	slices := func(v any) any { return []any{v} }
	maps := func(v any) any { return map[string]any{"a": v} }
	structs := func(v any) any { return &list{v} }
	typed := func(v any) any { return []*list{{v}} }
	for name, of := range map[string]func(depth int) any{
		"raw":            func(d int) any { return nested(d) },
		"slices":         func(d int) any { return deep(d, 1, slices) },
		"maps":           func(d int) any { return deep(d, 1, maps) },
		"structs":        func(d int) any { return deep(d, 1, structs) },
		"typed":          func(d int) any { return deep(d/2, 1, typed) },
		"methods":        func(d int) any { return speaker{nested(d)} },
		"raw in slices":  func(d int) any { return deep(d/2, nested(d-d/2), slices) },
		"raw in structs": func(d int) any { return deep(d/2, nested(d-d/2), structs) },
	} {
		for _, depth := range []int{1, 10, 500, 1000, 1020, 1021, 1022, 1023, 1024, 1025, 1026, 1100, 3000} {
			data, _, err := AppendEvent(nil, nil, "e", []any{"[[{{", of(depth)})
			switch {
			case err != nil && (!errors.Is(err, ErrDepth) || !errors.Is(err, ErrValue)):
				t.Errorf("%s %d: %v", name, depth, err)
			case err != nil && depth <= 1000, err == nil && depth >= 1025:
				t.Errorf("%s %d: %v", name, depth, err)
			case err == nil:
				p := &Packet{Type: Event, Data: data}
				if got := MsgPack().Encode(nil, nil, p); len(got) != 1 {
					t.Errorf("%s %d cannot be sent as MessagePack", name, depth)
				}
			}
		}
	}
}

// Where no binary is concerned, the values are those of encoding/json.
func TestAppendValueAgreesWithTheStandardLibrary(t *testing.T) {
	type embedded struct {
		A int `json:"a,omitempty"`
		B *string
	}
	for _, v := range []any{embedded{}, embedded{A: 1, B: new(string)}, struct {
		embedded
		C map[string]int
		D []float32
		E any `json:"e,omitempty"`
		f int
	}{C: map[string]int{"z": 1, "a": 2}}, map[string]any{"x": 1e100, "y": int8(3), "z": []any{}}, []any{uint8(1), 1.5, nil},
		map[string]string{"b": "1", "a": "2"}, [3]bool{true}, &[]string{"p"}, time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC), 123456789.0, 1e20, 1e-6} {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := AppendValue(nil, nil, v); err != nil || string(got) != string(want) {
			t.Errorf("AppendValue(%#v) = %s, %v, want %s", v, got, err, want)
		}
	}
}

func TestAppendEvent(t *testing.T) {
	got, atts, err := AppendEvent([]byte("2"), nil, "h\"i", []any{1, []byte{7}, "x"})
	if want := `2["h\"i",1,{"_placeholder":true,"num":0},"x"]`; err != nil || string(got) != want || len(atts) != 1 {
		t.Errorf("AppendEvent = %s, %v, %v, want %s", got, atts, err, want)
	}
	got, atts, err = AppendArgs(nil, [][]byte{{1}}, []any{[]byte{7}, nil})
	if want := `[{"_placeholder":true,"num":1},null]`; err != nil || string(got) != want || len(atts) != 2 {
		t.Errorf("AppendArgs = %s, %v, %v, want %s", got, atts, err, want)
	}
	if got, _, _ := AppendArgs(nil, nil, nil); string(got) != "[]" {
		t.Errorf("AppendArgs() = %s", got)
	}
	var bad *ArgError
	if got, _, err = AppendEvent([]byte("2"), nil, "a", []any{1, make(chan int)}); !errors.As(err, &bad) || bad.Index != 1 || string(got) != "2" {
		t.Errorf("AppendEvent(channel) = %s, %v", got, err)
	}
	fake := json.RawMessage(`{"_placeholder":true,"num":99}`)
	if got, _, err = AppendEvent(nil, nil, "a", []any{fake}); err != nil {
		t.Errorf("imitation without attachments = %s, %v", got, err)
	}
	for _, fake := range []any{fake, map[string]any{"_placeholder": true, "num": 0}, map[string]any{"_placeholder": true}} {
		if got, atts, err = AppendEvent(nil, nil, "a", []any{fake, []byte{1}}); err != ErrIllegalAttachments || got != nil || atts != nil {
			t.Errorf("imitation with attachments = %s, %v, %v", got, atts, err)
		}
	}
}

func TestDecode(t *testing.T) {
	atts := [][]byte{{1}, {2, 3}}
	const p0, p1 = `{"_placeholder":true,"num":0}`, `{"num":1, "_placeholder":true}`
	for _, c := range []struct {
		in   string
		v    any // pointer to a variable
		want any
	}{
		{`"aé\n"`, new(string), "aé\n"}, {`"a"`, new(string), "a"}, {`null`, new(string), ""}, {"\"\xff\"", new(string), "\ufffd"},
		{`-12`, new(int), -12}, {`1e3`, new(float64), 1000.0}, {`12`, new(int32), int32(12)}, {`12`, new(uint16), uint16(12)}, {" 12\n", new(any), 12.0}, {" 12\n", new(int), 12}, {`9007199254740993`, new(int64), int64(9007199254740993)},
		{`true`, new(bool), true}, {`12.50`, new(json.Number), json.Number("12.50")},
		{p0, new([]byte), []byte{1}}, {`"AQI="`, new([]byte), []byte{1, 2}}, {`[1,2]`, new([]byte), []byte{1, 2}}, {`null`, new([]byte), []byte(nil)},
		{p1, new(blob), blob{2, 3}}, {p1, new(any), []byte{2, 3}},
		{`[1, "a" ,{"x":` + p0 + `, "y":[ ]},null,true,` + p1 + `]`, new(any), []any{1.0, "a", map[string]any{"x": []byte{1}, "y": []any{}}, nil, true, []byte{2, 3}}},
		{`{"a":` + p0 + `}`, new(map[string]any), map[string]any{"a": []byte{1}}},
		{`{"a":` + p0 + `}`, new(map[string]blob), map[string]blob{"a": {1}}},
		{`[` + p0 + `,` + p1 + `]`, new([]any), []any{[]byte{1}, []byte{2, 3}}},
		{`{"NAME":"n","file":` + p0 + `,"blob":` + p1 + `,"any":{"d":` + p0 + `},"list":[` + p1 + `],"map":{"m":` + p0 + `},"raw":{"r":1},"inner":{"bytes":` + p1 + `}}`, new(sample),
			sample{Name: "n", File: []byte{1}, Blob: blob{2, 3}, Any: map[string]any{"d": []byte{1}}, List: [][]byte{{2, 3}}, Map: map[string][]byte{"m": {1}},
				Raw: json.RawMessage(`{"r":1}`), Inner: &inner{blob{2, 3}}}},
	} {
		if err := Decode([]byte(c.in), atts, c.v); err != nil {
			t.Errorf("Decode(%s): %v", c.in, err)
		} else if got := reflect.ValueOf(c.v).Elem().Interface(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Decode(%s) = %#v, want %#v", c.in, got, c.want)
		}
	}
	var v any
	if err := Decode([]byte(p0), nil, &v); err != nil || !reflect.DeepEqual(v, map[string]any{"_placeholder": true, "num": 0.0}) {
		t.Errorf("placeholder without attachments: %#v, %v", v, err)
	}
	var n int
	v = &n
	if err := Decode([]byte(`5`), atts, &v); err != nil || n != 5 {
		t.Errorf("pointer in an interface: %d, %v", n, err)
	}
	v = "old"
	if err := Decode([]byte(p0), atts, &v); err != nil || !reflect.DeepEqual(v, []byte{1}) {
		t.Errorf("value in an interface: %v, %v", v, err)
	}
	for _, c := range []struct {
		in string
		v  any
	}{{`"a"`, new(int)}, {`1.5`, new(int)}, {`300`, new(uint8)}, {`3000000000`, new(int32)}, {`1`, new(string)}, {p0, new(string)}, {p0, new(int)}, {`{"a":1}`, new([]byte)},
		{`{"_placeholder":true,"num":7}`, new([]byte)}, {`1e999`, new(float64)}, {``, new(any)}, {`1`, nil}, {`1`, 1}, {`"x"`, new(json.Number)}} {
		if err := Decode([]byte(c.in), atts, c.v); !errors.Is(err, ErrTarget) {
			t.Errorf("Decode(%s) into %T: %v", c.in, c.v, err)
		}
	}
}

// What does not fit is told in JSON's words, with nothing of the program in it.
func TestMismatchIsToldInWordsOfJSON(t *testing.T) {
	type order struct {
		Count int8 `json:"count"`
		Items []struct {
			Price float64 `json:"price"`
		} `json:"items"`
		At time.Time `json:"at"`
	}
	atts := [][]byte{{1}}
	for _, c := range []struct {
		in   string
		v    any
		want string
	}{
		{`"a"`, new(int), "expected integer, got string"},
		{`1.5`, new(int), "expected integer, got number"},
		{`300`, new(uint8), "expected integer in range, got number"},
		{`1e999`, new(float64), "this number does not fit"},
		{`1`, new(string), "expected string, got number"},
		{`1`, new(key), "expected string, got number"},
		{`null`, new(json.Number), ""},
		{`true`, new(*float32), "expected number, got boolean"},
		{`"x"`, new(json.Number), "expected number, got string"},
		{`{"_placeholder":true,"num":0}`, new(string), "expected string, got binary"},
		{`{"a":1}`, new([]byte), "expected binary, got object"},
		{`"!"`, new(blob), "expected binary, got string"},
		{`[1]`, new(order), "expected object, got array"},
		{`{}`, new([]order), "expected array, got object"},
		{`1`, new(map[string]int), "expected object, got number"},
		{`{"count":"x"}`, new(order), "count: expected integer, got string"},
		{`{"count":300}`, new(order), "count: expected integer in range, got number"},
		{`{"items":[{"price":1},{"price":true}]}`, new(order), "items.1.price: expected number, got boolean"},
		{`{"at":"yesterday"}`, new(order), "this object does not fit"},
		{`"yesterday"`, new(time.Time), "this string does not fit"},
		{`1`, new(net.IP), "expected string, got number"},
		{`1`, new(error), "this number does not fit"},
		{`1`, new(chan int), "this number does not fit"},
		{`{"` + strings.Repeat("é", 50) + `":1}`, new(map[string]string), strings.Repeat("é", 32) + "…: expected string, got number"},
	} {
		err := Decode([]byte(c.in), atts, c.v)
		if c.want == "" {
			if err != nil {
				t.Errorf("Decode(%s) into %T: %v", c.in, c.v, err)
			}
			continue
		}
		var m *MismatchError
		if !errors.As(err, &m) || !errors.Is(err, ErrTarget) || m.Err == nil || err.Error() != c.want {
			t.Errorf("Decode(%s) into %T: %v, want %s", c.in, c.v, err, c.want)
		}
	}
}

// FuzzDecode: no JSON makes decoding panic or tell of the program's types.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`null`, `-12.5e3`, `"a\u00e9"`, `[1,"a",{"num":0,"_placeholder":true}]`, `{"name":"n","count":"1","any":{"d":[]}}`, `{"":[[[true]]]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if valid(raw, 0) != nil || !utf8.Valid(raw) {
			t.Skip()
		}
		for _, v := range []any{
			new(string), new(int), new(uint8), new(float64), new(bool), new([]byte), new(blob), new(any), new(json.Number), new(json.RawMessage),
			new(sample), new([]sample), new(map[int]string), new(map[string]blob), new([2]bool), new(*inner), new(time.Time), new(net.IP), new(object), new(error),
		} {
			err := Decode(raw, [][]byte{{1}}, v)
			var m *MismatchError
			if err == nil {
				continue
			}
			if !errors.As(err, &m) {
				t.Fatalf("Decode(%s) into %T: %v", raw, v, err)
			}
			text := strings.TrimPrefix(err.Error(), m.Path)
			for _, word := range []string{"Go ", "json", "packet.", "*", "int8", "struct", "[]"} {
				if m.Path == "" && strings.Contains(text, word) {
					t.Errorf("Decode(%s) into %T: %v", raw, v, err)
				}
			}
		}
	})
}

func TestDecodeArgs(t *testing.T) {
	var s string
	var n, m int
	args := [][]byte{[]byte(`"a"`), []byte(`2`)}
	if err := DecodeArgs(args, nil, &s, &n, &m); err != nil || s != "a" || n != 2 || m != 0 {
		t.Errorf("%q %d %d %v", s, n, m, err)
	}
	var bad *ArgError
	if err := DecodeArgs(args, nil, &s, &s); !errors.As(err, &bad) || bad.Index != 1 {
		t.Errorf("%v", err)
	}
}
