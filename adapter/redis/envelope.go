package redis

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/beanpole/beanpole/adapter"
)

// The JSON form that messages of sharded and streams have, and parts of it those of pubsub
// (socket.io-adapter/lib/cluster-adapter.ts, ClusterMessage). In MessagePack it is the same object.
// Members that only Beanpole knows, and Node ignores: count, counted, gone, sid, own, piece, more, next, omitted, asked, free, left, answers.

// lenient reads what Node writes: it may hold lone surrogates, and JavaScript takes the last of two members with one name.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// names is a list of rooms. Numbers, which some Node applications use for rooms, become their text.
type names []string

// UnmarshalJSON reads an array; null and anything else give none.
func (n *names) UnmarshalJSON(b []byte) error {
	*n = nil
	if len(b) == 0 || b[0] != '[' {
		return nil
	}
	var list []text
	if err := json.Unmarshal(b, &list, lenient); err != nil {
		return err
	}
	if len(list) > 0 {
		*n = make(names, len(list))
		for i, s := range list {
			(*n)[i] = string(s)
		}
	}
	return nil
}

// truthy is what JavaScript takes for true; null and undefined are tell apart by set.
type truthy struct{ is, set bool }

// UnmarshalJSON reads any value.
func (t *truthy) UnmarshalJSON(b []byte) error {
	s := string(b)
	*t = truthy{is: s != "false" && s != "0" && s != `""` && s != "null", set: s != "null"}
	return nil
}

// number is a number; anything else is zero.
type number float64

// UnmarshalJSON reads any value.
func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f != f || f > 1<<53 || f < -1<<53 {
		f = 0
	}
	*n = number(f)
	return nil
}

// options is BroadcastOptions.
type options struct {
	Rooms  names `json:"rooms"`
	Except names `json:"except"`
	Flags  struct {
		Volatile truthy `json:"volatile"`
		Compress truthy `json:"compress"`
		Timeout  number `json:"timeout"`
	} `json:"flags"`
}

func (o *options) target() adapter.Target {
	return adapter.Target{Rooms: o.Rooms, Except: o.Except, Flags: adapter.Flags{
		Volatile: o.Flags.Volatile.is, NoCompress: o.Flags.Compress.set && !o.Flags.Compress.is,
	}}
}

// envelope is one message of sharded, and of streams where it does not go through the stream.
type envelope struct {
	UID  text           `json:"uid"`
	Nsp  text           `json:"nsp"`
	Type number         `json:"type"`
	Data jsontext.Value `json:"data"`
}

// body is the data of a message.
type body struct {
	Opts        options        `json:"opts"`
	Packet      jsontext.Value `json:"packet"`
	RequestID   text           `json:"requestId"`
	Rooms       names          `json:"rooms"`
	Close       truthy         `json:"close"`
	Sockets     jsontext.Value `json:"sockets"`
	ClientCount number         `json:"clientCount"`
	Count       *number        `json:"count"`
	Counted     truthy         `json:"counted"`
	Gone        truthy         `json:"gone"`
	SID         text           `json:"sid"`
	Own         truthy         `json:"own"`
	Piece       number         `json:"piece"`
	More        truthy         `json:"more"`
	Omitted     number         `json:"omitted"`
	Next        number         `json:"next"`
	Asked       truthy         `json:"asked"`
	Free        number         `json:"free"`
	Left        number         `json:"left"`
	Answers     jsontext.Value `json:"answers"`
}

// event is a Socket.IO packet inside a message.
type event struct {
	Type number         `json:"type"`
	Data jsontext.Value `json:"data"`
	Nsp  *text          `json:"nsp"`
}

// args returns the event's array, if it is one of namespace nsp.
func (e *event) args(nsp string, attachments [][]byte) (adapter.Message, error) {
	if e.Type != 2 && e.Type != 5 || len(e.Data) < 3 || e.Data[0] != '[' {
		return adapter.Message{}, errShape
	}
	if e.Nsp != nil && string(*e.Nsp) != nsp || e.Nsp == nil && nsp != "/" {
		return adapter.Message{}, fmt.Errorf("%w: packet of another namespace", errShape)
	}
	return adapter.Message{Data: e.Data, Attachments: attachments}, nil
}

// parse reads the data of a message whose kind, uid and nsp are known.
func (m *message) parse(data []byte, attachments [][]byte) error {
	var b body
	if err := json.Unmarshal(data, &b, lenient); err != nil {
		return err
	}
	m.target, m.request, m.rooms, m.close = b.Opts.target(), string(b.RequestID), b.Rooms, b.Close.is
	m.timeoutMS, m.count, m.counted = int64(b.Opts.Flags.Timeout), int(b.ClientCount), b.Counted.is
	m.sid, m.own, m.piece, m.more = string(b.SID), b.Own.is, int(b.Piece), b.More.is
	m.free, m.next, m.omitted = freeBytes(b.Free), int(b.Next), max(0, int(b.Omitted))
	m.reminds(b.Asked.is)
	if (m.kind.answers() || m.kind == kindFetch || m.kind == kindTakeOver || m.kind == kindPiece) && m.request == "" {
		return fmt.Errorf("%w: no request id", errShape)
	}
	switch m.kind {
	case kindBroadcast:
		var e event
		if err := json.Unmarshal(b.Packet, &e, lenient); err != nil {
			return err
		}
		if e.Nsp == nil { // sharded takes the namespace of the envelope
			nsp := text(m.nsp)
			e.Nsp = &nsp
		}
		var err error
		m.event, err = e.args(m.nsp, attachments)
		return err
	case kindServerSideEmit:
		if len(b.Packet) < 3 || b.Packet[0] != '[' {
			return errShape
		}
		m.event = adapter.Message{Data: b.Packet, Attachments: attachments}
	case kindAck, kindServerSideEmitResponse:
		m.event, m.gone = answerValue(b.Packet, attachments), b.Gone.is
	case kindFetchResponse:
		if m.counted = b.Count != nil; m.counted {
			m.count = int(*b.Count)
			return nil
		}
		m.described = b.Sockets
	case kindReplies:
		m.event, m.left = adapter.Message{Data: b.Answers, Attachments: attachments}, max(0, int(b.Left))
	}
	return nil
}

// answerValue is the value of an answer; undefined is null.
func answerValue(v []byte, attachments [][]byte) adapter.Message {
	if len(v) == 0 {
		v = []byte("null")
	}
	return adapter.Message{Data: v, Attachments: attachments}
}

// appendEnvelope appends the JSON form of m. Its attachments are those of m.event.
func appendEnvelope(dst []byte, m *message) []byte {
	dst = append(dst, `{"uid":`...)
	dst = appendQuoted(dst, m.uid)
	dst = append(dst, `,"nsp":`...)
	dst = appendQuoted(dst, m.nsp)
	dst = append(dst, `,"type":`...)
	dst = strconv.AppendInt(dst, int64(m.kind), 10)
	dst = append(dst, `,"data":`...)
	dst = appendBody(dst, m)
	return append(dst, '}')
}

// appendBody appends the JSON form of the data of m.
func appendBody(dst []byte, m *message) []byte {
	switch m.kind {
	case kindBroadcast:
		dst = appendOptions(append(dst, `{"opts":`...), m)
		dst = append(dst, `,"packet":`...)
		dst = appendEvent(dst, m)
		dst = appendQuestion(dst, m)
	case kindSocketsJoin, kindSocketsLeave:
		dst = appendOptions(append(dst, `{"opts":`...), m)
		dst = append(dst, `,"rooms":`...)
		dst = appendNames(dst, m.rooms)
		dst = appendAsked(dst, m)
	case kindDisconnect:
		dst = appendOptions(append(dst, `{"opts":`...), m)
		dst = append(dst, `,"close":`...)
		dst = strconv.AppendBool(dst, m.close)
	case kindFetch:
		dst = appendOptions(append(dst, `{"opts":`...), m)
		if m.counted {
			dst = append(dst, `,"counted":true`...)
		}
		dst = appendQuestion(dst, m)
	case kindFetchResponse:
		dst = append(dst, `{"requestId":`...)
		dst = appendQuoted(dst, m.request)
		dst = appendDescribed(append(dst, `,"sockets":`...), m)
		if m.counted {
			dst = append(dst, `,"count":`...)
			dst = strconv.AppendInt(dst, int64(m.count), 10)
		}
		dst = appendPiece(dst, m)
	case kindPiece, kindUnasked:
		dst = append(dst, `{"requestId":`...)
		dst = appendQuoted(dst, m.request)
		dst = appendPiece(dst, m)
	case kindReplies:
		dst = append(dst, `{"requestId":`...)
		dst = appendReplies(appendQuoted(dst, m.request), m)
	case kindServerSideEmit:
		dst = append(dst, `{"packet":`...)
		dst = append(dst, m.event.Data...)
		dst = appendQuestion(dst, m)
	case kindServerSideEmitResponse, kindAck:
		dst = append(dst, `{"requestId":`...)
		dst = appendQuoted(dst, m.request)
		dst = append(dst, `,"packet":`...)
		dst = appendAnswer(dst, m)
	case kindTakeOver:
		dst = appendQuoted(append(dst, `{"sid":`...), m.sid)
		if m.close {
			dst = append(dst, `,"close":true`...)
		}
		dst = appendRequest(dst, m.request)
	case kindClientCount, kindTakeOverResponse:
		dst = append(dst, `{"requestId":`...)
		dst = appendQuoted(dst, m.request)
		dst = append(dst, `,"clientCount":`...)
		dst = strconv.AppendInt(dst, int64(m.count), 10)
	default:
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// appendAnswer appends the value of an answer.
func appendAnswer(dst []byte, m *message) []byte {
	if m.gone {
		return append(dst, `null,"gone":true`...)
	}
	return append(dst, m.event.Data...)
}

func appendRequest(dst []byte, id string) []byte {
	if id == "" {
		return dst
	}
	return appendQuoted(append(dst, `,"requestId":`...), id)
}

// appendReplies appends answers that go together.
func appendReplies(dst []byte, m *message) []byte {
	dst = append(append(dst, `,"answers":`...), m.event.Data...)
	if m.left > 0 {
		dst = appendInt(append(dst, `,"left":`...), int64(m.left))
	}
	return appendPiece(dst, m)
}

// freeBytes is how many bytes of answers may come unasked, as a question says.
func freeBytes(n number) int { return int(max(0, min(n, nextPiece))) }

// appendQuestion appends the id of a question, and where and how its answers are to go.
func appendQuestion(dst []byte, m *message) []byte {
	if m.own && m.request != "" {
		dst = append(dst, `,"own":true`...)
	}
	if m.free > 0 {
		dst = appendInt(append(dst, `,"free":`...), int64(m.free))
	}
	return appendRequest(dst, m.request)
}

// appendAsked appends that m only says which question was asked.
func appendAsked(dst []byte, m *message) []byte {
	if m.asked {
		dst = append(dst, `,"asked":true`...)
	}
	return dst
}

// appendPiece appends which piece m is, or asks for.
func appendPiece(dst []byte, m *message) []byte {
	if m.piece != 0 {
		dst = appendInt(append(dst, `,"piece":`...), int64(m.piece))
	}
	if m.more {
		dst = append(dst, `,"more":true`...)
	}
	if m.next > 0 {
		dst = appendInt(append(dst, `,"next":`...), int64(m.next))
	}
	if m.omitted > 0 {
		dst = appendInt(append(dst, `,"omitted":`...), int64(m.omitted))
	}
	return dst
}

// appendEvent appends the packet of an event. Binaries do not change its type: only a client sees
// them apart from the rest.
func appendEvent(dst []byte, m *message) []byte {
	dst = append(dst, `{"type":2,"data":`...)
	dst = append(dst, m.event.Data...)
	dst = append(dst, `,"nsp":`...)
	dst = appendQuoted(dst, m.nsp)
	return append(dst, '}')
}

// appendOptions appends BroadcastOptions. Node needs rooms and except even when they are empty.
func appendOptions(dst []byte, m *message) []byte {
	dst = append(dst, `{"rooms":`...)
	dst = appendNames(dst, m.target.Rooms)
	dst = append(dst, `,"except":`...)
	dst = appendNames(dst, m.target.Except)
	dst = append(dst, `,"flags":{`...)
	if m.target.Volatile {
		dst = append(dst, `"volatile":true`...)
	}
	if m.target.NoCompress {
		dst = append(comma(dst), `"compress":false`...)
	}
	if m.timeoutMS > 0 {
		dst = append(comma(dst), `"timeout":`...)
		dst = strconv.AppendInt(dst, m.timeoutMS, 10)
	}
	return append(dst, "}}"...)
}

func comma(dst []byte) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return dst
}

func appendNames(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, s)
	}
	return append(dst, ']')
}

func appendQuoted(dst []byte, s string) []byte {
	b, err := jsontext.AppendQuote(dst, s)
	if err != nil { // bytes that are no UTF-8 were replaced
		return b
	}
	return b
}

// object returns the JSON form of a payload in either form.
func object(payload []byte) (form []byte, attachments [][]byte, err error) {
	if len(payload) == 0 {
		return nil, nil, errShape
	}
	if payload[0] != '{' {
		form, attachments, err = fromMsgpack(payload)
		if err != nil {
			return nil, nil, err
		}
		payload = form
	}
	if payload = bytes.TrimSpace(payload); len(payload) == 0 || payload[0] != '{' {
		return nil, nil, errShape
	}
	return payload, attachments, nil
}
