package load

import "encoding/binary"

// The opcodes of WebSocket frames. RFC 6455, section 5.2.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
)

// mask is the masking key of every frame sent. Its bytes differ, so that a server has to do the work.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// appendMasked appends one final masked frame.
func appendMasked(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|126, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, mask[:]...)
	for i, b := range payload {
		dst = append(dst, b^mask[i&3])
	}
	return dst
}

// headerLen is the length of a masked frame's header.
func headerLen(payload int) int {
	switch {
	case payload < 126:
		return 6
	case payload < 1<<16:
		return 8
	default:
		return 14
	}
}

// patch writes the last digits of n over the masked payload of a frame, from byte at on.
func patch(payload []byte, at, digits int, n uint32) {
	for i := at + digits - 1; i >= at; i-- {
		payload[i] = byte('0'+n%10) ^ mask[i&3]
		n /= 10
	}
}

// readFrames takes the whole frames in data and returns how many bytes they are.
func (s *Swarm) readFrames(c *conn, data []byte) int {
	used := 0
	for {
		d := data[used:]
		if len(d) < 2 {
			return used
		}
		n, head := int(d[1]), 2
		switch n {
		case 126:
			if len(d) < 4 {
				return used
			}
			n, head = int(binary.BigEndian.Uint16(d[2:])), 4
		case 127:
			if len(d) < 10 {
				return used
			}
			n, head = int(binary.BigEndian.Uint64(d[2:])), 10
		}
		if len(d) < head+n {
			return used
		}
		if d[0]&0x70 != 0 || d[1]&0x80 != 0 {
			s.fault("frame not expected")
		}
		op, final := d[0]&15, d[0]&0x80 != 0
		switch {
		case final && op != 0:
			s.frame(c, op, d[head:head+n])
		case op != 0:
			c.parts, c.partsOp = append([]byte(nil), d[head:head+n]...), op
		default:
			c.parts = append(c.parts, d[head:head+n]...)
			if final {
				s.frame(c, c.partsOp, c.parts)
				c.parts = nil
			}
		}
		if c.fd < 0 {
			return len(data)
		}
		used += head + n
	}
}

func (s *Swarm) frame(c *conn, op byte, payload []byte) {
	switch op {
	case opText:
		s.packet(c.client, payload)
	case opBinary:
		s.binary(c.client, payload)
	case opPing:
		c.batch = appendMasked(c.batch, 10, payload)
	case opClose:
		c.client.closeSeen = true
		if c.client.state == closing {
			s.lost(c, "")
			return
		}
		c.batch = appendMasked(c.batch, opClose, payload[:min(len(payload), 2)])
	default:
		s.fault("opcode not expected")
	}
}
