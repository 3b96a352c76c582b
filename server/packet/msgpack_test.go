package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	vmsgpack "github.com/vmihailenco/msgpack/v5"
)

func TestMsgpackLengths(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		for name, v := range map[string]any{
			"string": strings.Repeat("é", n/2) + strings.Repeat("x", n%2),
			"binary": bytes.Repeat([]byte{7}, n),
			"array":  make([]any, n),
			"map":    wide(n),
		} {
			if n > 256 && name == "map" {
				continue // the headers are made as those of arrays
			}
			data, attachments, err := AppendValue(nil, nil, v)
			if err != nil {
				t.Fatal(err)
			}
			packed, err := AppendMsgpack(nil, data, attachments)
			if err != nil {
				t.Fatal(err)
			}
			var other any
			if err := vmsgpack.Unmarshal(packed, &other); err != nil || !reflect.DeepEqual(other, v) {
				t.Errorf("%s of %d is not read by another library: %v", name, n, err)
			}
			got, atts, rest, err := FromMsgpack(append(packed, 1, 2), Limits{MaxDepth: 1})
			if err != nil || len(rest) != 2 || !sameJSON(got, data) || len(atts) != len(attachments) || len(atts) > 0 && !bytes.Equal(atts[0], attachments[0]) {
				t.Errorf("%s of %d does not come back: %v", name, n, err)
			}
		}
	}
}

func wide(n int) map[string]any {
	m := make(map[string]any, n)
	for i := range n {
		m[strconv.Itoa(i)] = int8(1)
	}
	return m
}

func TestMsgpackNumbers(t *testing.T) {
	for in, want := range map[string]string{
		`0`: "00", `-0`: "00", `127`: "7f", `128`: "cc80", `-32`: "e0", `-33`: "d0df", `1.0`: "01", `1e2`: "64", `-1e2`: "d09c",
		`65536`: "ce00010000", `9007199254740993`: "cf0020000000000001", `18446744073709551615`: "cfffffffffffffffff",
		`-9223372036854775808`: "d38000000000000000", `18446744073709551616`: "cb43f0000000000000", `0.5`: "cb3fe0000000000000",
		`1e999`: "cb7ff0000000000000", `-9223372036854775809`: "d38000000000000000",
	} {
		got, err := AppendMsgpack(nil, []byte(in), nil)
		if err != nil || hex(got) != want {
			t.Errorf("AppendMsgpack(%s) = %x, %v, want %s", in, got, err, want)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"cf0020000000000001", `9007199254740993`}, {"cfffffffffffffffff", `18446744073709551615`}, {"d3ffffffffffffffff", `-1`},
		{"d0ff", `-1`}, {"d1ff00", `-256`}, {"d2ffffffff", `-1`}, {"e0", `-32`}, {"ca3fc00000", `1.5`}, {"cb8000000000000000", `0`},
		{"ca7f800000", `null`}, {"cb7ff8000000000001", `null`}, {"8101a161", `{"1":"a"}`}, {"81c3c0", `{"true":null}`}, {"81c0c2", `{"null":false}`},
		{"81cb3fe000000000000001", `{"0.5":1}`}, {"81d0ff01", `{"-1":1}`}, {"81d90161c0", `{"a":null}`}, {"d50102ff", `null`}, {"d6ff00000001", `"1970-01-01T00:00:01.000Z"`},
		{"c70cff3b8b87c0ffffffffffffffff", `"1969-12-31T23:59:59.999Z"`}, {"c70cff000000007fffffffffffffff", `null`}, {"d7007fffffffffffffff", `null`},
		{"d400ff", `null`}, {"82a161d40000a16201", `{"b":1}`}, {"81a161d40000", `{}`}, {"c702050102", `null`}, {"d80000000000000000000000000000000000", `null`},
		{"a3ff41fe", "\"\ufffdA\ufffd\""}, {"c40101", `{"_placeholder":true,"num":0}`}, {"c7020009" + "08", `{"_placeholder":true,"num":0}`}, {"c400", `{"_placeholder":true,"num":0}`},
	} {
		got, _, rest, err := FromMsgpack(unhex(t, c.in), Limits{})
		if err != nil || string(got) != c.want || len(rest) > 0 {
			t.Errorf("FromMsgpack(%s) = %s, %x, %v, want %s", c.in, got, rest, err, c.want)
		}
	}
}

func TestMsgpackRefuses(t *testing.T) {
	fake := append([]byte{0x92, 0xc4, 0, 0x82, 0xac}, "_placeholder\xc3\xa3num\x00"...)
	for _, c := range []struct {
		in   []byte
		want error
	}{
		{nil, ErrPayload}, {[]byte{0xc1}, ErrPayload}, {[]byte{0xa1}, ErrPayload}, {[]byte{0x91}, ErrPayload}, {[]byte{0x81, 0xa1}, ErrPayload},
		{[]byte{0x81, 0x90, 0}, ErrPayload}, {[]byte{0x81, 0xc4, 0, 0}, ErrPayload}, {[]byte{0xdd, 255, 255, 255, 255, 0}, ErrPayload},
		{[]byte{0xc6, 255, 255, 255, 255}, ErrPayload}, {[]byte{0xdf, 255, 255, 255, 255}, ErrPayload}, {[]byte{0xdb, 255, 255, 255, 255, 0}, ErrPayload},
		{[]byte{0xc9, 255, 255, 255, 255, 0}, ErrPayload}, {[]byte{0xcf, 0}, ErrPayload}, {[]byte{0xcb, 0}, ErrPayload}, {[]byte{0xd7, 0xff, 0}, ErrPayload},
		{[]byte{0xd9}, ErrPayload}, {[]byte{0xc7}, ErrPayload}, {[]byte{0xc7, 0}, ErrPayload}, {[]byte{0xd4}, ErrPayload}, {[]byte{0xd4, 0}, ErrPayload},
		{bytes.Repeat([]byte{0x91}, 600), ErrDepth}, {bytes.Repeat([]byte{0x81, 0xa0}, 600), ErrDepth},
		{fake, ErrIllegalAttachments},
		{append([]byte{0xdc, 4, 1}, bytes.Repeat([]byte{0xc4, 0}, 1025)...), ErrTooManyAttachments},
		{append([]byte{0xc6, 0, 0x98, 0x96, 0x81}, make([]byte, 10_000_001)...), ErrAttachmentBytes},
	} {
		if got, _, _, err := FromMsgpack(c.in, Limits{}); !errors.Is(err, c.want) || got != nil {
			t.Errorf("FromMsgpack(%.40x) = %.40s, %v, want %v", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{``, `[`, `{"a"}`, `1 2`, `nan`} {
		if got, err := AppendMsgpack([]byte("x"), []byte(in), nil); err != ErrPayload || string(got) != "x" {
			t.Errorf("AppendMsgpack(%q) = %x, %v", in, got, err)
		}
	}
}

func TestMsgpackParserRefuses(t *testing.T) {
	pack := func(v any) []byte {
		b, err := vmsgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	type m = map[string]any
	for _, c := range []struct {
		in   []byte
		want error
	}{
		{nil, ErrPayload}, {[]byte{0x80}, ErrUnknownType}, {[]byte{0xc0}, ErrPayload}, {[]byte{0xde, 0}, ErrPayload}, {append(pack(m{"type": 0, "nsp": "/"}), 0), ErrPayload},
		{pack(m{"type": 5, "nsp": "/", "data": []any{"a"}}), ErrUnknownType}, {pack(m{"type": "2", "nsp": "/", "data": []any{"a"}}), ErrUnknownType},
		{pack(m{"type": -1, "nsp": "/"}), ErrUnknownType}, {pack(m{"type": 1.5, "nsp": "/"}), ErrUnknownType},
		{pack(m{"type": 2, "data": []any{"a"}}), ErrNamespace}, {pack(m{"type": 2, "nsp": 1, "data": []any{"a"}}), ErrNamespace},
		{pack(m{"type": 2, "nsp": "/"}), ErrPayload}, {pack(m{"type": 2, "nsp": "/", "data": nil}), ErrPayload}, {pack(m{"type": 2, "nsp": "/", "data": "a"}), ErrPayload},
		{pack(m{"type": 2, "nsp": "/", "data": []any{}}), ErrPayload}, {pack(m{"type": 2, "nsp": "/", "data": []any{"connect"}}), ErrPayload},
		{pack(m{"type": 2, "nsp": "/", "data": []any{[]byte{1}}}), ErrPayload}, {pack(m{"type": 2, "nsp": "/", "data": []byte{1}}), ErrPayload},
		{pack(m{"type": 0, "nsp": "/", "data": "a"}), ErrPayload}, {pack(m{"type": 0, "nsp": "/", "data": m{"a": []byte{1}}}), ErrPayload},
		{pack(m{"type": 1, "nsp": "/", "data": m{}}), ErrPayload}, {pack(m{"type": 3, "nsp": "/", "id": "1", "data": []any{}}), ErrPayload},
		{pack(m{"type": 3, "nsp": "/", "id": -1, "data": []any{}}), ErrPayload}, {pack(m{"type": 3, "nsp": "/", "id": uint64(1<<53 + 1), "data": []any{}}), ErrPayload},
	} {
		if p, err := MsgPack().NewDecoder(Limits{}).Add(Message{Data: c.in, Binary: true}); !errors.Is(err, c.want) || p != nil {
			t.Errorf("decode(%q) = %+v, %v, want %v", c.in, p, err, c.want)
		}
	}
	if _, err := MsgPack().NewDecoder(Limits{}).Add(txt(`2["a"]`)); err != ErrPayload {
		t.Errorf("text: %v", err)
	}
	in := pack(m{"type": 1, "nsp": "/a", "data": nil, "id": nil}) // as python-socketio's
	if p, err := MsgPack().NewDecoder(Limits{}).Add(Message{Data: in, Binary: true}); err != nil || p.Type != Disconnect || p.HasID || p.Data != nil {
		t.Errorf("nil members: %+v, %v", p, err)
	}
}

// What the decoder returns stays whole, but for the last attachment, when the message is overwritten.
func TestMsgpackPacketOwnsItsParts(t *testing.T) {
	p := Packet{Type: Event, Namespace: "/n", Data: []byte(`["ab",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`), Attachments: [][]byte{{1}, {2}}}
	m := MsgPack().Encode(nil, nil, &p)[0]
	got, err := MsgPack().NewDecoder(Limits{}).Add(m)
	clear(m.Data)
	p.Attachments[1] = []byte{0}
	if err != nil || !reflect.DeepEqual(*got, p) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzFromMsgpack(f *testing.F) {
	for _, c := range readGolden(f).Golden {
		for _, b := range append(c.Msgpack, c.Value...) {
			f.Add(b)
		}
	}
	for _, c := range readGolden(f).Values {
		f.Add(c.Msgpack[0])
		f.Add(c.Msgpack[1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		data, attachments, rest, err := FromMsgpack(b, Limits{})
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("FromMsgpack(%x) = %q", b, data)
		}
		if bound := 7*len(b) + 48*len(attachments); len(data) > bound {
			t.Fatalf("FromMsgpack(%x) is %d bytes long", b, len(data))
		}
		if len(rest) >= len(b) || !bytes.HasSuffix(b, rest) {
			t.Fatalf("FromMsgpack(%x) leaves %x", b, rest)
		}
		packed, err := AppendMsgpack(nil, data, attachments)
		if err != nil {
			t.Fatal(err)
		}
		again, attachments2, rest, err := FromMsgpack(packed, Limits{})
		if err != nil || !bytes.Equal(again, data) || len(rest) > 0 || !reflect.DeepEqual(attachments, attachments2) {
			t.Fatalf("FromMsgpack(%x) = %s, and back from %x %s, %v", b, data, packed, again, err)
		}
	})
}

func FuzzMsgpackDecoder(f *testing.F) {
	for _, c := range readGolden(f).Golden {
		for _, b := range c.Msgpack {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := MsgPack().NewDecoder(Limits{}).Add(Message{Data: b, Binary: true})
		if err != nil {
			return
		}
		m := MsgPack().Encode(nil, nil, p)
		if len(m) != 1 {
			t.Fatalf("%+v cannot be encoded", p)
		}
		again, err := MsgPack().NewDecoder(Limits{}).Add(m[0])
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v comes back as %+v, %v", p, again, err)
		}
	})
}

func hex(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(hexDigits[c>>4])
		s.WriteByte(hexDigits[c&15])
	}
	return s.String()
}

func unhex(t *testing.T, s string) (b []byte) {
	t.Helper()
	for ; len(s) >= 2; s = s[2:] {
		n, err := strconv.ParseUint(s[:2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, byte(n))
	}
	return b
}

func TestJavaScriptNumbers(t *testing.T) {
	for want, f := range map[string]float64{
		"0.000001": 1e-6, "1e-7": 1e-7, "100000000000000000000": 1e20, "1e+21": 1e21, "1.5e+300": 1.5e300, "5e-324": math.SmallestNonzeroFloat64,
		"-1.2e-10": -1.2e-10, "123456789.125": 123456789.125,
	} {
		if got := string(appendFloat(nil, f, 64)); got != want {
			t.Errorf("%g is written %s, want %s", f, got, want)
		}
	}
}
