package load

import "github.com/beanpole/beanpole/server/packet"

// tap is the parser of a session's client, and sees its packets.
type tap struct {
	packet.Parser
	s *session
}

// Encode notes the id of an event that is emitted right now.
func (t tap) Encode(dst []packet.Message, buf []byte, p *packet.Packet) []packet.Message {
	if p.Type == packet.Event && p.HasID {
		t.s.r.book.encoded(t.s.entry, t.s.sending, p.ID)
	}
	return t.Parser.Encode(dst, buf, p)
}

// NewDecoder is called before each connection is made.
func (t tap) NewDecoder(l packet.Limits) packet.Decoder {
	t.s.r.book.leave(t.s.entry) // whatever there was, and has not been told yet
	return tapped{t.Parser.NewDecoder(l), t.s}
}

type tapped struct {
	packet.Decoder
	s *session
}

// Add notes what has come, before anything that comes behind it.
func (t tapped) Add(m packet.Message) (*packet.Packet, error) {
	p, err := t.Decoder.Add(m)
	if p != nil {
		switch p.Type {
		case packet.Connect:
			t.s.r.book.welcomed(t.s.entry, t.s.room != "")
		case packet.Ack:
			t.s.r.book.acknowledged(t.s.entry, p.ID, p.Data)
		case packet.Event:
			t.s.r.book.heard(t.s.entry, p.Data)
		}
	}
	return p, err
}
