package transport

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// separator stands between the packets of a polling payload. Protocol: Packet encoding, HTTP long-polling.
const separator = '\x1e'

// decodePayload4 calls fn for each packet of a polling body of protocol 4, in order, until fn returns an
// error, which it returns. An invalid packet, and so an empty body, is a packetError, after the packets
// before it: as Node, which hands those on too. body is changed where it holds base64.
func decodePayload4(body []byte, fn func(enginePacket) error) error {
	body = validText(body)
	for {
		one, rest, more := body, []byte(nil), false
		if i := bytes.IndexByte(body, separator); i >= 0 {
			one, rest, more = body[:i:i], body[i+1:], true
		}
		p, err := parsePacket4(one, false)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		if !more {
			return nil
		}
		body = rest
	}
}

// appendPayload4 appends p to the payload dst, in which it is the first or follows others.
func appendPayload4(dst []byte, p enginePacket, first bool) []byte {
	if !first {
		dst = append(dst, separator)
	}
	if p.binary {
		return base64.StdEncoding.AppendEncode(append(dst, 'b'), p.data)
	}
	return append(append(dst, byte(p.kind)), p.data...)
}

// validText returns body as a reader of UTF-8 that never fails sees it: Node sets that encoding on the
// request, so invalid bytes become U+FFFD. Passed on as they are they would end the sessions of browsers
// that get them in a text frame.
func validText(body []byte) []byte {
	if utf8.Valid(body) {
		return body
	}
	return bytes.ToValidUTF8(body, []byte("\uFFFD"))
}
