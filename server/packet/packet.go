package packet

import "errors"

// Type is the type of a Socket.IO packet. Protocol: Exchange protocol.
type Type uint8

// The packet types.
const (
	Connect Type = iota
	Disconnect
	Event
	Ack
	ConnectError
	BinaryEvent
	BinaryAck
)

// String returns the protocol's name of t.
func (t Type) String() string {
	names := [...]string{"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"}
	if int(t) < len(names) {
		return names[t]
	}
	return "unknown"
}

// Packet is one Socket.IO packet. A decoded packet never has type BinaryEvent or BinaryAck: it is an
// Event or Ack with Attachments. Encoding chooses the binary type when there are attachments.
type Packet struct {
	Type      Type
	Namespace string // "/" when the wire names none
	ID        uint64 // acknowledgement id, if HasID
	HasID     bool
	// Data is the JSON payload, in which binaries are placeholders; nil means none. Valid JSON.
	Data        []byte
	Attachments [][]byte
}

// Limits bound what a decoder accepts. Zero means the default.
type Limits struct {
	// MaxAttachments is per packet; default 10 as in socket.io-parser, and 1024 for MessagePack, where
	// they are part of the one message.
	MaxAttachments     int
	MaxAttachmentBytes int // sum per packet, default 10 MB
	MaxDepth           int // nesting of JSON, default 512, at most 1024
}

// Errors of decoders. All mean that the client broke the protocol.
var (
	ErrUnknownType        = errors.New("unknown packet type")
	ErrIllegalAttachments = errors.New("illegal attachments")
	ErrTooManyAttachments = errors.New("too many attachments")
	ErrAttachmentBytes    = errors.New("attachments too large")
	ErrPayload            = errors.New("invalid payload")
	ErrDepth              = errors.New("payload nested too deep")
	ErrPlaintext          = errors.New("got plaintext data when reconstructing a packet")
	ErrBinary             = errors.New("got binary data when not reconstructing a packet")
)

// Message is one transport message of an encoded packet.
type Message struct {
	Data   []byte
	Binary bool
}

// Parser is a wire form of packets: Text (the default) or MsgPack.
type Parser interface {
	// NewDecoder returns a decoder. One session uses it for all messages of a packet, others for the
	// packets before and after.
	NewDecoder(Limits) Decoder
	// Encode appends the messages of p, one at least, to dst. The first is built in buf's spare capacity
	// or, if that is too small, in memory of its own, and so belongs to the caller.
	Encode(dst []Message, buf []byte, p *Packet) []Message
}

// Decoder reassembles the packets of one session. Not safe for concurrent use.
type Decoder interface {
	// Add takes one message and returns a packet when one is complete, else nil, nil. The packet's
	// Data and the last attachment may refer to m.Data; everything else is owned by the packet.
	// The returned packet is valid until the next Add; the decoder may hold it until then, so a caller
	// that is done with a large one may clear it.
	Add(m Message) (*Packet, error)
	// Pending reports whether a packet waits for attachments.
	Pending() bool
}
