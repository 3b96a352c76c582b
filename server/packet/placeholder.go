package packet

import (
	"bytes"
	"strconv"
)

// A placeholder stands in the payload for an attachment: {"_placeholder":true,"num":n}, the two
// members in either order and no others. Protocol: Exchange protocol, Binary event.

func appendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(num), 10)
	return append(dst, '}')
}

// placeholder reads a placeholder at the start of data and returns its number and length. ok is
// false when there is none.
func placeholder(data []byte) (num, length int, ok bool) {
	if len(data) == 0 || data[0] != '{' {
		return 0, 0, false
	}
	i := space(data, 1)
	num = -1
	marked := false
	for range 2 {
		switch {
		case !marked && scanWord(data, i, `"_placeholder"`) > 0:
			i = space(data, i+len(`"_placeholder"`))
			if i >= len(data) || data[i] != ':' {
				return 0, 0, false
			}
			if i = scanWord(data, space(data, i+1), "true"); i < 0 {
				return 0, 0, false
			}
			marked = true
		case num < 0 && scanWord(data, i, `"num"`) > 0:
			i = space(data, i+len(`"num"`))
			if i >= len(data) || data[i] != ':' {
				return 0, 0, false
			}
			first := space(data, i+1)
			if i = digits(data, first); i < 0 {
				return 0, 0, false
			}
			n, err := strconv.Atoi(string(data[first:i]))
			if err != nil {
				return 0, 0, false
			}
			num = n
		default:
			return 0, 0, false
		}
		i = space(data, i)
		if i >= len(data) {
			return 0, 0, false
		}
		if data[i] == '}' {
			return num, i + 1, marked && num >= 0
		}
		if data[i] != ',' {
			return 0, 0, false
		}
		i = space(data, i+1)
	}
	return 0, 0, false // a third member
}

// attachment returns the attachment that raw, one whole value, is a placeholder for.
func attachment(raw []byte, attachments [][]byte) ([]byte, bool) {
	if len(attachments) == 0 {
		return nil, false
	}
	num, length, ok := placeholder(raw)
	if !ok || length != len(raw) || num >= len(attachments) {
		return nil, false
	}
	return attachments[num], true
}

// hasBinary reports whether an attachment belongs into the valid value raw.
func hasBinary(raw []byte, attachments [][]byte) bool {
	if len(attachments) == 0 {
		return false
	}
	for i := 0; i < len(raw); {
		switch raw[i] {
		case '{':
			if num, _, ok := placeholder(raw[i:]); ok && num < len(attachments) {
				return true
			}
			i++
		case '"':
			if i = scanString(raw, i+1); i < 0 {
				return false
			}
		default:
			i++
		}
	}
	return false
}

// checkPlaceholders returns ErrIllegalAttachments unless every placeholder in the valid payload data
// has a number below n, no two have the same, and nothing else looks like one. Two placeholders for
// one attachment, which no client writes, would multiply its bytes wherever the payload is
// re-encoded. An attachment that nothing refers to does no harm.
func checkPlaceholders(data []byte, n int) error {
	var few [4]uint64
	seen := few[:]
	if n > 64*len(few) {
		seen = make([]uint64, (n+63)/64)
	}
	for i := 0; i < len(data); {
		switch data[i] {
		case '{':
			num, length, ok := placeholder(data[i:])
			if !ok {
				i++
				break
			}
			if num >= n || seen[num>>6]&(1<<(num&63)) != 0 {
				return ErrIllegalAttachments
			}
			seen[num>>6] |= 1 << (num & 63)
			i += length
		case '"':
			end := scanString(data, i+1)
			if end < 0 {
				return ErrPayload
			}
			if marker(data[i:end]) && marks(data, end) {
				return ErrIllegalAttachments
			}
			i = end
		default:
			i++
		}
	}
	return nil
}

// marker reports whether the JSON string raw is "_placeholder", however it is escaped.
func marker(raw []byte) bool {
	const name = "_placeholder"
	if len(raw) < len(name)+2 || len(raw) > 6*len(name)+2 {
		return false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1:len(raw)-1]) == name
	}
	return string(unquote(raw)) == name
}

// marks reports whether what follows the string that ends at data[i] makes it a name with value true.
func marks(data []byte, i int) bool {
	i = space(data, i)
	return i < len(data) && data[i] == ':' && scanWord(data, space(data, i+1), "true") > 0
}
