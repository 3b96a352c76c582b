package transport

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func msg(s string) enginePacket { return enginePacket{kind: kindMessage, data: []byte(s)} }

func bin(s string) enginePacket {
	return enginePacket{kind: kindMessage, data: []byte(s), binary: true}
}

// collect returns a function for the payload decoders that keeps copies of the packets in out.
func collect(out *[]enginePacket) func(enginePacket) error {
	return func(p enginePacket) error {
		p.data = bytes.Clone(p.data)
		*out = append(*out, p)
		return nil
	}
}

func samePackets(a, b []enginePacket) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !samePacket(a[i], b[i]) {
			return false
		}
	}
	return true
}

func TestDecodePayload4(t *testing.T) {
	tests := []struct {
		in   string
		want []enginePacket
		err  error
	}{
		{"4a", []enginePacket{msg("a")}, nil},
		{"4a\x1e4b\x1ebAQID", []enginePacket{msg("a"), msg("b"), bin("\x01\x02\x03")}, nil},
		{"3\x1e1", []enginePacket{{kind: kindPong}, {kind: kindClose}}, nil},
		{"4a\x1e\x1e4b", []enginePacket{msg("a")}, errPacketEmpty},
		{"4a\x1e", []enginePacket{msg("a")}, errPacketEmpty},
		{"4a\x1e9", []enginePacket{msg("a")}, errPacketKind},
		{"", nil, errPacketEmpty},
		{"abc", nil, errPacketKind},
		{"4\xffx", []enginePacket{msg("\uFFFDx")}, nil},
	}
	for _, tt := range tests {
		var got []enginePacket
		err := decodePayload4([]byte(tt.in), collect(&got))
		if !samePackets(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("decodePayload4(%q) = %v, %v, want %v, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func TestPayloadDecodersReturnTheErrorOfTheCallback(t *testing.T) {
	stop := errors.New("stop")
	calls := 0
	fn := func(enginePacket) error { calls++; return stop }
	for name, err := range map[string]error{
		"4":        decodePayload4([]byte("1\x1e4a"), fn),
		"3 text":   decodePayload3([]byte("1:12:4a"), false, fn),
		"3 binary": decodePayload3([]byte("\x00\x01\xff1\x00\x01\xff1"), true, fn),
	} {
		if err != stop {
			t.Errorf("%s: error %v, want %v", name, err, stop)
		}
	}
	if calls != 3 {
		t.Errorf("%d calls, want one each", calls)
	}
}

func TestAppendPayload4(t *testing.T) {
	got := appendPayload4(nil, msg("a"), true)
	got = appendPayload4(got, enginePacket{kind: kindPing}, false)
	got = appendPayload4(got, bin("\x01\x02\x03\x04"), false)
	if want := "4a\x1e2\x1ebAQIDBA=="; string(got) != want {
		t.Errorf("payload = %q, want %q", got, want)
	}
}

// The forms are those of encodePayload in engine.io/lib/parser-v3/index.ts.
func TestAppendPayload3(t *testing.T) {
	tests := []struct {
		p      enginePacket
		binary bool
		want   string
	}{
		{msg("hello"), false, "6:4hello"},
		{msg("€uro"), false, "5:4€uro"},
		{msg("😀"), false, "3:4😀"},
		{enginePacket{kind: kindPong}, false, "1:3"},
		{bin("\x01\x02\x03\x04"), false, "10:b4AQIDBA=="},
		{msg("hello"), true, "\x00\x06\xff4hello"},
		{msg("€"), true, "\x00\x04\xff4€"},
		{msg("0123456789"), true, "\x00\x01\x01\xff40123456789"},
		{bin("\x01\x02\x03\x04"), true, "\x01\x05\xff\x04\x01\x02\x03\x04"},
	}
	for _, tt := range tests {
		if got := appendPayload3(nil, tt.p, tt.binary); string(got) != tt.want {
			t.Errorf("appendPayload3(%v, %v) = %q, want %q", tt.p, tt.binary, got, tt.want)
		}
	}
}

func TestDecodePayload3(t *testing.T) {
	tests := []struct {
		name   string
		in     string
		binary bool
		want   []enginePacket
		err    error
	}{
		{"two", "6:4hello2:4a", false, []enginePacket{msg("hello"), msg("a")}, nil},
		{"UTF-16 length", "5:4€uro3:4😀1:2", false, []enginePacket{msg("€uro"), msg("😀"), {kind: kindPing}}, nil},
		{"base64", "10:b4AQIDBA==", false, []enginePacket{bin("\x01\x02\x03\x04")}, nil},
		{"no packet", "0:", false, nil, nil},
		{"empty", "", false, nil, errPayloadEmpty},
		{"no length", ":4a", false, nil, errPayloadLength},
		{"no colon", "24a", false, nil, errPayloadLength},
		{"length only", "2", false, nil, errPayloadLength},
		{"too long", "3:4a", false, nil, errPayloadLength},
		{"negative", "-1:4a", false, nil, errPayloadLength},
		{"half a pair", "2:4😀", false, nil, errPayloadLength},
		{"huge", "99999999999999999999999999:4a", false, nil, errPayloadLength},
		{"kind", "2:4a2:9a", false, []enginePacket{msg("a")}, errPacketKind},
		{"JSON", `{"a":1}`, false, nil, errPayloadLength},
		{"binary text", "\x00\x06\xff4hello", true, []enginePacket{msg("hello")}, nil},
		{"binary both", "\x00\x04\xff4€\x01\x03\xff\x04\x01\x02", true, []enginePacket{msg("€"), bin("\x01\x02")}, nil},
		{"binary base64", "\x00\x06\xffb4AQID", true, []enginePacket{bin("\x01\x02\x03")}, nil},
		{"binary long", "\x00\x01\x01\xff40123456789", true, []enginePacket{msg("0123456789")}, nil},
		{"binary empty", "", true, nil, nil},
		{"binary digit", "\x00\x0a\xff4", true, nil, errPayloadLength},
		{"binary end", "\x00\x01", true, nil, errPayloadLength},
		{"binary no digit", "\x00\xff4", true, nil, errPayloadLength},
		{"binary short", "\x00\x03\xff4", true, nil, errPayloadLength},
		{"binary zero", "\x00\x00\xff", true, nil, errPacketEmpty},
		{"binary UTF-8", "\x00\x02\xff4\xff", true, nil, errPayloadText},
		{"binary kind", "\x01\x02\xff\x09a", true, nil, errPacketKind},
	}
	for _, tt := range tests {
		var got []enginePacket
		err := decodePayload3([]byte(tt.in), tt.binary, collect(&got))
		if !samePackets(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("%s: decodePayload3(%q) = %v, %v, want %v, %v", tt.name, tt.in, got, err, tt.want, tt.err)
		}
	}
}

// A body of a million packets must cost what its bytes cost.
func TestPayloadDecodersAreLinear(t *testing.T) {
	const n = 500_000
	count := func(enginePacket) error { return nil }
	for name, run := range map[string]func(){
		"4":        func() { decodePayload4([]byte(strings.Repeat("4\x1e", n)), count) },
		"4 base64": func() { decodePayload4([]byte(strings.Repeat("b\x1e", n)), count) },
		"3":        func() { decodePayload3([]byte(strings.Repeat("1:4", n)), false, count) },
		"3 binary": func() { decodePayload3([]byte(strings.Repeat("\x00\x01\xff4", n)), true, count) },
		"3 zeros":  func() { decodePayload3([]byte(strings.Repeat("0", n)+":"), false, count) },
	} {
		if a := testing.AllocsPerRun(1, run); a > 5 {
			t.Errorf("%s: %v allocations for %d packets", name, a, n)
		}
	}
}

func FuzzDecodePayload4(f *testing.F) {
	for _, s := range []string{"4a", "4a\x1e4b\x1ebAQID", "3\x1e1", "4a\x1e\x1e4b", "", "abc", "4\xffx"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got []enginePacket
		if err := decodePayload4(bytes.Clone(body), collect(&got)); err != nil {
			if _, typed := err.(packetError); !typed {
				t.Fatalf("error %T", err)
			}
			return
		}
		var again []byte
		for i, p := range got {
			again = appendPayload4(again, p, i == 0)
		}
		var back []enginePacket
		if err := decodePayload4(again, collect(&back)); err != nil || !samePackets(got, back) {
			t.Fatalf("%q: %v, encoded and decoded: %v, %v", body, got, back, err)
		}
	})
}

func FuzzDecodePayload3(f *testing.F) {
	for _, s := range []string{"6:4hello", "5:4€uro3:4😀", "10:b4AQIDBA==", "0:", "2", "\x00\x06\xff4hello",
		"\x00\x04\xff4€\x01\x03\xff\x04\x01\x02"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, binary bool) {
		var got []enginePacket
		if err := decodePayload3(bytes.Clone(body), binary, collect(&got)); err != nil {
			if _, typed := err.(packetError); !typed {
				t.Fatalf("error %T", err)
			}
			return
		}
		if len(got) == 0 {
			return
		}
		for _, form := range []bool{false, true} {
			var again []byte
			for _, p := range got {
				again = appendPayload3(again, p, form)
			}
			var back []enginePacket
			if err := decodePayload3(again, form, collect(&back)); err != nil || !samePackets(got, back) {
				t.Fatalf("%q: %v, encoded as %q and decoded: %v, %v", body, got, again, back, err)
			}
		}
	})
}

func TestUTF16Len(t *testing.T) {
	for _, s := range []string{"", "abc", "€", "😀", "a\xffb", "\xed\xa0\x80"} {
		want := 0
		for _, r := range s {
			want += max(1, len(utf16Units(r)))
		}
		if got := utf16Len([]byte(s)); got != want {
			t.Errorf("utf16Len(%q) = %d, want %d", s, got, want)
		}
	}
}

func utf16Units(r rune) []uint16 {
	if r > 0xFFFF {
		return make([]uint16, 2)
	}
	return make([]uint16, 1)
}

func TestValidText(t *testing.T) {
	for _, s := range []string{"abc", "\xff", "a\xc3", "😀\xf0\x9f"} {
		if got := validText([]byte(s)); !utf8.Valid(got) {
			t.Errorf("validText(%q) = %q", s, got)
		}
	}
}
