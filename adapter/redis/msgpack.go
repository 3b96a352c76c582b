package redis

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
)

// maxDepth bounds the nesting of what is walked over: more than packages packet and server let anybody emit, with what
// is around it here.
const maxDepth = 2048

// limits of what other nodes send, which is only what all of them can read: they have checked their clients' packets,
// and their own are bounded by MaxMessageBytes.
var limits = packet.Limits{MaxAttachments: math.MaxInt32, MaxAttachmentBytes: math.MaxInt32, MaxDepth: maxDepth}

// toMsgpack turns the JSON form of a message into its MessagePack form.
func toMsgpack(dst, form []byte, attachments [][]byte) ([]byte, error) {
	return packet.AppendMsgpack(dst, form, attachments)
}

// fromMsgpack turns the MessagePack form of a message into its JSON form.
func fromMsgpack(b []byte) (form []byte, attachments [][]byte, err error) {
	form, attachments, rest, err := fromMsgpackRest(b)
	if err == nil && len(rest) > 0 {
		err = errShape
	}
	return form, attachments, err
}

// fromMsgpackRest is fromMsgpack of the first value of b, and returns what is behind it.
func fromMsgpackRest(b []byte) (form []byte, attachments [][]byte, rest []byte, err error) {
	return packet.FromMsgpack(b, limits)
}

// walker reads MessagePack value by value and skips what is of no interest. After a failure bad is
// true and everything it returns is zero.
type walker struct {
	b   []byte
	bad bool
}

func (w *walker) fail() { w.b, w.bad = nil, true }

func (w *walker) take(n int) []byte {
	if n < 0 || n > len(w.b) {
		w.fail()
		return nil
	}
	b := w.b[:n:n]
	w.b = w.b[n:]
	return b
}

func (w *walker) uint(size int) uint64 {
	b := w.take(size)
	if w.bad {
		return 0
	}
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

func (w *walker) length(size int) int {
	n := w.uint(size)
	if n > math.MaxInt32 {
		w.fail()
		return 0
	}
	return int(n)
}

func (w *walker) peek() byte {
	if len(w.b) == 0 {
		w.fail()
		return 0xc1 // never used by MessagePack
	}
	return w.b[0]
}

// array enters an array and returns its length; fails on anything else.
func (w *walker) array() int {
	switch c := w.peek(); {
	case c&0xf0 == 0x90:
		w.take(1)
		return int(c & 15)
	case c == 0xdc:
		w.take(1)
		return w.length(2)
	case c == 0xdd:
		w.take(1)
		return w.length(4)
	}
	w.fail()
	return 0
}

// object enters a map and returns the number of its members.
func (w *walker) object() int {
	switch c := w.peek(); {
	case c&0xf0 == 0x80:
		w.take(1)
		return int(c & 15)
	case c == 0xde:
		w.take(1)
		return w.length(2)
	case c == 0xdf:
		w.take(1)
		return w.length(4)
	}
	w.fail()
	return 0
}

// str reads a string; anything else is skipped and ok is false.
func (w *walker) str() (s []byte, ok bool) {
	switch c := w.peek(); {
	case c&0xe0 == 0xa0:
		w.take(1)
		s = w.take(int(c & 31))
	case c >= 0xd9 && c <= 0xdb:
		w.take(1)
		s = w.take(w.length(1 << (c - 0xd9)))
	default:
		w.skip(0)
		return nil, false
	}
	return s, !w.bad
}

// number reads an integer or a float; anything else is skipped and gives 0, false.
func (w *walker) number() (float64, bool) {
	switch c := w.peek(); {
	case c < 0x80:
		w.take(1)
		return float64(c), true
	case c >= 0xe0:
		w.take(1)
		return float64(int8(c)), true
	case c >= 0xcc && c <= 0xcf:
		w.take(1)
		return float64(w.uint(1 << (c - 0xcc))), !w.bad
	case c >= 0xd0 && c <= 0xd3:
		w.take(1)
		size := 1 << (c - 0xd0)
		n := w.uint(size)
		shift := 64 - 8*size
		return float64(int64(n<<shift) >> shift), !w.bad
	case c == 0xcb:
		w.take(1)
		return math.Float64frombits(w.uint(8)), !w.bad
	case c == 0xca:
		w.take(1)
		return float64(math.Float32frombits(uint32(w.uint(4)))), !w.bad
	}
	w.skip(0)
	return 0, false
}

// truth reads any value and reports whether JavaScript takes it for true; null tells nil and undefined.
func (w *walker) truth() (is, null bool) {
	switch c := w.peek(); c {
	case 0xc3:
		w.take(1)
		return true, false
	case 0xc2:
		w.take(1)
		return false, false
	case 0xc0:
		w.take(1)
		return false, true
	case 0xd4: // notepack's undefined: an extension of type 0 and one byte
		w.take(3)
		return false, true
	}
	if n, ok := w.number(); ok {
		return n != 0, false
	}
	return true, false
}

// strings reads an array of strings; nil or anything else gives none. Numbers, which some Node
// applications use for rooms, become their text.
func (w *walker) strings() (list []string) {
	c := w.peek()
	if c&0xf0 != 0x90 && c != 0xdc && c != 0xdd {
		w.skip(0)
		return nil
	}
	n := w.array()
	if n > len(w.b) { // each takes a byte at least
		w.fail()
		return nil
	}
	if n > 0 {
		list = make([]string, 0, n)
	}
	for range n {
		if c := w.peek(); c < 0x80 || c >= 0xe0 || c >= 0xca && c <= 0xd3 {
			f, _ := w.number()
			list = append(list, strconv.FormatFloat(f, 'f', -1, 64))
		} else if s, ok := w.str(); ok {
			list = append(list, string(s))
		}
		if w.bad {
			return nil
		}
	}
	return list
}

// raw returns the bytes of the next value.
func (w *walker) raw() []byte {
	b := w.b
	w.skip(0)
	if w.bad {
		return nil
	}
	return b[: len(b)-len(w.b) : len(b)-len(w.b)]
}

// skip passes over the next value.
func (w *walker) skip(depth int) {
	c := w.peek()
	if w.bad || depth > maxDepth {
		w.fail()
		return
	}
	w.take(1)
	switch {
	case c < 0x80, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3:
	case c&0xf0 == 0x80:
		w.skipN(2*int(c&15), depth)
	case c&0xf0 == 0x90:
		w.skipN(int(c&15), depth)
	case c&0xe0 == 0xa0:
		w.take(int(c & 31))
	case c >= 0xc4 && c <= 0xc6: // bin
		w.take(w.length(1 << (c - 0xc4)))
	case c >= 0xc7 && c <= 0xc9: // ext
		w.take(w.length(1<<(c-0xc7)) + 1)
	case c == 0xca:
		w.take(4)
	case c == 0xcb:
		w.take(8)
	case c >= 0xcc && c <= 0xcf:
		w.take(1 << (c - 0xcc))
	case c >= 0xd0 && c <= 0xd3:
		w.take(1 << (c - 0xd0))
	case c >= 0xd4 && c <= 0xd8: // fixext
		w.take(1 + 1<<(c-0xd4))
	case c >= 0xd9 && c <= 0xdb:
		w.take(w.length(1 << (c - 0xd9)))
	case c == 0xdc:
		w.skipN(w.length(2), depth)
	case c == 0xdd:
		w.skipN(w.length(4), depth)
	case c == 0xde:
		w.skipN(2*w.length(2), depth)
	case c == 0xdf:
		w.skipN(2*w.length(4), depth)
	default:
		w.fail()
	}
}

func (w *walker) skipN(n, depth int) {
	for i := 0; i < n && !w.bad; i++ {
		w.skip(depth + 1)
	}
}

// Writing.

func appendString(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n < 1<<8:
		dst = append(dst, 0xd9, byte(n))
	case n < 1<<16:
		dst = append(dst, 0xda, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, s...)
}

func appendStrings(dst []byte, list []string) []byte {
	switch n := len(list); {
	case n < 16:
		dst = append(dst, 0x90|byte(n))
	case n < 1<<16:
		dst = append(dst, 0xdc, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
	}
	for _, s := range list {
		dst = appendString(dst, s)
	}
	return dst
}

// options reads BroadcastOptions.
func (w *walker) options() (t adapter.Target) {
	for range w.object() {
		switch key, _ := w.str(); string(key) {
		case "rooms":
			t.Rooms = w.strings()
		case "except":
			t.Except = w.strings()
		case "flags":
			if c := w.peek(); c&0xf0 != 0x80 && c != 0xde && c != 0xdf {
				w.skip(0) // undefined
				break
			}
			for range w.object() {
				switch key, _ := w.str(); string(key) {
				case "volatile":
					t.Volatile, _ = w.truth()
				case "compress":
					is, null := w.truth()
					t.NoCompress = !is && !null
				default:
					w.skip(0)
				}
				if w.bad {
					return t
				}
			}
		default:
			w.skip(0)
		}
		if w.bad {
			return t
		}
	}
	return t
}
