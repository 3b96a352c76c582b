package redis

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
)

// pubsub is the wire form of @socket.io/redis-adapter 8 (lib/index.ts): broadcasts on one channel per
// namespace or room, everything else as requests and responses on two more.
type pubsub struct {
	uid      string
	prefix   string
	mode     Subscriptions
	specific bool // answers go to the channel of the node that asked

	turns   bool        // set before use: patterns may turn out to be refused
	refused atomic.Bool // they have
}

// static reports whether the node listens to all channels of a namespace by a pattern.
func (p *pubsub) static() bool { return p.mode == Static && !p.refused.Load() }

// Among the numbers of responses, and only sent between Beanpole nodes.
const typePiece, typeUnasked, typeReplies = 100, 101, 102

// The numbers of RequestType (lib/index.ts).
var requestTypes = map[kind]int{
	kindSockets: 0, kindAllRooms: 1, kindSocketsJoin: 2, kindSocketsLeave: 3, kindDisconnect: 4, kindFetch: 5,
	kindServerSideEmit: 6, kindBroadcast: 7, kindClientCount: 8, kindAck: 9,
	kindPiece: typePiece, kindUnasked: typeUnasked, kindReplies: typeReplies,
}

var requestKinds = [...]kind{kindSockets, kindAllRooms, kindSocketsJoin, kindSocketsLeave, kindDisconnect, kindFetch, kindServerSideEmit, kindBroadcast}

func (p *pubsub) broadcasts(nsp string) string { return p.prefix + "#" + nsp + "#" }
func (p *pubsub) requests(nsp string) string   { return p.prefix + "-request#" + nsp + "#" }
func (p *pubsub) responses(nsp string) string  { return p.prefix + "-response#" + nsp + "#" }

// own is the channel for answers to one node, which every Beanpole node listens to.
func (p *pubsub) own(nsp, uid string) string { return p.responses(nsp) + uid + "#" }

func (p *pubsub) channels(nsp string) []subscription {
	list := []subscription{
		{subChannel, p.requests(nsp)},
		{subChannel, p.responses(nsp)},
		{subChannel, p.own(nsp, p.uid)},
	}
	if p.static() {
		return append(list, p.pattern(nsp))
	}
	return append(list, subscription{subChannel, p.broadcasts(nsp)})
}

func (p *pubsub) room(nsp, room string, private bool) (subscription, bool) {
	// Other nodes publish on the channel of a socket's own room whatever this node listens to.
	return subscription{subChannel, p.broadcasts(nsp) + room + "#"}, !p.static()
}

func (p *pubsub) lane(nsp, channel string) string {
	switch rest, ok := strings.CutPrefix(channel, p.broadcasts(nsp)); {
	case p.static():
		return wholeLane
	case ok && rest != "":
		return channel
	}
	return mainLane
}

func (p *pubsub) encode(m *message, to string) (*command, error) {
	c := &command{op: opPublish, route: p.broadcasts(m.nsp), nsp: m.nsp, numbered: m.numbered(to), fleeting: m.target.Volatile}
	var err error
	switch {
	case m.kind == kindBroadcast && m.request == "":
		c.key = p.broadcasts(m.nsp)
		if room, ok := m.room(); ok {
			c.key += room + "#"
			c.lane = c.key
		}
		c.data, err = appendBroadcast(make([]byte, 0, len(m.event.Data)+128), m)
		return c, err
	case to == "":
		c.key = p.requests(m.nsp)
	case m.own, p.specific && m.kind != kindServerSideEmitResponse:
		c.key = p.own(m.nsp, to)
	default:
		c.key = p.responses(m.nsp)
	}
	c.data = p.appendForm(make([]byte, 0, len(m.event.Data)+256), m)
	// These two are always MessagePack; the others when there are binaries, which every version of
	// Node's adapter reads as well.
	if m.kind == kindBroadcast || m.kind == kindAck || len(m.event.Attachments) > 0 {
		c.data, err = toMsgpack(make([]byte, 0, len(c.data)), c.data, m.event.Attachments)
	}
	return c, err
}

// appendBroadcast appends the array [uid, packet, opts] in MessagePack.
func appendBroadcast(dst []byte, m *message) ([]byte, error) {
	dst = appendString(append(dst, 0x93), m.uid)
	dst = appendString(append(dst, 0x83), "type")
	dst = appendString(append(dst, 2), "data")
	dst, err := packet.AppendMsgpack(dst, m.event.Data, m.event.Attachments)
	if err != nil {
		return nil, err
	}
	dst = appendString(dst, "nsp")
	dst = appendString(dst, m.nsp)
	dst = appendString(append(dst, 0x83), "rooms")
	dst = appendStrings(dst, m.target.Rooms)
	dst = appendString(dst, "except")
	dst = appendStrings(dst, m.target.Except)
	dst = appendString(dst, "flags")
	flags := byte(0x80)
	if m.target.Volatile {
		flags++
	}
	if m.target.NoCompress {
		flags++
	}
	dst = append(dst, flags)
	if m.target.Volatile {
		dst = append(appendString(dst, "volatile"), 0xc3)
	}
	if m.target.NoCompress {
		dst = append(appendString(dst, "compress"), 0xc2)
	}
	return dst, nil
}

// appendForm appends the JSON form of a request or a response.
func (p *pubsub) appendForm(dst []byte, m *message) []byte {
	dst = append(dst, `{"uid":`...)
	dst = appendQuoted(dst, m.uid)
	if m.kind.answers() || m.kind == kindPiece {
		dst = appendRequest(dst, m.request)
	} else {
		dst = appendQuestion(dst, m)
	}
	if t, ok := requestTypes[m.kind]; ok {
		dst = append(dst, `,"type":`...)
		dst = strconv.AppendInt(dst, int64(t), 10)
	}
	switch m.kind {
	case kindBroadcast:
		dst = appendEvent(append(dst, `,"packet":`...), m)
		dst = appendOptions(append(dst, `,"opts":`...), m)
	case kindSocketsJoin, kindSocketsLeave:
		dst = appendOptions(append(dst, `,"opts":`...), m)
		dst = appendNames(append(dst, `,"rooms":`...), m.rooms)
		dst = appendAsked(dst, m)
	case kindDisconnect:
		dst = appendOptions(append(dst, `,"opts":`...), m)
		dst = appendBool(append(dst, `,"close":`...), m.close)
	case kindFetch:
		dst = appendOptions(append(dst, `,"opts":`...), m)
		if m.counted {
			dst = append(dst, `,"counted":true`...)
		}
	case kindFetchResponse:
		dst = appendDescribed(append(dst, `,"sockets":`...), m)
		if m.counted {
			dst = appendInt(append(dst, `,"count":`...), int64(m.count))
		}
		dst = appendPiece(dst, m)
	case kindPiece:
		dst = appendPiece(dst, m)
	case kindReplies:
		dst = appendReplies(dst, m)
	case kindServerSideEmit:
		dst = append(append(dst, `,"data":`...), m.event.Data...)
	case kindServerSideEmitResponse:
		dst = append(dst, `,"type":6,"data":`...)
		dst = append(dst, m.event.Data...)
	case kindClientCount:
		dst = appendInt(append(dst, `,"clientCount":`...), int64(m.count))
	case kindAck:
		dst = appendAnswer(append(dst, `,"packet":`...), m)
	case kindRoomsResponse:
		dst = appendNames(append(dst, `,"rooms":`...), m.rooms)
	case kindSocketsResponse:
		dst = appendNames(append(dst, `,"sockets":`...), m.rooms)
	}
	return append(dst, '}')
}

func (p *pubsub) decode(nsp, channel string, payload []byte, l *adapter.Local) (*message, error) {
	if rest, ok := strings.CutPrefix(channel, p.broadcasts(nsp)); ok {
		if rest != "" && !l.Has(rest[:len(rest)-1]) { // the name of a room, which has a # behind it
			return nil, nil
		}
		return p.broadcast(nsp, payload, l)
	}
	form, attachments, err := object(payload)
	if err != nil {
		return nil, err
	}
	switch {
	case channel == p.requests(nsp):
		return p.request(nsp, form, attachments)
	case strings.HasPrefix(channel, p.responses(nsp)):
		return p.response(nsp, form, attachments)
	}
	return nil, fmt.Errorf("%w: unexpected channel", errShape)
}

// broadcast reads the array [uid, packet, opts]. The event is decoded only when it has a recipient.
func (p *pubsub) broadcast(nsp string, payload []byte, l *adapter.Local) (*message, error) {
	w := walker{b: payload}
	if w.array() < 3 {
		return nil, errShape
	}
	uid, ok := w.str()
	if string(uid) == p.uid {
		return nil, nil
	}
	m := &message{kind: kindBroadcast, nsp: nsp}
	if ok {
		m.uid = string(uid)
	}
	raw := w.raw()
	m.target = w.options()
	if w.bad {
		return nil, errShape
	}
	if !anyone(l, m.target) {
		return nil, nil
	}
	var data []byte
	name := "/"
	w = walker{b: raw}
	for range w.object() {
		switch key, _ := w.str(); string(key) {
		case "type":
			if t, ok := w.number(); !ok || t != 2 && t != 5 {
				return nil, errShape
			}
		case "data":
			data = w.raw()
		case "nsp":
			s, ok := w.str()
			if ok {
				name = string(s)
			}
		default:
			w.skip(0)
		}
		if w.bad {
			return nil, errShape
		}
	}
	if name != nsp { // the pattern also matches the channels of a namespace whose name begins like ours
		return nil, nil
	}
	var err error
	m.event.Data, m.event.Attachments, err = fromMsgpack(data)
	if err == nil && (len(m.event.Data) < 3 || m.event.Data[0] != '[') {
		err = errShape
	}
	return m, err
}

// anyone reports whether t may select a member of this node.
func anyone(l *adapter.Local, t adapter.Target) bool {
	for _, r := range t.Rooms {
		if l.Has(r) {
			return true
		}
	}
	return len(t.Rooms) == 0 && l.Len() > 0
}

// wireRequest is one message on the channel of requests.
type wireRequest struct {
	UID       text           `json:"uid"`
	RequestID text           `json:"requestId"`
	Type      *number        `json:"type"`
	Opts      *options       `json:"opts"`
	Rooms     names          `json:"rooms"`
	Close     truthy         `json:"close"`
	Data      jsontext.Value `json:"data"`
	Packet    event          `json:"packet"`
	Counted   truthy         `json:"counted"`
	SID       text           `json:"sid"`
	Own       truthy         `json:"own"`
	Room      text           `json:"room"`
	Asked     truthy         `json:"asked"`
	Free      number         `json:"free"`
}

func (p *pubsub) request(nsp string, form []byte, attachments [][]byte) (*message, error) {
	var r wireRequest
	if err := json.Unmarshal(form, &r, lenient); err != nil {
		return nil, err
	}
	if string(r.UID) == p.uid {
		return nil, nil
	}
	if r.Type == nil || *r.Type < 0 || int(*r.Type) >= len(requestKinds) {
		return nil, errShape
	}
	m := &message{kind: requestKinds[int(*r.Type)], uid: string(r.UID), nsp: nsp, request: string(r.RequestID),
		rooms: r.Rooms, close: r.Close.is, counted: r.Counted.is, sid: string(r.SID), own: r.Own.is, free: freeBytes(r.Free)}
	if r.Opts != nil {
		m.target, m.timeoutMS = r.Opts.target(), int64(r.Opts.Flags.Timeout)
		m.reminds(r.Asked.is)
	}
	switch m.kind {
	case kindSocketsJoin, kindSocketsLeave, kindDisconnect:
		if r.Opts == nil {
			if m.sid == "" {
				return nil, errShape
			}
			m.legacy, m.kind, m.rooms = m.kind, kindLegacyOne, []string{string(r.Room)}
		}
	case kindFetch, kindAllRooms, kindSockets:
		if m.request == "" || m.kind == kindFetch && r.Opts == nil {
			return nil, errShape
		}
	case kindServerSideEmit:
		if len(r.Data) < 3 || r.Data[0] != '[' {
			return nil, errShape
		}
		m.event = adapter.Message{Data: r.Data, Attachments: attachments}
	case kindBroadcast:
		if m.request == "" || r.Opts == nil {
			return nil, errShape
		}
		var err error
		if m.event, err = r.Packet.args(nsp, attachments); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// wireResponse is one message on the channels of responses.
type wireResponse struct {
	UID         text           `json:"uid"` // from Beanpole nodes only
	RequestID   text           `json:"requestId"`
	Type        *number        `json:"type"`
	Sockets     jsontext.Value `json:"sockets"`
	Data        jsontext.Value `json:"data"`
	Packet      jsontext.Value `json:"packet"`
	ClientCount number         `json:"clientCount"`
	Count       *number        `json:"count"`
	Gone        truthy         `json:"gone"`
	Piece       number         `json:"piece"`
	More        truthy         `json:"more"`
	Omitted     number         `json:"omitted"`
	Next        number         `json:"next"`
	Left        number         `json:"left"`
	Answers     jsontext.Value `json:"answers"`
}

func (p *pubsub) response(nsp string, form []byte, attachments [][]byte) (*message, error) {
	var r wireResponse
	if err := json.Unmarshal(form, &r, lenient); err != nil {
		return nil, err
	}
	if r.RequestID == "" {
		return nil, errShape
	}
	m := &message{uid: string(r.UID), nsp: nsp, request: string(r.RequestID), piece: int(r.Piece), more: r.More.is,
		omitted: max(0, int(r.Omitted)), next: int(r.Next)}
	switch {
	case r.Type == nil && len(r.Sockets) > 0 && r.Sockets[0] == '[':
		m.kind = kindFetchResponse
		if m.counted = r.Count != nil; m.counted {
			m.count = int(*r.Count)
			return m, nil
		}
		m.described = r.Sockets
	case r.Type == nil:
		return nil, nil // of requests this node never makes
	case *r.Type == 6:
		m.kind, m.event = kindServerSideEmitResponse, answerValue(r.Data, attachments)
	case *r.Type == 8:
		m.kind, m.count = kindClientCount, int(r.ClientCount)
	case *r.Type == 9:
		m.kind, m.event, m.gone = kindAck, answerValue(r.Packet, attachments), r.Gone.is
	case *r.Type == typePiece:
		m.kind, m.own = kindPiece, true
	case *r.Type == typeUnasked:
		m.kind = kindUnasked
	case *r.Type == typeReplies:
		m.kind, m.left = kindReplies, max(0, int(r.Left))
		m.event = adapter.Message{Data: r.Answers, Attachments: attachments}
	default:
		return nil, errShape
	}
	return m, nil
}
