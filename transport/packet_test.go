package transport

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
)

func TestParsePacket4(t *testing.T) {
	tests := []struct {
		in     string
		binary bool
		want   enginePacket
		err    error
	}{
		{in: "4hello", want: enginePacket{kind: kindMessage, data: []byte("hello")}},
		{in: "4", want: enginePacket{kind: kindMessage}},
		{in: "2probe", want: enginePacket{kind: kindPing, data: []byte("probe")}},
		{in: "0{}", want: enginePacket{kind: kindOpen, data: []byte("{}")}},
		{in: "6", want: enginePacket{kind: kindNoop}},
		{in: "bAQIDBA==", want: enginePacket{kind: kindMessage, data: []byte{1, 2, 3, 4}, binary: true}},
		{in: "b", want: enginePacket{kind: kindMessage, binary: true}},
		{in: "\x01\x02", binary: true, want: enginePacket{kind: kindMessage, data: []byte{1, 2}, binary: true}},
		{in: "", binary: true, want: enginePacket{kind: kindMessage, binary: true}},
		{in: "", err: errPacketEmpty},
		{in: "7", err: errPacketKind},
		{in: "/abc", err: errPacketKind},
		{in: "\xff", err: errPacketKind},
	}
	for _, tt := range tests {
		got, err := parsePacket4([]byte(tt.in), tt.binary)
		if !samePacket(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("parsePacket4(%q, %v) = %v, %v, want %v, %v", tt.in, tt.binary, got, err, tt.want, tt.err)
		}
	}
}

func TestParsePacket3(t *testing.T) {
	tests := []struct {
		in     string
		binary bool
		want   enginePacket
		err    error
	}{
		{in: "4hello", want: enginePacket{kind: kindMessage, data: []byte("hello")}},
		{in: "2probe", want: enginePacket{kind: kindPing, data: []byte("probe")}},
		{in: "b4AQIDBA==", want: enginePacket{kind: kindMessage, data: []byte{1, 2, 3, 4}, binary: true}},
		{in: "b2AQID", want: enginePacket{kind: kindPing}},
		{in: "\x04\x01\x02", binary: true, want: enginePacket{kind: kindMessage, data: []byte{1, 2}, binary: true}},
		{in: "\x06", binary: true, want: enginePacket{kind: kindNoop}},
		{in: "\x07", binary: true, err: errPacketKind},
		{in: "4x", binary: true, err: errPacketKind},
		{in: "\xff", binary: true, err: errPacketKind},
		{in: "", binary: true, err: errPacketEmpty},
		{in: "", err: errPacketEmpty},
		{in: "b", err: errPacketKind},
		{in: "b9AQID", err: errPacketKind},
		{in: "abc", err: errPacketKind},
	}
	for _, tt := range tests {
		got, err := parsePacket3([]byte(tt.in), tt.binary)
		if !samePacket(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("parsePacket3(%q, %v) = %v, %v, want %v, %v", tt.in, tt.binary, got, err, tt.want, tt.err)
		}
	}
}

// The results are those of Buffer.from(text, "base64") in Node 20.
func TestDecodeBase64ReadsWhatNodeReads(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""}, {"YQ==", "a"}, {"YQ", "a"}, {"YWI=", "ab"}, {"YWI", "ab"}, {"YWJj", "abc"},
		{"YQ==YQ==", "a"}, {"YQ=YQ", "a"}, {"Y Q", "a"}, {"Y!Q", "a"}, {"YWJj=ZGVm", "abc"},
		{"Y", ""}, {"YQ\n==", "a"}, {"YW\r\nJj", "abc"}, {"+/-_", "\xfb\xff\xbf"},
	}
	for _, tt := range tests {
		if got := decodeBase64([]byte(tt.in)); string(got) != tt.want {
			t.Errorf("decodeBase64(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzDecodeBase64(f *testing.F) {
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, data []byte) {
		decodeBase64(bytes.Clone(data))
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			if got := decodeBase64(enc.AppendEncode(nil, data)); !bytes.Equal(got, data) {
				t.Fatalf("round trip of %q = %q", data, got)
			}
		}
	})
}

func FuzzParsePacket(f *testing.F) {
	for _, s := range []string{"4hello", "bAQID", "b4AQID", "\x04x", "", "2probe"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, binary bool) {
		for _, parse := range []func([]byte, bool) (enginePacket, error){parsePacket4, parsePacket3} {
			p, err := parse(bytes.Clone(data), binary)
			if err == nil && (p.kind < kindOpen || p.kind > kindNoop || p.binary && p.kind != kindMessage) {
				t.Fatalf("%q: packet %v", data, p)
			}
			if _, typed := err.(packetError); err != nil && !typed {
				t.Fatalf("%q: error %T", data, err)
			}
		}
	})
}

func samePacket(a, b enginePacket) bool {
	return a.kind == b.kind && a.binary == b.binary && bytes.Equal(a.data, b.data)
}
