package packet

import (
	"encoding/binary"
	"math/bits"
)

const (
	// defaultDepth is the nesting a decoder accepts unless Limits.MaxDepth says otherwise.
	defaultDepth = 512
	// maxDepth is the most that can be asked for, and that servers send.
	maxDepth = 1024
	// wrappedDepth is that with what servers put around it for each other: the scanner keeps one bit per level on its stack.
	wrappedDepth = maxDepth + 64
)

// scan checks that one JSON value of at most depth levels (see Limits.MaxDepth) starts at data[i],
// white space before it allowed, and returns the index behind it. It accepts what RFC 8259 accepts,
// and does not look at the encoding of characters inside strings. It allocates nothing.
func scan(data []byte, i, depth int) (int, error) {
	if depth <= 0 {
		depth = defaultDepth
	}
	depth = min(depth, wrappedDepth)
	var objects [wrappedDepth / 64]uint64 // bit n: level n is an object, not an array
	level := 0
	for {
		// One value, or the opening of one.
		i = space(data, i)
		if i >= len(data) {
			return i, ErrPayload
		}
		switch c := data[i]; c {
		case '"':
			if i = scanString(data, i+1); i < 0 {
				return 0, ErrPayload
			}
		case '{', '[':
			if level == depth {
				return i, ErrDepth
			}
			i = space(data, i+1)
			if i >= len(data) {
				return i, ErrPayload
			}
			if data[i] == c+2 { // '}' is '{'+2, ']' is '['+2
				i++
				break
			}
			if c == '{' {
				objects[level>>6] |= 1 << (level & 63)
				if i = scanName(data, i); i < 0 {
					return 0, ErrPayload
				}
			} else {
				objects[level>>6] &^= 1 << (level & 63)
			}
			level++
			continue
		case 't':
			if i = scanWord(data, i, "true"); i < 0 {
				return 0, ErrPayload
			}
		case 'f':
			if i = scanWord(data, i, "false"); i < 0 {
				return 0, ErrPayload
			}
		case 'n':
			if i = scanWord(data, i, "null"); i < 0 {
				return 0, ErrPayload
			}
		default:
			if i = scanNumber(data, i); i < 0 {
				return 0, ErrPayload
			}
		}
		// What follows a value: closings, then a comma, or the end.
	closings:
		for {
			if level == 0 {
				return i, nil
			}
			i = space(data, i)
			if i >= len(data) {
				return i, ErrPayload
			}
			object := objects[(level-1)>>6]&(1<<((level-1)&63)) != 0
			switch c := data[i]; {
			case c == ',':
				i++
				if object {
					if i = scanName(data, space(data, i)); i < 0 {
						return 0, ErrPayload
					}
				}
				break closings
			case c == '}' && object, c == ']' && !object:
				i++
				level--
			default:
				return i, ErrPayload
			}
		}
	}
}

// valid reports in its error what is wrong with data as one JSON value with white space around it.
func valid(data []byte, depth int) error {
	i, err := scan(data, 0, depth)
	if err != nil {
		return err
	}
	if space(data, i) != len(data) {
		return ErrPayload
	}
	return nil
}

// space returns the index of the first byte from i on that is not white space.
func space(data []byte, i int) int {
	for i < len(data) && data[i] <= ' ' && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// scanName checks a member name and its colon and returns the index behind the colon, or -1.
func scanName(data []byte, i int) int {
	if i >= len(data) || data[i] != '"' {
		return -1
	}
	if i = scanString(data, i+1); i < 0 {
		return -1
	}
	i = space(data, i)
	if i >= len(data) || data[i] != ':' {
		return -1
	}
	return i + 1
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stops has the highest bit of each byte of x set that is a quote, a backslash or a control character. The lowest of
// those bits is exact; higher ones may come from a borrow, and the other bits say nothing. The quote and what is before the
// space are one range when the second bit is the other way.
func stops(x uint64) uint64 {
	return (((x ^ ones*2) - ones*('"'^2+1)) | ((x ^ ones*'\\') - ones)) &^ x
}

// longString is how much of a string is looked at eight bytes at a time before that is done 32 at a time, which takes 0.4
// of the time (64 KiB; measured). Most strings are shorter, and would pay for what is looked at twice.
const longString = 64

// skipPlain returns an index from i on before which a string has nothing that stops.
func skipPlain(data []byte, i int) int {
	for ; i+32 <= len(data); i += 32 {
		b := data[i : i+32 : i+32]
		m := stops(binary.LittleEndian.Uint64(b)) | stops(binary.LittleEndian.Uint64(b[8:])) |
			stops(binary.LittleEndian.Uint64(b[16:])) | stops(binary.LittleEndian.Uint64(b[24:]))
		if m&highs != 0 {
			break
		}
	}
	return i
}

// scanString checks a string whose opening quote is before data[i] and returns the index behind the
// closing quote, or -1.
func scanString(data []byte, i int) int {
	for {
		// Eight bytes at a time up to a quote, a backslash or a control character.
		for long := i + longString; i+8 <= len(data); i += 8 {
			if i >= long {
				i, long = skipPlain(data, i), len(data)
				if i+8 > len(data) {
					break
				}
			}
			if m := stops(binary.LittleEndian.Uint64(data[i:])) & highs; m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
		}
		if i >= len(data) {
			return -1
		}
		switch c := data[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i+1 >= len(data) {
				return -1
			}
			switch data[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if _, ok := hex4(data, i+2); !ok {
					return -1
				}
				i += 6
			default:
				return -1
			}
		case c < 0x20:
			return -1
		default:
			i++
		}
	}
}

// hex4 reads the four hexadecimal digits at data[i].
func hex4(data []byte, i int) (rune, bool) {
	if i+4 > len(data) {
		return 0, false
	}
	var r rune
	for _, c := range data[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func scanWord(data []byte, i int, word string) int {
	if len(data)-i < len(word) || string(data[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// scanNumber returns the index behind the number at data[i], or -1.
func scanNumber(data []byte, i int) int {
	if i < len(data) && data[i] == '-' {
		i++
	}
	if i < len(data) && data[i] == '0' {
		i++
	} else if i = digits(data, i); i < 0 {
		return -1
	}
	if i < len(data) && data[i] == '.' {
		if i = digits(data, i+1); i < 0 {
			return -1
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		if i = digits(data, i); i < 0 {
			return -1
		}
	}
	return i
}

// digits returns the index behind the digits at data[i], or -1 when there are none.
func digits(data []byte, i int) int {
	first := i
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	if i == first {
		return -1
	}
	return i
}
