package packet

import "strconv"

// text is the text form: one text message, then one binary message per attachment. Protocol: Packet
// encoding.
type text struct{}

// Text returns the default parser, that of socket.io-parser. It also reads and writes the packets of
// Socket.IO v2 (protocol 4), where CONNECT has no payload and ERROR, of type 4, has a JSON string.
func Text() Parser { return text{} }

// Encode appends the text message of p and its attachments. It allocates nothing beyond dst and buf.
func (text) Encode(dst []Message, buf []byte, p *Packet) []Message {
	start := len(buf)
	buf = AppendText(buf, p)
	dst = append(dst, Message{Data: buf[start:len(buf):len(buf)]})
	if !p.Type.carries() {
		return dst
	}
	for _, a := range p.Attachments {
		dst = append(dst, Message{Data: a, Binary: true})
	}
	return dst
}

// carries reports whether packets of type t can have attachments.
func (t Type) carries() bool {
	return t == Event || t == Ack || t == BinaryEvent || t == BinaryAck
}

// AppendText appends the text message of p to dst; its attachments have to follow as binary messages.
// An Event or Ack with attachments is written as BinaryEvent or BinaryAck.
func AppendText(dst []byte, p *Packet) []byte {
	t := p.Type
	if len(p.Attachments) > 0 {
		switch t {
		case Event:
			t = BinaryEvent
		case Ack:
			t = BinaryAck
		}
	}
	dst = append(dst, '0'+byte(t))
	if t == BinaryEvent || t == BinaryAck {
		dst = strconv.AppendInt(dst, int64(len(p.Attachments)), 10)
		dst = append(dst, '-')
	}
	if p.Namespace != "" && p.Namespace != "/" {
		dst = append(dst, p.Namespace...)
		dst = append(dst, ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return append(dst, p.Data...)
}
