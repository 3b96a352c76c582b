package zishang

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// checkedParser is the library's parser as this package has it: packets are encoded and decoded by
// package packet, which refuses what would crash the library, and are passed through it whole.
type checkedParser struct {
	wire packet.Parser
	log  *slog.Logger
}

var _ parser.Parser = checkedParser{}

// NewEncoder returns the encoder.
func (p checkedParser) NewEncoder() parser.Encoder { return p }

// NewDecoder returns a decoder that only passes on: sessions decode before the library is asked.
func (p checkedParser) NewDecoder() parser.Decoder { return passingDecoder{newEmitter(unprotected)} }

// encoded is a packet on its way through the library to session.Write: all its messages in one, so that
// attachments cannot be separated from what announces them.
type encoded struct {
	types.BufferInterface // the first message, for who looks into it
	typ                   parser.PacketType
	namespace             string
	messages              []transport.Message
}

// Clone returns the same packet, which nobody changes: the library clones for every receiver.
func (e *encoded) Clone() types.BufferInterface { return e }

// Encode encodes p, which stays as it is. A packet that has no JSON form is logged and not sent.
func (p checkedParser) Encode(from *parser.Packet) []types.BufferInterface {
	to, err := encode(from)
	if err != nil {
		p.log.Error("packet not encoded", "namespace", from.Nsp, "type", from.Type.String(), "err", err)
		return nil
	}
	messages := messages(nil, p.wire.Encode(nil, nil, to))
	return []types.BufferInterface{&encoded{
		BufferInterface: types.NewStringBuffer(messages[0].Data),
		typ:             from.Type, namespace: from.Nsp, messages: messages,
	}}
}

// encode turns the library's packet into one of package packet.
func encode(p *parser.Packet) (*packet.Packet, error) {
	out := &packet.Packet{Namespace: p.Nsp}
	if p.Id != nil {
		out.ID, out.HasID = *p.Id, true
	}
	var err error
	switch p.Type {
	case parser.EVENT, parser.BINARY_EVENT:
		out.Type = packet.Event
		out.Data, out.Attachments, err = encodeEvent(p.Data)
	case parser.ACK, parser.BINARY_ACK:
		out.Type = packet.Ack
		args, _ := p.Data.([]any)
		out.Data, out.Attachments, err = packet.AppendArgs(nil, nil, plainList(args))
	case parser.DISCONNECT:
		out.Type = packet.Disconnect
	default:
		out.Type = packet.Connect
		data := p.Data
		if p.Type == parser.CONNECT_ERROR {
			out.Type = packet.ConnectError
			data = withoutNoData(data)
		}
		if data != nil {
			out.Data, _, err = packet.AppendValue(nil, nil, plain(data))
			if err != nil && out.Type == packet.ConnectError {
				out.Data, err = []byte(`{"message":"refused"}`), nil // the client must be told something
			}
		}
	}
	return out, err
}

// encodeEvent encodes the payload of an event, whose first element is its name.
func encodeEvent(data any) ([]byte, [][]byte, error) {
	args, ok := data.([]any)
	if !ok || len(args) == 0 {
		return nil, nil, errors.New("event without a name")
	}
	name, ok := args[0].(string)
	if !ok {
		return nil, nil, errors.New("name of an event is no text")
	}
	return packet.AppendEvent(nil, nil, name, plainList(args[1:]))
}

// withoutNoData drops the member data of a refusal that has none, as JSON.stringify does.
func withoutNoData(data any) any {
	m, ok := data.(map[string]any)
	if !ok || m["data"] != nil {
		return data
	}
	return map[string]any{"message": m["message"]}
}

// plainList is plain for every element. It returns args itself when there is nothing to replace.
func plainList(args []any) []any {
	out, _ := replaceList(args)
	return out
}

// plain replaces the readers and buffers that the library allows as values by texts and bytes, in a copy.
// Buffers are not emptied, so that they can be sent again.
func plain(v any) any {
	out, _ := replace(v)
	return out
}

// replace is plain, and reports whether it replaced anything.
func replace(v any) (any, bool) {
	switch v := v.(type) {
	case *types.StringBuffer:
		return v.String(), true
	case *strings.Reader:
		b, err := io.ReadAll(v)
		return string(b), err == nil
	case types.BufferInterface:
		return append([]byte{}, v.Bytes()...), true
	case io.Reader:
		if c, ok := v.(io.Closer); ok {
			defer c.Close()
		}
		b, err := io.ReadAll(v)
		return b, err == nil
	case []any:
		return replaceList(v)
	case map[string]any:
		return replaceMap(v)
	}
	return v, false
}

func replaceList(v []any) ([]any, bool) {
	out := v
	changed := false
	for i, e := range v {
		p, ok := replace(e)
		if !ok {
			continue
		}
		if !changed {
			out, changed = slices.Clone(v), true
		}
		out[i] = p
	}
	return out, changed
}

func replaceMap(v map[string]any) (map[string]any, bool) {
	out := v
	changed := false
	for k, e := range v {
		p, ok := replace(e)
		if !ok {
			continue
		}
		if !changed {
			out, changed = maps.Clone(v), true
		}
		out[k] = p
	}
	return out, changed
}

// passingDecoder is what the library takes for the decoder of a session.
type passingDecoder struct{ *emitter }

var _ parser.Decoder = passingDecoder{}

// Add hands a packet to the library. Anything else comes from an engine that is not this package's.
func (d passingDecoder) Add(data any) error {
	p, ok := data.(*parser.Packet)
	if !ok {
		return errors.New("zishang: serve the Handler that New returned, not Server.ServeHandler or Attach")
	}
	d.Emit("decoded", p)
	return nil
}

// Destroy does nothing.
func (passingDecoder) Destroy() {}
