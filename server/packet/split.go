package packet

import (
	"bytes"
	"iter"
	"math"
)

// Split appends the elements of the JSON array data to dst, each without white space around it and
// as a part of data. data must be valid JSON, as Packet.Data is: on other input the elements mean
// nothing, but Split stays within data. It returns ErrPayload when data is no array.
func Split(dst [][]byte, data []byte) ([][]byte, error) {
	i, err := opening(data)
	for i > 0 {
		end := skip(data, i)
		if end < 0 {
			return dst, ErrPayload
		}
		dst = append(dst, data[i:end:end])
		i, err = following(data, end)
	}
	return dst, err
}

// Index is Split for those who want few of many elements: it appends where the first most begin, for a sixth of the
// memory, and Element finds one.
func Index(dst []uint32, data []byte, most int) ([]uint32, error) {
	if uint64(len(data)) > math.MaxUint32 {
		return dst, ErrPayload
	}
	i, err := opening(data)
	for i > 0 {
		end := skip(data, i)
		if end < 0 {
			return dst, ErrPayload
		}
		if dst = append(dst, uint32(i)); len(dst) >= most {
			break
		}
		i, err = following(data, end)
	}
	return dst, err
}

// Element returns the value in data that begins at the index at, as a part of data.
func Element(data []byte, at uint32) []byte {
	end := skip(data, int(at))
	if end < 0 {
		end = len(data)
	}
	return data[at:end:end]
}

// Parts returns the members of data when that is an object, and its elements, which have no names, when it is an array, in
// order and as parts of data. Of anything else there are none. It relies on data being valid, as Split does.
func Parts(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(name string, value []byte) bool) {
		i := space(data, 0)
		if i >= len(data) || data[i] != '{' && data[i] != '[' {
			return
		}
		closing := data[i] + 2
		for i = space(data, i+1); i < len(data) && data[i] != closing; i = comma(data, i) {
			name := ""
			if closing == '}' {
				end := skip(data, i)
				if end < 0 {
					return
				}
				name = string(unquote(data[i:end]))
				i = space(data, space(data, end)+1)
			}
			end := skip(data, i)
			if end < 0 || !yield(name, data[i:end:end]) {
				return
			}
			i = end
		}
	}
}

// opening returns the index of the first element of the array data, zero if it has none.
func opening(data []byte) (int, error) {
	i := space(data, 0)
	if i >= len(data) || data[i] != '[' {
		return 0, ErrPayload
	}
	if i = space(data, i+1); i >= len(data) {
		return 0, ErrPayload
	}
	if data[i] == ']' {
		return 0, nil
	}
	return i, nil
}

// following returns the index of the element behind the one that ends at data[end], zero if that is the last.
func following(data []byte, end int) (int, error) {
	i := space(data, end)
	if i >= len(data) {
		return 0, ErrPayload
	}
	if data[i] == ']' {
		return 0, nil
	}
	if i = space(data, i+1); i >= len(data) {
		return 0, ErrPayload
	}
	return i, nil
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
