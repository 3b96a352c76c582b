package packet

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
)

// defaultMsgpackAttachments bounds the binaries of one MessagePack value. Each costs its sender two
// bytes, and us a slice and a placeholder.
const defaultMsgpackAttachments = 1024

// FromMsgpack reads the MessagePack value at the start of b and returns it as JSON text with a
// placeholder for every binary, the binaries as parts of b, and what follows the value.
//
// Integers keep all their digits; infinities and NaN become null, as in JSON.stringify; the
// timestamps of both kinds (extension -1 and notepack.io's older 0) become ISO strings and notepack's
// undefined becomes null, or no member at all in a map. Keys that are not strings become their text.
// Extension 0 in its long forms, notepack's ArrayBuffer, is a binary; other extensions become null.
//
// lim is as for a decoder, but for MaxAttachments, of which the default is 1024, and for MaxDepth, which may be 1088:
// payloads as deep as they may be, and what servers put around them for each other. The text is at most
// some seven times as long as the value, placeholders aside. FromMsgpack returns ErrPayload for what is no MessagePack value,
// ErrDepth, ErrTooManyAttachments or ErrAttachmentBytes for what exceeds lim, and
// ErrIllegalAttachments when a map beside a binary imitates a placeholder.
func FromMsgpack(b []byte, lim Limits) (data []byte, attachments [][]byte, rest []byte, err error) {
	// The value may be a small part of b.
	r := msgpackReader{b: b, lim: lim.orDefaults(defaultMsgpackAttachments, wrappedDepth), out: make([]byte, 0, min(jsonSize(len(b)), 256))}
	data, attachments, err = r.whole()
	if err != nil {
		return nil, nil, b, err
	}
	return data, attachments, r.b, nil
}

type msgpackReader struct {
	lim         Limits
	b           []byte // what is still to be read
	out         []byte
	attachments [][]byte
	bytes       int
}

// jsonSize is the size that most MessagePack values of n bytes stay below as JSON.
func jsonSize(n int) int { return n + n/4 + 16 }

// whole reads the next value and returns it as JSON with its binaries. Neither is shared with other values.
func (r *msgpackReader) whole() (data []byte, attachments [][]byte, err error) {
	begin := len(r.out)
	r.attachments, r.bytes = nil, 0
	if err := r.value(0); err != nil {
		return nil, nil, err
	}
	data = r.out[begin:len(r.out):len(r.out)]
	if len(r.attachments) > 0 {
		if err := checkPlaceholders(data, len(r.attachments)); err != nil {
			return nil, nil, err
		}
	}
	return data, r.attachments, nil
}

// take takes the next n bytes, or returns nil when there are fewer.
func (r *msgpackReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// number takes a big-endian number of size bytes.
func (r *msgpackReader) number(size int) (n uint64, ok bool) {
	if len(r.b) < size {
		return 0, false
	}
	for _, c := range r.take(uint64(size)) {
		n = n<<8 | uint64(c)
	}
	return n, true
}

// value writes the next value as JSON.
func (r *msgpackReader) value(depth int) error {
	if len(r.b) == 0 {
		return ErrPayload
	}
	c := r.b[0]
	r.b = r.b[1:]
	switch {
	case c < 0x80 || c >= 0xe0:
		r.out = strconv.AppendInt(r.out, int64(int8(c)), 10)
		return nil
	case c < 0x90:
		return r.object(uint64(c&15), depth)
	case c < 0xa0:
		return r.array(uint64(c&15), depth)
	case c < 0xc0:
		return r.str(uint64(c & 31))
	}
	switch c {
	case 0xc0:
		r.out = append(r.out, "null"...)
	case 0xc2:
		r.out = append(r.out, "false"...)
	case 0xc3:
		r.out = append(r.out, "true"...)
	case 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3:
		return r.scalar(c)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return r.extension(1<<(c-0xd4), false)
	case 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf:
		n, ok := r.number(lengthSize(c))
		if !ok {
			return ErrPayload
		}
		switch {
		case c <= 0xc6:
			return r.binary(n)
		case c <= 0xc9:
			return r.extension(n, true)
		case c <= 0xdb:
			return r.str(n)
		case c <= 0xdd:
			return r.array(n, depth)
		}
		return r.object(n, depth)
	default:
		return ErrPayload // 0xc1 is never used
	}
	return nil
}

// lengthSize returns the size of the length that follows the code c.
func lengthSize(c byte) int {
	switch c {
	case 0xc4, 0xc7, 0xd9:
		return 1
	case 0xc5, 0xc8, 0xda, 0xdc, 0xde:
		return 2
	}
	return 4
}

// scalar reads the number whose code is c.
func (r *msgpackReader) scalar(c byte) error {
	if c <= 0xcb {
		size := 4 << (c - 0xca)
		n, ok := r.number(size)
		f := math.Float64frombits(n)
		if size == 4 {
			f = float64(math.Float32frombits(uint32(n)))
		}
		switch {
		case !ok:
			return ErrPayload
		case math.IsNaN(f) || math.IsInf(f, 0):
			r.out = append(r.out, "null"...)
		case f == 0:
			r.out = append(r.out, '0') // not -0
		default:
			r.out = appendFloat(r.out, f, 64)
		}
		return nil
	}
	signed := c >= 0xd0
	size := 1 << ((c - 0xcc) & 3)
	n, ok := r.number(size)
	if !ok {
		return ErrPayload
	}
	if signed {
		shift := 64 - 8*size
		r.out = strconv.AppendInt(r.out, int64(n<<shift)>>shift, 10)
	} else {
		r.out = strconv.AppendUint(r.out, n, 10)
	}
	return nil
}

func (r *msgpackReader) str(n uint64) error {
	b := r.take(n)
	if b == nil && n > 0 {
		return ErrPayload
	}
	r.out = appendString(r.out, b)
	return nil
}

func (r *msgpackReader) binary(n uint64) error {
	b := r.take(n)
	if b == nil {
		if n > 0 {
			return ErrPayload
		}
		b = []byte{}
	}
	if len(r.attachments) == r.lim.MaxAttachments {
		return ErrTooManyAttachments
	}
	if r.bytes += len(b); r.bytes > r.lim.MaxAttachmentBytes {
		return ErrAttachmentBytes
	}
	r.out = appendPlaceholder(r.out, len(r.attachments))
	r.attachments = append(r.attachments, b)
	return nil
}

func (r *msgpackReader) array(n uint64, depth int) error {
	if depth >= r.lim.MaxDepth {
		return ErrDepth
	}
	r.out = append(r.out, '[')
	for i := range n {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		if err := r.value(depth + 1); err != nil {
			return err
		}
	}
	r.out = append(r.out, ']')
	return nil
}

func (r *msgpackReader) object(n uint64, depth int) error {
	if depth >= r.lim.MaxDepth {
		return ErrDepth
	}
	r.out = append(r.out, '{')
	first := len(r.out)
	for range n {
		before := len(r.out)
		if before > first {
			r.out = append(r.out, ',')
		}
		if err := r.key(); err != nil {
			return err
		}
		if r.undefined() {
			r.out = r.out[:before]
			continue
		}
		r.out = append(r.out, ':')
		if err := r.value(depth + 1); err != nil {
			return err
		}
	}
	r.out = append(r.out, '}')
	return nil
}

// undefined takes notepack's undefined, fixext 1 of type 0, when it is next.
func (r *msgpackReader) undefined() bool {
	if len(r.b) < 3 || r.b[0] != 0xd4 || r.b[1] != 0 {
		return false
	}
	r.b = r.b[3:]
	return true
}

// key writes the next value as a member's name. Numbers and literals become their text; what has
// parts cannot be a name.
func (r *msgpackReader) key() error {
	if len(r.b) == 0 {
		return ErrPayload
	}
	switch c := r.b[0]; {
	case c >= 0xa0 && c < 0xc0, c >= 0xd9 && c <= 0xdb:
		return r.value(0)
	case c < 0x80, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3, c >= 0xca && c <= 0xd3:
		r.out = append(r.out, '"')
		err := r.value(0)
		r.out = append(r.out, '"')
		return err
	}
	return ErrPayload
}

// extension reads an extension of n bytes, of which the type is next. long says that the code gave
// the length.
func (r *msgpackReader) extension(n uint64, long bool) error {
	kind, ok := r.number(1)
	if !ok {
		return ErrPayload
	}
	if kind == 0 && long {
		return r.binary(n)
	}
	b := r.take(n)
	if b == nil && n > 0 {
		return ErrPayload
	}
	switch {
	case kind == 0 && n == 8:
		r.date(int64(binary.BigEndian.Uint64(b)))
	case kind == 0xff && n == 4:
		r.date(int64(binary.BigEndian.Uint32(b)) * 1000)
	case kind == 0xff && n == 8:
		x := binary.BigEndian.Uint64(b)
		r.date(int64(x&(1<<34-1))*1000 + int64(x>>34)/1e6)
	case kind == 0xff && n == 12:
		sec := int64(binary.BigEndian.Uint64(b[4:]))
		if sec < -maxDate/1000 || sec > maxDate/1000 {
			sec = maxDate // no date
		}
		r.date(sec*1000 + int64(binary.BigEndian.Uint32(b))/1e6)
	default:
		r.out = append(r.out, "null"...)
	}
	return nil
}

// maxDate is the last millisecond of JavaScript's calendar, counted from 1970 (ECMA-262, Time Values).
const maxDate = 8_640_000_000_000_000

// date writes the time ms as Date.prototype.toISOString does, and null when it is no date.
func (r *msgpackReader) date(ms int64) {
	if ms < -maxDate || ms > maxDate {
		r.out = append(r.out, "null"...)
		return
	}
	t := time.UnixMilli(ms).UTC()
	r.out = append(r.out, '"')
	if y := t.Year(); y < 0 || y > 9999 {
		r.out = fmt.Appendf(r.out, "%+07d", y)
	} else {
		r.out = fmt.Appendf(r.out, "%04d", y)
	}
	r.out = t.AppendFormat(r.out, `-01-02T15:04:05.000Z"`)
}
