package transport

import (
	"encoding/base64"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// Prepared is a group of messages encoded at most once for each form of the wire. Safe for concurrent
// use; the data given to Prepare must not change afterwards.
type Prepared struct {
	// Set by Prepare, then read only.
	msgs   []Message
	size   int // of the data and a byte for each message
	binary bool

	// Encoded when first asked for. Two goroutines may both do it; one result stays.
	frames   [formCount]atomic.Pointer[[]byte]
	payloads [payloadCount]atomic.Pointer[[]byte]
	deflated [formCount]atomic.Pointer[deflatedFrames]
	alone    atomic.Pointer[batch] // the batch that begins with this
}

// deflatedFrames are frames of which those at least threshold long are compressed.
type deflatedFrames struct {
	threshold int
	b         []byte
}

// A form is a way to write messages as WebSocket frames.
type form uint8

const (
	form4     form = iota // protocol 4
	form3                 // protocol 3
	form3Text             // protocol 3, for a client that takes no binary
	formCount
)

// A payloadForm is a way to write messages in a polling body.
type payloadForm uint8

const (
	payload4 payloadForm = iota
	payload3Text
	payload3Binary
	payloadCount
)

// Prepare readies msgs to be sent, adjacent, to many sessions.
func Prepare(msgs ...Message) *Prepared {
	p := &Prepared{msgs: msgs}
	for _, m := range msgs {
		p.size += 1 + len(m.Data)
		p.binary = p.binary || m.Binary
	}
	return p
}

// Size returns the bytes of the messages, and one more for each.
func (p *Prepared) Size() int { return p.size }

// frame returns the messages as frames of the form; threshold, if positive, is the size from which
// messages are deflated.
func (p *Prepared) frame(f form, threshold int) []byte {
	if threshold > 0 && p.size > threshold {
		if d := p.deflated[f].Load(); d != nil && d.threshold == threshold {
			return d.b
		}
		d := &deflatedFrames{threshold: threshold, b: appendMessages(nil, f, threshold, p.msgs)}
		p.deflated[f].Store(d)
		return d.b
	}
	if b := p.frames[f].Load(); b != nil {
		return *b
	}
	b := appendMessages(make([]byte, 0, p.size+10*len(p.msgs)), f, 0, p.msgs)
	p.frames[f].Store(&b)
	return b
}

// appendTo appends the messages to a polling payload.
func (p *Prepared) appendTo(dst []byte, f payloadForm, first bool) []byte {
	if f == payload4 && !first {
		dst = append(dst, separator)
	}
	if b := p.payloads[f].Load(); b != nil {
		return append(dst, *b...)
	}
	b := make([]byte, 0, p.size+8*len(p.msgs))
	for i, m := range p.msgs {
		b = appendPayload(b, f, enginePacket{kind: kindMessage, data: m.Data, binary: m.Binary}, i == 0)
	}
	p.payloads[f].Store(&b)
	return append(dst, b...)
}

func appendPayload(dst []byte, f payloadForm, p enginePacket, first bool) []byte {
	if f == payload4 {
		return appendPayload4(dst, p, first)
	}
	return appendPayload3(dst, p, f == payload3Binary)
}

// appendMessages appends the frames of msgs. See frame for threshold.
func appendMessages(dst []byte, f form, threshold int, msgs []Message) []byte {
	for _, m := range msgs {
		dst = appendPacketFrame(dst, f, threshold, enginePacket{kind: kindMessage, data: m.Data, binary: m.Binary})
	}
	return dst
}

// appendPacketFrame appends the frame of p. Protocol: WebSocket, Packet encoding.
func appendPacketFrame(dst []byte, f form, threshold int, p enginePacket) []byte {
	if threshold > 0 && len(p.data) >= threshold {
		// Apart, since there the parts escape to the heap.
		return appendDeflatedPacket(dst, f, p)
	}
	op, head, n := packetHead(f, p)
	if p.binary && f == form3Text {
		return appendFrame(dst, op, head[:n], base64.StdEncoding.AppendEncode(nil, p.data))
	}
	return appendFrame(dst, op, head[:n], p.data)
}

func appendDeflatedPacket(dst []byte, f form, p enginePacket) []byte {
	op, head, n := packetHead(f, p)
	if p.binary && f == form3Text {
		return appendDeflatedFrame(dst, op, head[:n], base64.StdEncoding.AppendEncode(nil, p.data))
	}
	return appendDeflatedFrame(dst, op, head[:n], p.data)
}

// packetHead returns what stands before the data of p: the first n bytes of head.
func packetHead(f form, p enginePacket) (op ws.OpCode, head [2]byte, n int) {
	switch {
	case !p.binary:
		return ws.OpText, [2]byte{byte(p.kind)}, 1
	case f == form4:
		return ws.OpBinary, head, 0
	case f == form3:
		return ws.OpBinary, [2]byte{byte(p.kind) - '0'}, 1
	default:
		return ws.OpText, [2]byte{'b', byte(p.kind)}, 2
	}
}
