package packet

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
)

// What reading a packet may allocate, as a multiple of its size and a sum for what does not depend on it. An
// packed array of empty arrays is the dearest: each is one byte on the wire, three as JSON, and forty in an any.
const (
	costPerByte = 200
	costFixed   = 64 << 10
)

// allocated returns how many bytes f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// read does all that a packet's bytes can make a server do: decode it, split its payload and decode each
// argument, and take a whole payload apart as saved data is.
func read(parser Parser, m Message) {
	p, err := parser.NewDecoder(Limits{}).Add(m)
	if err != nil || p == nil {
		return
	}
	args, err := Split(nil, p.Data)
	for _, arg := range args {
		var v any
		_ = Decode(arg, p.Attachments, &v)
	}
	if err != nil {
		var members map[string]json.RawMessage
		_ = json.Unmarshal(p.Data, &members)
	}
	_ = parser.Encode(nil, nil, p)
}

// checkCost reads a message of head, a unit many times, and tail, in both forms.
func checkCost(t *testing.T, name string, head, unit, tail string, times int) {
	t.Helper()
	data := []byte(head + strings.Repeat(unit, times) + tail)
	for _, c := range []struct {
		form   string
		parser Parser
		binary bool
	}{{"text", Text(), false}, {"msgpack", MsgPack(), true}} {
		got := allocated(func() { read(c.parser, Message{Data: bytes.Clone(data), Binary: c.binary}) })
		if most := costPerByte*len(data) + costFixed; got > most {
			t.Errorf("%s of %d bytes allocates %d as %s, want at most %d", name, len(data), got, c.form, most)
		}
	}
}

// The cost of any packet is in proportion to its size, whatever it repeats.
func TestCostOfAPacketIsInProportionToItsSize(t *testing.T) {
	const event = "\x83\xa4type\x02\xa3nsp\xa1/\xa4data"
	for _, c := range []struct{ name, head, unit, tail string }{
		{"members", "\xde\xff\xff", "\xa1a\x01", ""},
		{"members without a value", "\xde\xff\xff", "\xa0\xd4\x00\x00", ""},
		{"the payload again and again", "\xde\xff\xff", "\xa4data\x91\xa1a", ""},
		{"the namespace again and again", "\xde\xff\xff", "\xa3nsp\xa1/", ""},
		{"packed arrays", event + "\x92\xa1a\xdd\x00\x00\x75\x30", "\x90", ""},
		{"packed maps", event + "\x92\xa1a\xdd\x00\x00\x75\x30", "\x80", ""},
		{"packed members", event + "\x92\xa1a\xdf\x00\x00\x75\x30", "\xa1k\x01", ""},
		{"packed text that is none", event + "\x92\xa1a\xdb\x00\x00\x75\x30", "\xff", ""},
		{"packed depth", event, "\x91", ""},
		{"packed binaries", event + "\xdd\x00\x00\x75\x30", "\xc4\x00", ""},
		{"arrays", `2["a",[0`, `,[]`, `]]`},
		{"objects", `2["a",[0`, `,{}`, `]]`},
		{"arguments", `2["a"`, `,1`, `]`},
		{"objects as arguments", `2["a"`, `,{}`, `]`},
		{"depth", `2["a",`, `[`, `]`},
		{"the same member", `2["a",{"k":1`, `,"k":[]`, `}]`},
		{"digits", `2["a",1`, `1`, `]`},
		{"digits behind the point", `2["a",0.`, `1`, `]`},
		{"digits of an exponent", `2["a",1e`, `1`, `]`},
		{"digits of a name", `2[1`, `1`, `]`},
		{"digits of an id", `2`, `0`, `["a"]`},
		{"digits of a count", `5`, `0`, `-["a"]`},
		{"escapes", `2["a","`, `\u00e9`, `"]`},
		{"escaped quotes", `2["a","`, `\"`, `"]`},
		{"escaped backslashes", `2["a","`, `\\`, `"]`},
		{"text that is none", `2["a","`, "\xff", `"]`},
		{"a name of escapes", `2["`, `\u0061`, `"]`},
		{"white space", `2[`, ` `, `"a"]`},
		{"what looks like placeholders", `2["a",[0`, `,{"_placeholder":true,"num":9}`, `]]`},
		{"a namespace", `2/`, `n`, `,["a"]`},
		{"data", `0{"a":1`, `,"b":{}`, `}`},
	} {
		checkCost(t, c.name, c.head, c.unit, c.tail, 30_000)
	}
}

// A value costs what it is, not what follows it.
func TestCostOfAMsgpackValue(t *testing.T) {
	values := append(make([]byte, 0, 30_000), bytes.Repeat([]byte{1}, 30_000)...)
	got := allocated(func() {
		for rest := values; len(rest) > 0; {
			var err error
			if _, _, rest, err = FromMsgpack(rest, Limits{}); err != nil {
				t.Fatal(err)
			}
		}
	})
	if most := len(values) * 512; got > most {
		t.Errorf("%d values of a byte allocate %d bytes, want at most %d", len(values), got, most)
	}
}

func FuzzCost(f *testing.F) {
	f.Add("\xde\xff\xff", "\xa1a\x01", "")
	f.Add(`2["a",[0`, `,{"_placeholder":true,"num":0}`, `]]`)
	f.Fuzz(func(t *testing.T, head, unit, tail string) {
		checkCost(t, "a packet", head, unit[:min(len(unit), 64)], tail, 2000)
	})
}
