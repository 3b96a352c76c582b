package packet

import (
	"bytes"
	"errors"
	"strconv"
)

// ErrNamespace means that a MessagePack packet names no namespace.
var ErrNamespace = errors.New("invalid namespace")

// msgpack is the form of socket.io-msgpack-parser 3: every packet is one binary message, a map with
// the members type, data, nsp and id, in which binaries stand where they belong.
type msgpack struct{}

// MsgPack returns the parser of socket.io-msgpack-parser. Both ends have to use it.
//
// It refuses the events that Text refuses, which Node's does not, and takes nil for absent data, and an
// acknowledgement without data, as Text does.
func MsgPack() Parser { return msgpack{} }

// Encode appends the one message of p. The payload must be valid JSON: nothing is sent otherwise.
func (msgpack) Encode(dst []Message, buf []byte, p *Packet) []Message {
	start := len(buf)
	t, members := p.Type, byte(2)
	if t == BinaryEvent || t == BinaryAck {
		t -= BinaryEvent - Event
	}
	if p.Data != nil {
		members++
	}
	if p.HasID {
		members++
	}
	buf = append(buf, 0x80|members)
	buf = appendMsgpackString(buf, "type")
	buf = append(buf, byte(t))
	if p.Data != nil {
		buf = appendMsgpackString(buf, "data")
		attachments := p.Attachments
		if !p.Type.carries() {
			attachments = nil
		}
		var err error
		if buf, err = AppendMsgpack(buf, p.Data, attachments); err != nil {
			return dst
		}
	}
	if p.HasID {
		buf = appendMsgpackString(buf, "id")
		buf = appendMsgpackUint(buf, p.ID)
	}
	buf = appendMsgpackString(buf, "nsp")
	name := p.Namespace
	if name == "" {
		name = "/"
	}
	buf = appendMsgpackString(buf, name)
	return append(dst, Message{Data: buf[start:len(buf):len(buf)], Binary: true})
}

// NewDecoder returns a decoder of the MessagePack form. The default of lim.MaxAttachments is 1024.
func (msgpack) NewDecoder(lim Limits) Decoder { return &msgpackDecoder{lim: lim} }

type msgpackDecoder struct{ lim Limits }

// Pending reports false: no packet has a second message.
func (d *msgpackDecoder) Pending() bool { return false }

func (d *msgpackDecoder) Add(m Message) (*Packet, error) {
	b := m.Data
	if !m.Binary || len(b) == 0 {
		return nil, ErrPayload
	}
	var n uint64
	switch c := b[0]; {
	case c&0xf0 == 0x80:
		n, b = uint64(c&15), b[1:]
	case c == 0xde && len(b) >= 3:
		n, b = uint64(b[1])<<8|uint64(b[2]), b[3:]
	default:
		return nil, ErrPayload
	}
	// One buffer for all members: what a member takes is in proportion to it, not to what follows it.
	r := msgpackReader{b: b, lim: d.lim.orDefaults(defaultMsgpackAttachments, maxDepth), out: make([]byte, 0, jsonSize(len(b)))}
	var f fields
	for range n {
		if err := f.read(&r); err != nil {
			return nil, err
		}
	}
	if len(r.b) > 0 {
		return nil, ErrPayload
	}
	return f.packet()
}

// fields are the members of a packet as JSON texts; nil means absent.
type fields struct {
	kind, nsp, id, data []byte
	attachments         [][]byte
}

// read reads one member.
func (f *fields) read(r *msgpackReader) error {
	begin := len(r.out)
	if err := r.key(); err != nil {
		return err
	}
	name := string(r.out[begin:min(len(r.out), begin+len(`"type"`)+1)])
	r.out = r.out[:begin]
	if r.undefined() {
		return nil
	}
	value, attachments, err := r.whole()
	if err != nil {
		return err
	}
	switch name {
	case `"type"`:
		f.kind = value
	case `"nsp"`:
		f.nsp = value
	case `"id"`:
		f.id = value
	case `"data"`:
		f.data, f.attachments = value, attachments
	default:
		r.out = r.out[:begin] // nobody wants it
	}
	return nil
}

// packet checks the members and makes the packet of them.
func (f *fields) packet() (*Packet, error) {
	if len(f.kind) != 1 || f.kind[0] < '0' || f.kind[0]-'0' > byte(ConnectError) {
		return nil, ErrUnknownType
	}
	p := &Packet{Type: Type(f.kind[0] - '0')}
	if len(f.nsp) == 0 || f.nsp[0] != '"' {
		return nil, ErrNamespace
	}
	p.Namespace = string(unquote(f.nsp))
	if f.id != nil && string(f.id) != "null" {
		id, err := strconv.ParseUint(string(f.id), 10, 64)
		if err != nil || id > maxID {
			return nil, ErrPayload
		}
		p.ID, p.HasID = id, true
	}
	if f.data == nil || string(f.data) == "null" {
		var err error
		if p.Data, err = absent(p.Type); err != nil {
			return nil, err
		}
		return p, nil
	}
	p.Data = f.data
	for i, a := range f.attachments {
		if i < len(f.attachments)-1 {
			a = bytes.Clone(a)
		}
		p.Attachments = append(p.Attachments, a)
	}
	if len(p.Attachments) > 0 && !p.Type.carries() {
		return nil, ErrPayload
	}
	if err := checkPayload(p.Data, p.Type); err != nil {
		return nil, err
	}
	return p, nil
}
