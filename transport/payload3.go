package transport

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// The errors of the payload decoder of protocol 3.
const (
	errPayloadEmpty  packetError = "empty payload"
	errPayloadLength packetError = "invalid packet length in payload"
	errPayloadText   packetError = "invalid UTF-8 in payload"
)

// decodePayload3 calls fn for each packet of a polling body of protocol 3, in order, until fn returns an
// error, which it returns. A body sent as application/octet-stream is binary, every other is text. What
// cannot be decoded is a packetError, after the packets before it. body is changed where it holds base64.
// Protocol 3: Payload.
func decodePayload3(body []byte, binary bool, fn func(enginePacket) error) error {
	if binary {
		return decodeBinaryPayload3(body, fn)
	}
	if len(body) == 0 {
		return errPayloadEmpty
	}
	body = validText(body)
	for len(body) > 0 {
		n, i := 0, 0
		for ; i < len(body) && body[i] != ':'; i++ {
			c := body[i] - '0'
			if c > 9 || n > len(body) {
				return errPayloadLength
			}
			n = n*10 + int(c)
		}
		if i == 0 || i == len(body) {
			return errPayloadLength
		}
		body = body[i+1:]
		// The length counts UTF-16 code units, the characters of a JavaScript string.
		end, ok := utf16Prefix(body, n)
		if !ok {
			return errPayloadLength
		}
		if end == 0 {
			continue // "0:" stands for no packet at all
		}
		p, err := parsePacket3(body[:end:end], false)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		body = body[end:]
	}
	return nil
}

// decodeBinaryPayload3 decodes the form that can hold binary packets: for each packet a byte 0 (text) or
// 1 (binary), the length in bytes as digits that are bytes 0 to 9, a byte 255, and the packet. Text is
// UTF-8: Node's encoder writes its bytes one by one as if they were characters. An empty body is no
// packet and no error, as in Node.
func decodeBinaryPayload3(body []byte, fn func(enginePacket) error) error {
	for len(body) > 0 {
		binary := body[0] != 0
		n, i := 0, 1
		for ; i < len(body) && body[i] != 255; i++ {
			if body[i] > 9 || n > len(body) {
				return errPayloadLength
			}
			n = n*10 + int(body[i])
		}
		if i == 1 || i == len(body) || n > len(body)-i-1 {
			return errPayloadLength
		}
		body = body[i+1:]
		one := body[:n:n]
		if !binary && !utf8.Valid(one) {
			return errPayloadText
		}
		p, err := parsePacket3(one, binary)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// appendPayload3 appends p to the payload dst. binaryPayload chooses the form for the whole payload: Node
// uses the binary one if the client can read it (no b64=1) and one of the packets is binary.
func appendPayload3(dst []byte, p enginePacket, binaryPayload bool) []byte {
	if binaryPayload {
		mark, first := byte(0), byte(p.kind)
		if p.binary {
			mark, first = 1, byte(p.kind-kindOpen)
		}
		dst = append(dst, mark)
		at := len(dst)
		dst = strconv.AppendInt(dst, int64(1+len(p.data)), 10)
		for i := at; i < len(dst); i++ {
			dst[i] -= '0'
		}
		return append(append(dst, 255, first), p.data...)
	}
	if p.binary {
		dst = strconv.AppendInt(dst, int64(2+base64.StdEncoding.EncodedLen(len(p.data))), 10)
		return base64.StdEncoding.AppendEncode(append(dst, ':', 'b', byte(p.kind)), p.data)
	}
	dst = strconv.AppendInt(dst, int64(1+utf16Len(p.data)), 10)
	return append(append(dst, ':', byte(p.kind)), p.data...)
}

// utf16Len returns the length of the UTF-8 text b in UTF-16 code units. An invalid byte counts as one.
func utf16Len(b []byte) int {
	n := 0
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			n++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		i += size
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// utf16Prefix returns how many bytes of b hold its first n UTF-16 code units. It reports false if b is
// shorter or the n-th unit is the first half of a pair.
func utf16Prefix(b []byte, n int) (end int, ok bool) {
	for n > 0 && end < len(b) {
		if b[end] < utf8.RuneSelf {
			end++
			n--
			continue
		}
		r, size := utf8.DecodeRune(b[end:])
		end += size
		n--
		if r > 0xFFFF {
			n--
		}
	}
	return end, n == 0
}
