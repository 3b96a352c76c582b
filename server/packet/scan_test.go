package packet

import (
	"encoding/json"
	"strings"
	"testing"
)

var texts = []string{
	``, ` `, `{}`, `[]`, ` [ ] `, `{"a":1}`, `{"a":[1,2,{"b":null}],"c":{}}`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{,}`,
	`{"a":1,}`, `[1 2]`, `true`, `false`, `null`, `tru`, `nul`, `truex`, `0`, `-0`, `01`, `-`, `1.`, `.5`, `1.5e`, `1e+`, `1e5`,
	`-1.25E-7`, `"a"`, `"a`, `"\n"`, "\"\n\"", `"\u12g4"`, `"\u1234"`, `"\x"`, `"\`, `"\u12`, `"12345678901234567890\""`, `"1234567\"`,
	"\"\x7f\xff\xc3\"", `[[[[]]]]`, `[}`, `{]`, `[{]}`, `[1]]`, `{"a":1}}`, "\ufeff1", `["a","b",["c"],{"d":"]"}]`, `nan`, `1,2`,
	`["` + strings.Repeat("x", 100) + "\x1f" + `"]`, `["` + strings.Repeat("é", 100) + `\n"]`, strings.Repeat("[", 511) + strings.Repeat("]", 511),
}

func TestScanAcceptsWhatTheStandardLibraryDoes(t *testing.T) {
	for _, s := range texts {
		if got, want := valid([]byte(s), 0) == nil, json.Valid([]byte(s)); got != want {
			t.Errorf("valid(%q) = %v, want %v", s, got, want)
		}
	}
}

// Strings are looked at eight and thirty-two bytes at a time: whatever stands anywhere in a long one is found, and what
// is right behind it.
func TestScanFindsWhatStandsInALongString(t *testing.T) {
	const size = longString + 80
	for c := range 256 {
		for _, around := range []string{"x", "\xff", "!", "[", "]", "\x7f"} {
			text := []byte(`"` + strings.Repeat(around, size) + `"`)
			for i := 1; i+2 < len(text); i++ {
				text[i], text[i+1] = byte(c), 'n'
				if got, want := valid(text, 0) == nil, json.Valid(text); got != want {
					t.Fatalf("valid of %q between %q, at %d, = %v, want %v", text[i:i+2], around, i, got, want)
				}
				copy(text[i:], around+around)
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := valid(data, 0)
		if want := json.Valid(data); err != ErrDepth && (err == nil) != want {
			t.Fatalf("valid(%q) = %v, want %v", data, err, want)
		}
		parts, split := Split(nil, data)
		if err != nil {
			// What is not JSON means nothing, but does no harm.
			var v any
			_ = Decode(data, [][]byte{nil}, &v)
			_, _ = EventName(data)
			_ = checkPlaceholders(data, 1)
			return
		}
		var want []json.RawMessage
		if json.Unmarshal(data, &want) != nil || string(data) == "null" || want == nil {
			return
		}
		if split != nil || len(parts) != len(want) {
			t.Fatalf("Split(%q) = %d parts, %v, want %d", data, len(parts), split, len(want))
		}
		for i := range parts {
			if string(parts[i]) != string(want[i]) {
				t.Fatalf("Split(%q)[%d] = %q, want %q", data, i, parts[i], want[i])
			}
		}
	})
}

func TestEventName(t *testing.T) {
	for in, want := range map[string]string{
		`["a"]`: "a", ` [ "a b" , 1]`: "a b", `["\u00e9\n"]`: "é\n", `["\ud83d\ude00"]`: "😀", `["\ud83d"]`: "\ufffd",
		`[1]`: "1", `[-5]`: "-5", `[1.0]`: "1", `[1e3]`: "1000", `[-0]`: "0", `[1e400]`: "Infinity", `[1e21]`: "1e+21", `[0.0000001]`: "1e-7",
		`[1234567890123456789]`: "1234567890123456800", `[""]`: "",
	} {
		if got, err := EventName([]byte(in)); err != nil || string(got) != want {
			t.Errorf("EventName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{``, `[]`, `[`, `{}`, `[null]`, `[true]`, `[[]]`, `["a`} {
		if got, err := EventName([]byte(in)); err != ErrPayload {
			t.Errorf("EventName(%q) = %q, %v", in, got, err)
		}
	}
}

func TestParts(t *testing.T) {
	for text, want := range map[string]string{
		` { "a" : 1 , "b\u0062":{"c":[2]},"d":"}," } `: `a=1 bb={"c":[2]} d="}," `,
		` [ 1 , [2] , "]" , null ] `:                   `=1 =[2] ="]" =null `,
		`{}`:                                           ``, `[]`: ``, ` [ ] `: ``, `1`: ``, `"{"`: ``, `null`: ``, ``: ``,
	} {
		got := ""
		for name, value := range Parts([]byte(text)) {
			got += name + "=" + string(value) + " "
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for range Parts([]byte(`[1,2]`)) {
		break
	}
}
