package redis

import (
	"github.com/go-json-experiment/json"

	"github.com/beanpole/beanpole/adapter"
)

// sharded is the wire form of the sharded adapter (redis-adapter/lib/sharded-adapter.ts): one sharded
// channel per namespace, one per node for answers, and, unless static, one per room.
type sharded struct {
	uid    string
	prefix string
	mode   Subscriptions
}

func (s *sharded) main(nsp string) string { return s.prefix + "#" + nsp + "#" }

func (s *sharded) own(nsp, uid string) string { return s.main(nsp) + uid + "#" }

func (s *sharded) channels(nsp string) []subscription {
	return []subscription{{subShard, s.main(nsp)}, {subShard, s.own(nsp, s.uid)}}
}

func (s *sharded) room(nsp, room string, private bool) (subscription, bool) {
	private = private && utf16Length(room) == idLength
	return subscription{subShard, s.main(nsp) + room + "#"}, s.mode == DynamicPrivate || s.mode == Dynamic && !private
}

func (s *sharded) lane(nsp, channel string) string {
	if s.mode == Static || channel == s.main(nsp) {
		return mainLane
	}
	return channel
}

// idLength is how the publisher tells a socket's id from the name of a room, right or wrong: the id of a v2 client's
// socket in another namespace than "/" is longer, and so has a channel.
const idLength = 20

func (s *sharded) encode(m *message, to string) (*command, error) {
	c := &command{op: opSPublish, key: s.main(m.nsp), nsp: m.nsp, numbered: m.numbered(to), fleeting: m.target.Volatile}
	if to != "" {
		c.key = s.own(m.nsp, to)
	} else if room, ok := m.room(); ok && (s.mode == DynamicPrivate || s.mode == Dynamic && utf16Length(room) != idLength) {
		c.key += room + "#"
		c.lane = c.key
	}
	c.route = c.key
	c.data = appendEnvelope(make([]byte, 0, len(m.event.Data)+256), m)
	var err error
	if len(m.event.Attachments) > 0 {
		c.data, err = toMsgpack(make([]byte, 0, len(c.data)), c.data, m.event.Attachments)
	}
	return c, err
}

// utf16Length is the length of s in JavaScript.
func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 1<<16 {
			n++
		}
	}
	return n
}

func (s *sharded) decode(nsp, _ string, payload []byte, l *adapter.Local) (*message, error) {
	if unwantedEnvelope(l, nsp, payload) {
		return nil, nil
	}
	return decodeEnvelope(s.uid, nsp, payload)
}

// decodeEnvelope reads one message in either form. It returns nil, nil for a message of this node or
// of another namespace.
func decodeEnvelope(self, nsp string, payload []byte) (*message, error) {
	form, attachments, err := object(payload)
	if err != nil {
		return nil, err
	}
	var e envelope
	if err := json.Unmarshal(form, &e, lenient); err != nil {
		return nil, err
	}
	if string(e.UID) == self || string(e.Nsp) != nsp {
		return nil, nil
	}
	m := &message{kind: kind(e.Type), uid: string(e.UID), nsp: nsp}
	if !m.kind.known() {
		return nil, errShape
	}
	switch m.kind {
	case kindInitialHeartbeat, kindHeartbeat, kindClose:
		return m, nil
	}
	if len(e.Data) == 0 || e.Data[0] != '{' {
		return nil, errShape
	}
	return m, m.parse(e.Data, attachments)
}
