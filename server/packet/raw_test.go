package packet

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// Raw JSON holds no binary, wherever in a variable it is: where one was sent it does not fit.
func TestRawJSONHoldsNoBinary(t *testing.T) {
	type field struct {
		A json.RawMessage `json:"a"`
		N int             `json:"n"`
	}
	const binary, other = `{"_placeholder":true,"num":0}`, `{"a":{"_placeholder":true,"num":0},"n":1}`
	for text, vs := range map[string][]any{
		binary:                            {new(json.RawMessage), new(jsontext.Value), new(*json.RawMessage)},
		other:                             {new(json.RawMessage), new(field), new(*field), new(map[string]json.RawMessage)},
		`[` + other + `]`:                 {new(json.RawMessage), new([]field), new([]json.RawMessage), new([1]map[string]jsontext.Value)},
		`{"x":"\"","y":[` + binary + `]}`: {new(json.RawMessage), new(struct{ Y []json.RawMessage }), new(map[string]jsontext.Value)},
	} {
		for _, v := range vs {
			err := DecodeArgs([][]byte{[]byte(text)}, [][]byte{{1}}, v)
			var arg *ArgError
			var m *MismatchError
			if !errors.As(err, &arg) || !errors.As(err, &m) || !errors.Is(err, ErrTarget) || m.Got != "binary" {
				t.Errorf("%s into %T: %v", text, v, err)
			}
			if err := Decode([]byte(text), nil, v); err != nil { // nothing is attached: an object like others
				t.Errorf("%s into %T: %v", text, v, err)
			}
		}
	}
	var f field
	if err := Decode([]byte(`{"a":{"b":"{\"_placeholder\":true,\"num\":0}"},"n":2}`), [][]byte{{1}}, &f); err != nil || f.N != 2 || len(f.A) == 0 {
		t.Errorf("%+v, %v", f, err)
	}
	var both struct {
		A json.RawMessage
		B []byte
	}
	if err := Decode([]byte(`{"A":[1],"B":`+binary+`}`), [][]byte{{7}}, &both); err != nil || string(both.A) != "[1]" || len(both.B) != 1 {
		t.Errorf("%+v, %v", both, err)
	}
}
