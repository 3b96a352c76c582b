package packet

import "bytes"

// Split appends the elements of the JSON array data to dst, each without white space around it and
// as a part of data. data must be valid JSON, as Packet.Data is: on other input the elements mean
// nothing, but Split stays within data. It returns ErrPayload when data is no array.
func Split(dst [][]byte, data []byte) ([][]byte, error) {
	i := space(data, 0)
	if i >= len(data) || data[i] != '[' {
		return dst, ErrPayload
	}
	i = space(data, i+1)
	if i < len(data) && data[i] == ']' {
		return dst, nil
	}
	for i < len(data) {
		end := skip(data, i)
		if end < 0 {
			break
		}
		dst = append(dst, data[i:end:end])
		i = space(data, end)
		if i >= len(data) {
			break
		}
		if data[i] == ']' {
			return dst, nil
		}
		i = space(data, i+1)
	}
	return dst, ErrPayload
}

// skip returns the index behind the value that starts at data[i], or -1 when it does not end. It
// relies on data being valid and only keeps within its bounds when it is not.
func skip(data []byte, i int) int {
	level := 0
	for i < len(data) {
		switch data[i] {
		case '"':
			if i = skipString(data, i+1); i < 0 {
				return -1
			}
		case '{', '[':
			level++
			i++
			continue
		case '}', ']':
			level--
			i++
		case ',', ':', ' ', '\n', '\r', '\t':
			i++
			continue
		default:
			for i < len(data) && !delimiter(data[i]) {
				i++
			}
		}
		if level <= 0 {
			return i
		}
	}
	return -1
}

// skipString returns the index behind the valid string whose opening quote is before data[i], or -1. It
// needs no more than the closing quote, which bytes.IndexByte finds 32 bytes at a time.
func skipString(data []byte, i int) int {
	first := i
	for {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		escapes := 0
		for i-escapes > first && data[i-escapes-1] == '\\' {
			escapes++
		}
		i++
		if escapes%2 == 0 {
			return i
		}
	}
}

// delimiter reports whether c ends a number or a literal name.
func delimiter(c byte) bool {
	switch c {
	case ',', ':', ']', '}', '[', '{', '"', ' ', '\n', '\r', '\t':
		return true
	}
	return false
}
