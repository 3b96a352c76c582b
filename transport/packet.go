package transport

// kind is the type of an Engine.IO packet, as its ASCII digit on the wire. Protocol: Packet types.
type kind byte

// The kinds of packets. Protocol: Packet types.
const (
	kindOpen    kind = '0'
	kindClose   kind = '1'
	kindPing    kind = '2'
	kindPong    kind = '3'
	kindMessage kind = '4'
	kindUpgrade kind = '5'
	kindNoop    kind = '6'
)

// String returns the protocol's word for the kind.
func (k kind) String() string {
	switch k {
	case kindOpen:
		return "open"
	case kindClose:
		return "close"
	case kindPing:
		return "ping"
	case kindPong:
		return "pong"
	case kindMessage:
		return "message"
	case kindUpgrade:
		return "upgrade"
	case kindNoop:
		return "noop"
	}
	return "unknown"
}

// enginePacket is one Engine.IO packet. The data of a decoded packet are a part of the bytes given
// to the decoder and live as long as those do. binary is set only on messages.
type enginePacket struct {
	kind   kind
	data   []byte
	binary bool
}

// packetError is the error of every decoder of packets and payloads: the client sent something that
// is not Engine.IO, and its session closes with ReasonParseError.
type packetError string

// Error returns what was wrong with the bytes, without the bytes.
func (e packetError) Error() string { return string(e) }

// The errors of the packet decoders.
const (
	errPacketEmpty packetError = "empty packet"
	errPacketKind  packetError = "unknown packet type"
)

// parsePacket4 decodes one packet of protocol 4: the payload of a WebSocket message, or one packet of
// a polling payload, which is always text. A text packet that starts with b is a binary message in
// base64, which is decoded in place. Protocol: Packet encoding.
func parsePacket4(data []byte, binary bool) (enginePacket, error) {
	if binary {
		return enginePacket{kind: kindMessage, data: data, binary: true}, nil
	}
	if len(data) == 0 {
		return enginePacket{}, errPacketEmpty
	}
	if data[0] == 'b' {
		return enginePacket{kind: kindMessage, data: decodeBase64(data[1:]), binary: true}, nil
	}
	return textPacket(data)
}

// parsePacket3 decodes one packet of protocol 3. There a binary packet has its kind in the first byte,
// as a number, and base64 is written as b, the kind's digit and the text.
//
// Node passes binary packets of other kinds than message on with a Buffer as data, and ignores those of
// a kind that does not exist. Here the former lose their data, which nothing reads, and the latter are
// an error.
func parsePacket3(data []byte, binary bool) (enginePacket, error) {
	if len(data) == 0 {
		return enginePacket{}, errPacketEmpty
	}
	if binary {
		return binaryPacket3(kind(data[0])+kindOpen, data[1:])
	}
	if data[0] == 'b' {
		if len(data) < 2 {
			return enginePacket{}, errPacketKind
		}
		return binaryPacket3(kind(data[1]), decodeBase64(data[2:]))
	}
	return textPacket(data)
}

func textPacket(data []byte) (enginePacket, error) {
	k := kind(data[0])
	if k < kindOpen || k > kindNoop {
		return enginePacket{}, errPacketKind
	}
	return enginePacket{kind: k, data: data[1:]}, nil
}

func binaryPacket3(k kind, data []byte) (enginePacket, error) {
	switch {
	case k < kindOpen || k > kindNoop:
		return enginePacket{}, errPacketKind
	case k == kindMessage:
		return enginePacket{kind: k, data: data, binary: true}, nil
	}
	return enginePacket{kind: k}, nil
}

// decodeBase64 decodes b in place and returns the decoded part. It reads what Node's Buffer.from reads:
// the standard and the URL alphabet, padded or not, up to the first "=", passing over what is neither;
// so it has no error. The clients in use differ in padding and line breaks.
func decodeBase64(b []byte) []byte {
	n, bits, acc := 0, 0, uint32(0)
	for _, c := range b {
		switch {
		case 'A' <= c && c <= 'Z':
			c -= 'A'
		case 'a' <= c && c <= 'z':
			c -= 'a' - 26
		case '0' <= c && c <= '9':
			c += 52 - '0'
		case c == '+' || c == '-':
			c = 62
		case c == '/' || c == '_':
			c = 63
		case c == '=':
			return b[:n]
		default:
			continue
		}
		acc = acc<<6 | uint32(c)
		if bits += 6; bits >= 8 {
			bits -= 8
			// n grows by three for four characters read, so it never reaches the one being read.
			b[n] = byte(acc >> bits)
			n++
		}
	}
	return b[:n]
}
