package redis

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

// What may be emitted, answered, kept of a socket or said by a client comes through whatever is put around it: payloads of
// 1024 levels, which is what package packet lets anybody send, with more binaries than a client may.
func TestEveryValueComesThrough(t *testing.T) {
	t.Parallel()
	deep := []byte(strings.Repeat("[", 1024) + strings.Repeat("]", 1024))
	many := adapter.Message{Data: []byte(`["e"`)}
	for i := range 70_000 {
		many.Data = fmt.Appendf(many.Data, `,{"_placeholder":true,"num":%d}`, i)
		many.Attachments = append(many.Attachments, []byte{1})
	}
	many.Data = append(many.Data, ']')
	long := strings.Repeat("r", 1<<17)
	event := func(data []byte) adapter.Message { return adapter.Message{Data: data} }
	socket := adapter.Details{ID: "a", Data: deep, Handshake: adapter.Handshake{Auth: deep}, Rooms: []string{long}}
	for form, w := range wires(nodeUID) {
		for _, m := range []message{
			{kind: kindBroadcast, event: event(deep)},
			{kind: kindBroadcast, event: many, target: adapter.Target{Rooms: []string{"r", long}}},
			{kind: kindBroadcast, event: event(deep), request: "q"},
			{kind: kindAck, event: event(deep), request: "q"},
			{kind: kindServerSideEmit, event: event(deep)},
			{kind: kindServerSideEmit, event: many},
			{kind: kindServerSideEmitResponse, event: event(deep), request: "q"},
			{kind: kindFetchResponse, described: appendDetails(nil, []adapter.Details{socket}), request: "q"},
			{kind: kindSocketsJoin, rooms: []string{long}},
			{kind: kindSocketsJoin, asked: true, target: adapter.Target{Rooms: []string{"q"}}},
			{kind: kindUnasked, request: "q"},
			{kind: kindReplies, event: together([]adapter.Message{event(deep), event(deep)}), request: "q", left: 2, omitted: 1, more: true, next: 3},
			{kind: kindReplies, event: together([]adapter.Message{event(deep), many}), request: "q"},
			{kind: kindPiece, request: "q", piece: over},
			{kind: kindBroadcast, event: event(deep), request: "q", free: 1000},
			{kind: kindServerSideEmit, event: event(deep), request: "q", free: 1000},
		} {
			m.uid, m.nsp = nodeUID, "/chat"
			to := ""
			if m.kind.answers() || m.kind == kindPiece {
				to = "another"
			}
			c, err := w.encode(&m, to)
			if err != nil {
				t.Fatalf("%s, kind %d: %v", form, m.kind, err)
			}
			var got *message
			if c.xadd != nil {
				got, err = decodeEntry(c.xadd)
			} else {
				c.data = appendNumber(c.data, &serial{n: 7, whole: spot{6, 7}, own: spot{6, 7}}, "")
				got, err = wires("another")[form].decode("/chat", c.key, c.data, member())
			}
			if err != nil || got == nil {
				t.Errorf("%s, kind %d with %d binaries: %v, %v", form, m.kind, len(m.event.Attachments), got != nil, err)
				continue
			}
			if !bytes.Equal(got.event.Data, m.event.Data) || len(got.event.Attachments) != len(m.event.Attachments) {
				t.Errorf("%s, kind %d: it came as another", form, m.kind)
			}
			if got.kind != m.kind || got.asked != m.asked || m.asked && got.request != "q" {
				t.Errorf("%s, kind %d: it came as %d of question %q, only said: %v", form, m.kind, got.kind, got.request, got.asked)
			}
			if got.free != m.free || got.left != m.left || got.omitted != m.omitted || got.more != m.more || got.next != m.next || got.piece != m.piece {
				t.Errorf("%s, kind %d: %+v came as %+v", form, m.kind, m, got)
			}
			if m.kind == kindReplies {
				list, err := apart(got.event)
				if err != nil || len(list) != 2 || !bytes.Equal(list[0].Data, deep) || len(list[1].Attachments) > 0 && !bytes.Equal(list[1].Data, many.Data) {
					t.Errorf("%s: %d answers, %v", form, len(list), err)
				}
			}
			if m.kind == kindFetchResponse {
				list, err := parseDetails(got.described)
				if err != nil || len(list) != 1 || !bytes.Equal(list[0].Data, deep) || !bytes.Equal(list[0].Handshake.Auth, deep) {
					t.Errorf("%s: %d sockets, %v", form, len(list), err)
				}
			}
		}
	}
	s, err := toMsgpack(nil, appendSession(nil, &adapter.Session{SID: "a", PID: "p", Data: deep}, "/chat"), nil)
	if form, _, e := fromMsgpack(s); err != nil || e != nil || !bytes.Contains(form, deep) {
		t.Errorf("session: %v, %v", err, e)
	}
}
