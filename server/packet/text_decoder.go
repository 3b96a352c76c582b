package packet

import (
	"bytes"
)

const (
	defaultAttachments     = 10
	defaultAttachmentBytes = 10_000_000
	// maxID is the largest acknowledgement id: beyond it JavaScript's integers are not exact.
	maxID = 1 << 53
)

// orDefaults fills in the zero values, with n for the number of attachments, and allows depth levels at most.
func (l Limits) orDefaults(n, depth int) Limits {
	if l.MaxAttachments <= 0 {
		l.MaxAttachments = n
	}
	if l.MaxAttachmentBytes <= 0 {
		l.MaxAttachmentBytes = defaultAttachmentBytes
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = defaultDepth
	}
	l.MaxDepth = min(l.MaxDepth, depth)
	return l
}

type textDecoder struct {
	lim    Limits
	packet Packet  // the last packet without attachments
	open   *Packet // waits for attachments
	want   int     // attachments that are missing from open
	bytes  int     // sum of those that are there
}

// NewDecoder returns a decoder of the text form.
func (text) NewDecoder(lim Limits) Decoder {
	return &textDecoder{lim: lim.orDefaults(defaultAttachments, maxDepth)}
}

func (d *textDecoder) Pending() bool { return d.open != nil }

func (d *textDecoder) Add(m Message) (*Packet, error) {
	if m.Binary {
		return d.attach(m.Data)
	}
	if d.open != nil {
		d.drop()
		return nil, ErrPlaintext
	}
	// The transport has checked a WebSocket message. In a polling payload Node reads invalid bytes as
	// U+FFFD, and from here on all text is valid.
	data := validText(m.Data)
	p := &d.packet
	want, err := d.decode(p, data)
	if err != nil {
		d.drop()
		return nil, err
	}
	if want == 0 {
		return p, nil
	}
	// The text message must be copied, for it does not outlive this call. The packet is not reused:
	// a decoder that waits for its next packet should not hold this one's attachments.
	d.open = &Packet{
		Type: p.Type, Namespace: p.Namespace, ID: p.ID, HasID: p.HasID,
		Data: bytes.Clone(p.Data), Attachments: make([][]byte, 0, min(want, defaultAttachments)),
	}
	p.Data = nil
	d.want = want
	return nil, nil
}

// drop forgets everything but the namespace's name.
func (d *textDecoder) drop() {
	d.packet = Packet{Namespace: d.packet.Namespace}
	d.open, d.want, d.bytes = nil, 0, 0
}

// attach adds an attachment to the open packet and returns the packet when it was the last.
func (d *textDecoder) attach(data []byte) (*Packet, error) {
	if d.open == nil {
		return nil, ErrBinary
	}
	if data == nil {
		data = []byte{} // an empty binary, not an absent one
	}
	d.bytes += len(data)
	if d.bytes > d.lim.MaxAttachmentBytes {
		d.drop()
		return nil, ErrAttachmentBytes
	}
	d.want--
	p := d.open
	if d.want > 0 {
		p.Attachments = append(p.Attachments, bytes.Clone(data))
		return nil, nil
	}
	p.Attachments = append(p.Attachments, data[:len(data):len(data)])
	d.drop()
	return p, nil
}

// decode reads the text message b into p and returns the number of attachments that follow. It goes
// through the parts in the order of the wire: type, attachments, namespace, id, payload. Protocol:
// Packet encoding.
func (d *textDecoder) decode(p *Packet, b []byte) (want int, err error) {
	if len(b) == 0 || b[0] < '0' || b[0]-'0' > byte(BinaryAck) {
		return 0, ErrUnknownType
	}
	p.Type = Type(b[0] - '0')
	p.ID, p.HasID, p.Data = 0, false, nil
	i := 1
	binary := p.Type == BinaryEvent || p.Type == BinaryAck
	if binary {
		if want, i, err = count(b, i, d.lim.MaxAttachments); err != nil {
			return 0, err
		}
		p.Type -= BinaryEvent - Event
	}
	i = p.readNamespace(b, i)
	if i, err = p.readID(b, i); err != nil {
		return 0, err
	}
	if p.Data, err = payload(b[i:], p.Type, d.lim.MaxDepth); err != nil {
		return 0, err
	}
	if want > 0 {
		if err = checkPlaceholders(p.Data, want); err != nil {
			return 0, err
		}
	}
	return want, nil
}

// count reads the number of attachments and its hyphen.
func count(b []byte, i, limit int) (n, end int, err error) {
	first := i
	many := false
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		if n = n*10 + int(b[i]-'0'); n > limit {
			n, many = limit, true
		}
	}
	if i == first || i >= len(b) || b[i] != '-' {
		return 0, 0, ErrIllegalAttachments
	}
	if many {
		return 0, 0, ErrTooManyAttachments
	}
	return n, i + 1, nil
}

// readNamespace reads the namespace, up to a comma or the end. A query string that Socket.IO v2
// clients put behind the name stays in it.
func (p *Packet) readNamespace(b []byte, i int) int {
	if i >= len(b) || b[i] != '/' {
		p.Namespace = "/"
		return i
	}
	name, next := b[i:], len(b)
	if n := bytes.IndexByte(name, ','); n >= 0 {
		name, next = name[:n], i+n+1
	}
	if p.Namespace != string(name) { // most packets are for the namespace of the last one
		p.Namespace = string(name)
	}
	return next
}

func (p *Packet) readID(b []byte, i int) (int, error) {
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		p.HasID = true
		p.ID = p.ID*10 + uint64(b[i]-'0')
		if p.ID > maxID {
			return 0, ErrPayload
		}
	}
	return i, nil
}

// payload checks what a packet of type t has behind its header and returns it without white space
// around it, or what absent makes of nothing.
func payload(b []byte, t Type, depth int) ([]byte, error) {
	if len(b) == 0 {
		return absent(t)
	}
	first := space(b, 0)
	end, err := scan(b, first, depth)
	if err != nil {
		return nil, err
	}
	if space(b, end) != len(b) {
		return nil, ErrPayload
	}
	data := b[first:end:end]
	return data, checkPayload(data, t)
}

// absent is the payload of a packet of type t that has none. An event without one, which Node lets through,
// has no name; an acknowledgement without one has no values, as in Node.
func absent(t Type) ([]byte, error) {
	switch t {
	case Event:
		return nil, ErrPayload
	case Ack:
		return []byte("[]"), nil
	}
	return nil, nil
}

// checkPayload returns ErrPayload unless data is what packets of type t carry. data is valid JSON.
func checkPayload(data []byte, t Type) error {
	ok := false
	switch c := data[0]; t {
	case Connect:
		ok = c == '{'
	case ConnectError:
		ok = c == '{' || c == '"'
	case Ack:
		ok = c == '['
	case Event:
		if c == '[' {
			name, err := EventName(data)
			ok = err == nil && !Reserved(string(name))
		}
	}
	if !ok {
		return ErrPayload
	}
	return nil
}
