package packet

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// golden is testdata/golden.json, made by Node's own parsers with testdata/golden.cjs.
type golden struct {
	Golden []struct {
		Type        Type
		Nsp         string
		ID          *uint64
		Data        *string
		Attachments [][]byte
		Text        [][]byte // socket.io-parser 4.2.7
		Msgpack     [][]byte // socket.io-msgpack-parser 3.0.2; the second with undefined members
		Value       [][]byte // data by notepack.io 2.2.0 and 3.0.1
	}
	Values []struct {
		JSON    string
		Msgpack [][]byte // by notepack.io 2.2.0 and 3.0.1
	}
	Texts []struct {
		Text string
		OK   bool
	}
}

func readGolden(t testing.TB) (g golden) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPacketsAreNodes(t *testing.T) {
	for _, c := range readGolden(t).Golden {
		p := Packet{Type: c.Type, Namespace: c.Nsp, HasID: c.ID != nil}
		if p.HasID {
			p.ID = *c.ID
		}
		if c.Data != nil {
			p.Data = []byte(*c.Data)
		}
		if len(c.Attachments) > 0 {
			p.Attachments = c.Attachments
		}
		for i, m := range Text().Encode(nil, nil, &p) {
			if i >= len(c.Text) || !bytes.Equal(m.Data, c.Text[i]) {
				t.Errorf("text of %.80s: message %d is %.200q", p.Data, i, m.Data)
			}
		}
		d := Text().NewDecoder(Limits{})
		for i, b := range c.Text {
			got, err := d.Add(Message{Data: b, Binary: i > 0})
			if err != nil || i == len(c.Text)-1 && !reflect.DeepEqual(*got, p) {
				t.Errorf("decoded text of %.80s: %+v, %v", p.Data, got, err)
			}
		}
		packed := MsgPack().Encode(nil, nil, &p)
		for _, b := range append(c.Msgpack, packed[0].Data) {
			got, err := MsgPack().NewDecoder(Limits{}).Add(Message{Data: b, Binary: true})
			if err != nil {
				t.Errorf("decoded msgpack of %.80s: %v", p.Data, err)
			} else if !sameJSON(got.Data, p.Data) {
				t.Errorf("decoded msgpack of %.80s: %.80s", p.Data, got.Data)
			} else if got.Data = p.Data; !reflect.DeepEqual(*got, p) {
				t.Errorf("decoded msgpack of %.80s: %+v", p.Data, got)
			}
		}
		for _, b := range c.Value {
			if got, err := AppendMsgpack(nil, p.Data, p.Attachments); err != nil || !bytes.Equal(got, b) {
				t.Errorf("msgpack of %.80s: %.200x, %v, want %.200x", p.Data, got, err, b)
			}
		}
	}
}

func sameJSON(a, b []byte) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func TestMsgpackValuesAreNodes(t *testing.T) {
	for _, c := range readGolden(t).Values {
		for _, b := range c.Msgpack {
			got, _, rest, err := FromMsgpack(b, Limits{})
			if err != nil || string(got) != c.JSON || len(rest) > 0 {
				t.Errorf("FromMsgpack(%x) = %s, %x, %v, want %s", b, got, rest, err, c.JSON)
			}
		}
	}
}

// The text decoder takes and refuses what Node's does, but for what is listed.
func TestTextDecoderJudgesAsNodes(t *testing.T) {
	ours := map[string]bool{
		`50-["a"]`: true,  // Node's parser up to 4.2.6 takes it, and its encoder can write it
		`2/n`:      false, // events without a name
		`2/n["a"]`: false,
	}
	for _, c := range readGolden(t).Texts {
		want, listed := ours[c.Text]
		if !listed {
			want = c.OK
		} else if want == c.OK {
			t.Errorf("decode(%q) no longer differs from Node's", c.Text)
		}
		if _, err := Text().NewDecoder(Limits{}).Add(txt(c.Text)); (err == nil) != want {
			t.Errorf("decode(%q) = %v, Node takes it: %v", c.Text, err, c.OK)
		}
	}
}
