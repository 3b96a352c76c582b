package redis

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/beanpole/beanpole/adapter"
)

// streams is the wire form of @socket.io/redis-streams-adapter 0.3 (lib/adapter.ts): what changes
// something goes through a stream, questions and answers go over channels.
type streams struct {
	uid      string
	prefix   string
	stream   string
	count    int
	plain    bool
	sharded  bool
	instance string // the name of an emitter, as they all have the uid "emitter"; empty for nodes
}

// seqField is a field of entries that only Beanpole knows: the number of the entry among those of its node in the
// stream, in base 36, a dot, for an emitter its name, and a dot and 1: older nodes have one number for all their
// streams, and no second dot. With it a node finds out what became of an entry whose answer was lost, and others drop
// an entry that came twice.
const seqField = "bp"

// entry is one entry of a stream.
type entry struct {
	uid, nsp string
	kind     kind
	data     string
	seq      uint64
	instance string
	dense    bool // seq rises by one in the stream
}

// args returns the XADD command of e.
func (e *entry) args(stream string, maxLen int64) []any {
	args := []any{"xadd", stream, "maxlen", "~", maxLen, "*", "uid", e.uid, "nsp", e.nsp, "type", strconv.Itoa(int(e.kind))}
	if e.data != "" {
		args = append(args, "data", e.data)
	}
	if e.seq > 0 {
		args = append(args, seqField, strconv.FormatUint(e.seq, 36)+"."+e.instance+".1")
	}
	return args
}

// name says what e is, but for its data, as it is sent again.
func (e *entry) name() string { return strconv.Itoa(int(e.kind)) + e.nsp }

// named is the reverse of name.
func named(name string) *entry {
	i := max(0, strings.IndexByte(name, '/'))
	n, _ := strconv.Atoi(name[:i])
	return &entry{kind: kind(n), nsp: name[i:]}
}

// source is who numbers e: a node, or an emitter.
func (e *entry) source() string { return cmp.Or(e.instance, e.uid) }

func (s *streams) main(nsp string) string { return s.prefix + "#" + nsp + "#" }

func (s *streams) sub(channel string) subscription {
	if s.sharded {
		return subscription{subShard, channel}
	}
	return subscription{subChannel, channel}
}

func (s *streams) own(nsp, uid string) string { return s.main(nsp) + uid + "#" }

func (s *streams) channels(nsp string) []subscription {
	return []subscription{s.sub(s.main(nsp)), s.sub(s.own(nsp, s.uid))}
}

func (s *streams) lane(string, string) string { return mainLane }

func (s *streams) room(string, string, bool) (subscription, bool) { return subscription{}, false }

// name returns the stream of a namespace. Nodes read the streams 0 to count-1 only, though the
// number computed for a namespace may be negative: such a namespace would never reach another node.
func (s *streams) name(nsp string) (string, error) {
	if s.count == 1 {
		return s.stream, nil
	}
	n := hashCode(nsp) % int32(s.count)
	if n < 0 {
		return "", fmt.Errorf("redis: no stream for namespace %q among %d: use one stream or another name (a limit of Node's adapter, which Beanpole must share)", nsp, s.count)
	}
	return s.stream + "-" + strconv.Itoa(int(n)), nil
}

// hashCode is Java's hash of the UTF-16 form of s, which Node's adapter uses (lib/util.ts).
func hashCode(s string) int32 {
	h := int32(0)
	for _, r := range s {
		if r >= 1<<16 {
			r -= 1 << 16
			h = h*31 + (0xd800 + r>>10)
			r = 0xdc00 + r&0x3ff
		}
		h = h*31 + r
	}
	return h
}

// ephemeral reports whether m goes over a channel.
func (m *message) ephemeral() bool {
	switch m.kind {
	case kindServerSideEmit, kindFetch, kindTakeOver, kindPiece:
		return true
	}
	return m.kind == kindBroadcast && m.request != "" || m.asked || m.kind.answers()
}

func (s *streams) encode(m *message, to string) (*command, error) {
	if !m.ephemeral() {
		return s.encodeEntry(m)
	}
	c := &command{op: opPublish, key: s.main(m.nsp), nsp: m.nsp, numbered: m.numbered(to), fleeting: m.target.Volatile}
	if s.sharded {
		c.op = opSPublish
	}
	c.route = c.key
	if to != "" {
		c.key = s.own(m.nsp, to)
		if s.sharded {
			c.route = c.key
		}
	}
	form := appendEnvelope(make([]byte, 0, len(m.event.Data)+256), m)
	var err error
	c.data, err = toMsgpack(make([]byte, 0, len(form)), form, m.event.Attachments)
	return c, err
}

func (s *streams) encodeEntry(m *message) (*command, error) {
	name, err := s.name(m.nsp)
	if err != nil {
		return nil, err
	}
	data := appendBody(make([]byte, 0, len(m.event.Data)+128), m)
	if len(m.event.Attachments) > 0 {
		if s.plain {
			return nil, fmt.Errorf("redis: event with binaries, but OnlyPlaintext is set")
		}
		b, err := toMsgpack(nil, data, m.event.Attachments)
		if err != nil {
			return nil, err
		}
		data = base64.StdEncoding.AppendEncode(data[:0], b)
	}
	return &command{op: opXAdd, key: name, route: name, numbered: true, lane: name, fleeting: m.target.Volatile,
		xadd: &entry{uid: m.uid, nsp: m.nsp, kind: m.kind, data: string(data), instance: s.instance}}, nil
}

func (s *streams) decode(nsp, _ string, payload []byte, _ *adapter.Local) (*message, error) {
	if len(payload) == 0 || payload[0] == '{' { // always MessagePack here
		return nil, errShape
	}
	return decodeEnvelope(s.uid, nsp, payload)
}

// decodeEntry reads an entry of a stream.
func decodeEntry(e *entry) (*message, error) {
	m := &message{kind: e.kind, uid: e.uid, nsp: e.nsp}
	switch {
	case m.kind < kindInitialHeartbeat || m.kind > kindClose:
		return nil, errShape
	case m.kind == kindInitialHeartbeat, m.kind == kindHeartbeat, m.kind == kindClose:
		return m, nil // of version 0.2
	case strings.HasPrefix(e.data, "{"):
		return m, m.parse([]byte(e.data), nil)
	}
	b, err := base64.StdEncoding.DecodeString(e.data)
	if err != nil {
		return nil, errShape
	}
	form, attachments, err := fromMsgpack(b)
	if err != nil {
		return nil, err
	}
	if len(form) == 0 || form[0] != '{' {
		return nil, errShape
	}
	return m, m.parse(form, attachments)
}
