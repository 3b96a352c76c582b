package packet

import (
	"encoding/binary"
	"math"
	"strconv"
)

// AppendMsgpack appends the JSON value data as one MessagePack value to dst, with attachments in the
// place of their placeholders, in the dialect of notepack.io: integers in the shortest form, other
// numbers as float64, binaries as bin. It returns ErrPayload, and dst as it was, when data is not
// JSON.
func AppendMsgpack(dst []byte, data []byte, attachments [][]byte) ([]byte, error) {
	if err := valid(data, wrappedDepth); err != nil {
		return dst, err
	}
	var few [32]uint32
	sizes := containers(few[:0], data, len(attachments))
	for i := 0; i < len(data); {
		switch c := data[i]; c {
		case '{':
			if num, length, ok := placeholder(data[i:]); ok && num < len(attachments) {
				dst = appendMsgpackBinary(dst, attachments[num])
				i += length
				break
			}
			dst = appendMsgpackHeader(dst, sizes[0], 0x80, 0xde)
			sizes = sizes[1:]
			i++
		case '[':
			dst = appendMsgpackHeader(dst, sizes[0], 0x90, 0xdc)
			sizes = sizes[1:]
			i++
		case '"':
			end := scanString(data, i+1)
			dst = appendMsgpackString(dst, unquote(data[i:end]))
			i = end
		case 't':
			dst = append(dst, 0xc3)
			i += len("true")
		case 'f':
			dst = append(dst, 0xc2)
			i += len("false")
		case 'n':
			dst = append(dst, 0xc0)
			i += len("null")
		case '}', ']', ',', ':', ' ', '\n', '\r', '\t':
			i++
		default:
			end := scanNumber(data, i)
			dst = appendMsgpackNumber(dst, data[i:end])
			i = end
		}
	}
	return dst, nil
}

// containers appends the number of elements of every array and object of the valid value data, in the
// order in which they open: MessagePack wants it before the elements, and counting container by
// container would read the innermost ones once per level.
func containers(sizes []uint32, data []byte, attachments int) []uint32 {
	var few [32]int
	open := few[:0] // indexes into sizes
	for i := 0; i < len(data); {
		switch c := data[i]; c {
		case '{', '[':
			if num, length, ok := placeholder(data[i:]); ok && num < attachments {
				i += length
				break
			}
			open = append(open, len(sizes))
			i = space(data, i+1)
			if data[i] == c+2 {
				sizes = append(sizes, 0)
			} else {
				sizes = append(sizes, 1)
			}
		case '}', ']':
			open = open[:len(open)-1]
			i++
		case ',':
			sizes[open[len(open)-1]]++
			i++
		case '"':
			i = scanString(data, i+1)
		default:
			i++
		}
	}
	return sizes
}

// appendMsgpackHeader appends the header of a map or an array of n elements: fix for up to 15, wide
// is the code of the form with 16 bits, before that with 32.
func appendMsgpackHeader(dst []byte, n uint32, fix, wide byte) []byte {
	switch {
	case n < 16:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, wide), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, wide+1), n)
}

func appendMsgpackString[S []byte | string](dst []byte, s S) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, s...)
}

func appendMsgpackBinary(dst, b []byte) []byte {
	switch n := len(b); {
	case n <= math.MaxUint8:
		dst = append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
	return append(dst, b...)
}

// appendMsgpackNumber appends the JSON number raw. Where JavaScript sees an integer it is written as
// one; integers of up to 64 bits keep all their digits.
func appendMsgpackNumber(dst, raw []byte) []byte {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return appendMsgpackInt(dst, n)
	}
	if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		return appendMsgpackUint(dst, n)
	}
	f, _ := strconv.ParseFloat(string(raw), 64) // an infinity when too large
	switch {
	case f != math.Trunc(f) || math.IsInf(f, 0) || f < -1<<63 || f >= 1<<64:
		return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
	case f < 0:
		return appendMsgpackInt(dst, int64(f))
	}
	return appendMsgpackUint(dst, uint64(f))
}

func appendMsgpackInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendMsgpackUint(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, 0xd0, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n))
}

func appendMsgpackUint(dst []byte, n uint64) []byte {
	switch {
	case n < 128:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
}
