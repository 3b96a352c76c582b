package transport

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// clientFrame returns a frame as a client sends it: masked.
func clientFrame(fin bool, rsv byte, op ws.OpCode, payload []byte) []byte {
	h := ws.Header{Fin: fin, Rsv: rsv, OpCode: op, Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: int64(len(payload))}
	var b bytes.Buffer
	if err := ws.WriteHeader(&b, h); err != nil {
		panic(err)
	}
	masked := bytes.Clone(payload)
	ws.Cipher(masked, h.Mask, 0)
	b.Write(masked)
	return b.Bytes()
}

func text(s string) []byte { return clientFrame(true, 0, ws.OpText, []byte(s)) }

// feedAll feeds a copy of stream in pieces of the given sizes, the last of which repeats, and returns
// what came out, one line each.
func feedAll(max int64, deflate bool, stream []byte, sizes ...int) string {
	f := newFrameReader(max, deflate)
	var out strings.Builder
	stream = bytes.Clone(stream)
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(sizes) > 0 {
			n = min(n, sizes[min(i, len(sizes)-1)])
		}
		err := f.feed(stream[:n], func(op ws.OpCode, data []byte) error {
			fmt.Fprintf(&out, "%x %q\n", byte(op), data)
			return nil
		})
		if err != nil {
			var fe *frameError
			if !errors.As(err, &fe) {
				fmt.Fprintf(&out, "untyped error %v\n", err)
				break
			}
			fmt.Fprintf(&out, "error %d %s\n", fe.code, fe.reason)
			break
		}
		stream = stream[n:]
	}
	if f.ended && (f.msg != nil || f.ctl != nil) {
		out.WriteString("memory kept after the end\n")
	}
	return out.String()
}

func deflated(s string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	w.Write([]byte(s))
	w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte(deflateTail))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Sections are those of RFC 6455, and of RFC 7692 where said.
func TestFrames(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	closeWith := func(code uint16, reason string) []byte {
		return clientFrame(true, 0, ws.OpClose, append(binary.BigEndian.AppendUint16(nil, code), reason...))
	}
	unmasked := appendFrame(nil, ws.OpText, []byte("a"))
	bomb := deflated(strings.Repeat("0", 1<<20))
	tests := []struct {
		name    string
		stream  []byte
		deflate bool
		want    string
	}{
		{"5.2 text", text("4hello"), false, `1 "4hello"`},
		{"5.2 binary", clientFrame(true, 0, ws.OpBinary, []byte{0, 255}), false, `2 "\x00\xff"`},
		{"5.2 empty", text(""), false, `1 ""`},
		{"5.2 16-bit length", text(strings.Repeat("a", 126)), false, `1 "` + strings.Repeat("a", 126) + `"`},
		{"5.2 64-bit length", text(long), false, `1 "` + long + `"`},
		{"two", join(text("a"), text("b")), false, "1 \"a\"\n1 \"b\""},
		{"5.1 unmasked", unmasked, false, "error 1002 transport error"},
		{"5.2 RSV1 without extension", clientFrame(true, 4, ws.OpText, []byte("a")), false, "error 1002 transport error"},
		{"5.2 RSV2", clientFrame(true, 2, ws.OpText, []byte("a")), true, "error 1002 transport error"},
		{"5.2 RSV3", clientFrame(true, 1, ws.OpText, []byte("a")), true, "error 1002 transport error"},
		{"5.2 reserved opcode 3", clientFrame(true, 0, 3, nil), false, "error 1002 transport error"},
		{"5.2 reserved opcode b", clientFrame(true, 0, 0xb, nil), false, "error 1002 transport error"},
		{"5.2 length over 63 bits", []byte("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), false, "error 1002 transport error"},
		{"5.4 fragments", join(clientFrame(false, 0, ws.OpText, []byte("a")), clientFrame(false, 0, 0, nil),
			clientFrame(true, 0, 0, []byte("b")), text("c")), false, "1 \"ab\"\n1 \"c\""},
		{"5.4 control between fragments", join(clientFrame(false, 0, ws.OpText, []byte("a")),
			clientFrame(true, 0, ws.OpPing, []byte("p")), clientFrame(true, 0, 0, []byte("b"))), false, "9 \"p\"\n1 \"ab\""},
		{"5.4 continuation of nothing", clientFrame(true, 0, 0, []byte("a")), false, "error 1002 transport error"},
		{"5.4 message inside a message", join(clientFrame(false, 0, ws.OpText, []byte("a")), text("b")), false, "error 1002 transport error"},
		{"5.5 long control", clientFrame(true, 0, ws.OpPing, make([]byte, 126)), false, "error 1002 transport error"},
		{"5.5 control of 125", clientFrame(true, 0, ws.OpPong, bytes.Repeat([]byte("p"), 125)), false, `a "` + strings.Repeat("p", 125) + `"`},
		{"5.5 control of 5 with a longer length", []byte("\x89\xfe\x00\x05\x00\x00\x00\x00Hello"), false, "error 1002 transport error"},
		{"5.5 fragmented control", clientFrame(false, 0, ws.OpPing, nil), false, "error 1002 transport error"},
		{"5.5.1 close", join(closeWith(1000, "bye"), text("not read")), false, `8 "\x03\xe8bye"`},
		{"5.5.1 close without code", clientFrame(true, 0, ws.OpClose, nil), false, `8 ""`},
		{"5.5.1 close of one byte", clientFrame(true, 0, ws.OpClose, []byte{3}), false, "error 1002 transport error"},
		{"7.4 close code 1005", closeWith(1005, ""), false, "error 1002 transport error"},
		{"7.4 close code 999", closeWith(999, ""), false, "error 1002 transport error"},
		{"7.4 close code 5000", closeWith(5000, ""), false, "error 1002 transport error"},
		{"7.4 close code 1013", closeWith(1013, ""), false, `8 "\x03\xf5"`},
		{"7.4 close code 3000", closeWith(3000, ""), false, `8 "\v\xb8"`},
		{"5.5.1 close reason not UTF-8", closeWith(1000, "\xff"), false, "error 1007 transport error"},
		{"8.1 text not UTF-8", text("4\xff"), false, "error 1007 transport error"},
		{"8.1 rune over fragments", join(clientFrame(false, 0, ws.OpText, []byte("\xe2\x82")),
			clientFrame(true, 0, 0, []byte("\xac"))), false, `1 "€"`},
		{"10.4 at the limit", text(strings.Repeat("a", 100_000)), false, `1 "` + strings.Repeat("a", 100_000) + `"`},
		{"10.4 over the limit", text(strings.Repeat("a", 100_001)), false, "error 1009 transport error"},
		{"10.4 by the header alone", text(strings.Repeat("a", 100_001))[:14], false, "error 1009 transport error"},
		{"10.4 over fragments", join(clientFrame(false, 0, ws.OpText, make([]byte, 60_000)),
			clientFrame(true, 0, 0, make([]byte, 60_000))[:8]), false, "error 1009 transport error"},
		{"RFC 7692 6.2 message", clientFrame(true, 4, ws.OpText, deflated("hello")), true, `1 "hello"`},
		{"RFC 7692 6.2 fragments", join(clientFrame(false, 4, ws.OpText, deflated("hello")[:3]),
			clientFrame(true, 0, 0, deflated("hello")[3:]), text("plain")), true, "1 \"hello\"\n1 \"plain\""},
		{"RFC 7692 6.1 RSV1 on a continuation", join(clientFrame(false, 4, ws.OpText, deflated("hello")[:3]),
			clientFrame(true, 4, 0, deflated("hello")[3:])), true, "error 1002 transport error"},
		{"RFC 7692 6.1 RSV1 on a control", clientFrame(true, 4, ws.OpPing, nil), true, "error 1002 transport error"},
		{"RFC 7692 7.2.3.6 empty", clientFrame(true, 4, ws.OpText, []byte{0}), true, `1 ""`},
		{"RFC 7692 last block", clientFrame(true, 4, ws.OpText, []byte("\xcbH\xcd\xc9\xc9\x07\x00")), true, `1 "hello"`},
		{"RFC 7692 bomb", clientFrame(true, 4, ws.OpText, bomb), true, "error 1009 transport error"},
		{"RFC 7692 garbage", clientFrame(true, 4, ws.OpText, []byte("\xff\xff\xff")), true, "error 1007 transport error"},
		{"RFC 7692 not UTF-8", clientFrame(true, 4, ws.OpText, deflated("\xff")), true, "error 1007 transport error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, sizes := range [][]int{nil, {1}, {2, 7}, {3, 1, 4096}} {
				if len(tt.stream) > 10_000 && len(sizes) > 0 && sizes[len(sizes)-1] < 10 {
					continue // for the time it takes
				}
				if got := feedAll(100_000, tt.deflate, tt.stream, sizes...); got != tt.want+"\n" {
					t.Fatalf("pieces of %v: got %.300s\nwant %.300s", sizes, got, tt.want)
				}
			}
		})
	}
}

func TestFeedReturnsTheErrorOfTheCallback(t *testing.T) {
	stop := errors.New("stop")
	f := newFrameReader(100, false)
	calls := 0
	fn := func(ws.OpCode, []byte) error { calls++; return stop }
	if err := f.feed(join(text("a"), text("b")), fn); err != stop {
		t.Errorf("error %v, want %v", err, stop)
	}
	if err := f.feed(text("c"), fn); err != nil || calls != 1 {
		t.Errorf("after the error: %d calls, error %v, want one call and none", calls, err)
	}
}

func TestFrameReaderHoldsNothingBetweenMessages(t *testing.T) {
	f := newFrameReader(1<<20, false)
	none := func(ws.OpCode, []byte) error { return nil }
	stream := join(text(strings.Repeat("a", 500_000)), clientFrame(true, 0, ws.OpPing, []byte("p")))
	for len(stream) > 0 {
		n := min(len(stream), 16<<10)
		if err := f.feed(stream[:n], none); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
	}
	if f.msg != nil || f.ctl != nil {
		t.Errorf("%d and %d bytes are kept", cap(f.msg), cap(f.ctl))
	}
}

// A header that promises much must not take memory before the bytes arrive.
func TestFrameReaderTakesRoomAsBytesArrive(t *testing.T) {
	f := newFrameReader(100<<20, false)
	stream := clientFrame(true, 0, ws.OpBinary, make([]byte, 5<<20))
	fed := 0
	copied := 0
	for len(stream) > 0 {
		n := min(len(stream), 16<<10)
		before := cap(f.msg)
		if err := f.feed(stream[:n], func(ws.OpCode, []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if c := cap(f.msg); c != before {
			copied += c
		}
		stream = stream[n:]
		if fed += n; cap(f.msg) > 2*fed+minPart {
			t.Fatalf("%d bytes of room after %d", cap(f.msg), fed)
		}
	}
	if copied > 3*fed {
		t.Errorf("%d bytes of room in all for a message of %d", copied, fed)
	}
}

// A message in many fragments is copied as often as one in few: 64 KB in fragments of a byte were copied
// 65,536 times once, two gigabytes in all.
func TestFrameReaderCopiesFragmentsFewTimes(t *testing.T) {
	const size = 64 << 10
	f := newFrameReader(1<<20, false)
	got := 0
	fn := func(_ ws.OpCode, data []byte) error { got = len(data); return nil }
	copied := 0
	for i := range size {
		op := ws.OpContinuation
		if i == 0 {
			op = ws.OpBinary
		}
		before := cap(f.msg)
		if err := f.feed(clientFrame(i == size-1, 0, op, []byte{1}), fn); err != nil {
			t.Fatal(err)
		}
		if c := cap(f.msg); c > before {
			copied += c
		}
		if c := cap(f.msg); c > 2*i+minPart {
			t.Fatalf("%d bytes of room after %d", c, i)
		}
	}
	if got != size || copied > 3*size {
		t.Errorf("%d bytes of room in all for a message of %d", copied, got)
	}
}

func TestFrameFastPathAllocatesNothing(t *testing.T) {
	stream := join(text("42[\"message\",\"hello\"]"), clientFrame(true, 0, ws.OpBinary, make([]byte, 1000)), text("3"))
	buf := make([]byte, len(stream))
	f := newFrameReader(1<<20, false)
	n := 0
	fn := func(ws.OpCode, []byte) error { n++; return nil }
	dst := make([]byte, 0, 4096)
	got := testing.AllocsPerRun(100, func() {
		copy(buf, stream)
		if err := f.feed(buf, fn); err != nil {
			t.Fatal(err)
		}
		dst = appendFrame(dst[:0], ws.OpText, []byte("4"), buf[:10])
	})
	if got != 0 || n == 0 {
		t.Errorf("%v allocations for %d messages", got, n)
	}
}

func TestAppendFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 100_000} {
		payload := bytes.Repeat([]byte("x"), n)
		want, err := ws.CompileFrame(ws.NewFrame(ws.OpText, true, payload))
		if err != nil {
			t.Fatal(err)
		}
		if got := appendFrame([]byte("before"), ws.OpText, payload[:n/3], payload[n/3:]); string(got) != "before"+string(want) {
			t.Errorf("frame of %d bytes differs from that of gobwas/ws", n)
		}
	}
}

func TestAppendDeflatedFrame(t *testing.T) {
	random := make([]byte, 70_000)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(random)
	for _, tt := range []struct {
		name    string
		payload []byte
		packed  bool
	}{
		{"empty", nil, false},
		{"short", []byte("4"), false},
		{"text", []byte(strings.Repeat("42[\"message\"]", 1000)), true},
		{"large", bytes.Repeat([]byte("abcdefgh"), 50_000), true},
		{"random", random, false},
	} {
		frame := appendDeflatedFrame([]byte("before"), ws.OpBinary, tt.payload[:len(tt.payload)/2], tt.payload[len(tt.payload)/2:])
		frame, ok := bytes.CutPrefix(frame, []byte("before"))
		if !ok {
			t.Fatalf("%s: what was in dst has changed", tt.name)
		}
		h, err := ws.ReadHeader(bytes.NewReader(frame))
		if err != nil || h.Rsv1() != tt.packed || !h.Fin || h.OpCode != ws.OpBinary {
			t.Fatalf("%s: header %v, %v", tt.name, h, err)
		}
		payload := frame[ws.HeaderSize(h):]
		if int64(len(payload)) != h.Length {
			t.Fatalf("%s: %d bytes behind a header that says %d", tt.name, len(payload), h.Length)
		}
		want := fmt.Sprintf("2 %q\n", tt.payload)
		if got := feedAll(1<<20, true, clientFrame(true, h.Rsv, ws.OpBinary, payload)); got != want {
			t.Errorf("%s: does not come back", tt.name)
		}
	}
}

func FuzzFeedSplits(f *testing.F) {
	f.Add(join(text("hello"), clientFrame(true, 0, ws.OpPing, []byte("p"))), uint16(3), false)
	f.Add(join(clientFrame(false, 0, ws.OpText, []byte("a")), clientFrame(true, 0, 0, []byte("b"))), uint16(1), false)
	f.Add(clientFrame(true, 4, ws.OpText, deflated("hello")), uint16(5), true)
	f.Add(text(strings.Repeat("a", 300)), uint16(100), false)
	f.Add(clientFrame(true, 0, ws.OpClose, []byte{3, 0xe8}), uint16(2), false)
	f.Fuzz(func(t *testing.T, stream []byte, split uint16, deflate bool) {
		const limit = 1000
		want := feedAll(limit, deflate, stream)
		if strings.Contains(want, "untyped") || strings.Contains(want, "kept") {
			t.Fatal(want)
		}
		for _, sizes := range [][]int{{1}, {int(split) + 1}, {int(split%16) + 1, 1, 3}, {2, int(split%64) + 1}} {
			if got := feedAll(limit, deflate, stream, sizes...); got != want {
				t.Fatalf("pieces of %v: got %s\nwant %s", sizes, got, want)
			}
		}
	})
}

func FuzzFrameRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), true, uint8(3))
	f.Add(bytes.Repeat([]byte("ab"), 4_000), false, uint8(200))
	f.Fuzz(func(t *testing.T, payload []byte, deflate bool, cut uint8) {
		k := min(int(cut), len(payload))
		frame := appendFrame(nil, ws.OpBinary, payload[:k], payload[k:])
		if deflate {
			frame = appendDeflatedFrame(nil, ws.OpBinary, payload[:k], payload[k:])
		}
		h, err := ws.ReadHeader(bytes.NewReader(frame))
		if err != nil {
			t.Fatal(err)
		}
		back := clientFrame(true, h.Rsv, h.OpCode, frame[ws.HeaderSize(h):])
		if got, want := feedAll(1<<20, deflate, back), fmt.Sprintf("2 %q\n", payload); got != want {
			t.Fatalf("got %s\nwant %s", got, want)
		}
	})
}

// Messages come out the same when they are read to where they are put together, however they are cut.
func TestFramesReadInPlace(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	var sent []string
	for i := range 200 {
		text := strings.Repeat(string(rune('a'+i%26)), rnd.IntN(4<<(i%18)))
		sent = append(sent, text)
		if i%3 == 0 { // in fragments, with a control frame between them
			cut := rnd.IntN(len(text) + 1)
			stream = append(stream, fragment(text[:cut], ws.OpText, false)...)
			stream = append(stream, maskedFrame(ws.OpPing, "between")...)
			stream = append(stream, fragment(text[cut:], ws.OpContinuation, true)...)
			continue
		}
		stream = append(stream, maskedFrame(ws.OpText, text)...)
	}
	f := newFrameReader(1<<20, false)
	got, direct := 0, 0
	for len(stream) > 0 {
		into := f.room()
		if into != nil {
			direct++
		} else {
			into = make([]byte, readBuffer)
		}
		n := copy(into[:1+rnd.IntN(len(into))], stream)
		stream = stream[n:]
		err := f.feed(into[:n], func(op ws.OpCode, data []byte) error {
			if op == ws.OpText {
				if string(data) != sent[got] {
					t.Fatalf("message %d of %d bytes is wrong: %d bytes", got, len(sent[got]), len(data))
				}
				got++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got != len(sent) || direct == 0 {
		t.Errorf("%d messages of %d, %d direct reads", got, len(sent), direct)
	}
}

// fragment is a masked frame that is final or not.
func fragment(text string, op ws.OpCode, final bool) []byte {
	b := maskedFrame(op, text)
	if !final {
		b[0] &^= 0x80
	}
	return b
}
