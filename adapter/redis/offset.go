package redis

import (
	"strconv"
	"strings"
)

// offset says what a client has of a stream: everything up to an entry, as in Node, and, when an event of its
// node was delivered before Redis had answered for it, the events of that node up to a number besides. Without
// the second part such an event would come once more after a recovery.
//
// Its form is that of Node's adapter, "1700000000000-0"; with the second part "1700000000000-0~a3.x8Kd0f", the
// number in base 36 and the node. Node's adapter refuses the long form, and the client begins anew there.
type offset struct {
	id  streamID
	seq uint64
	uid string // empty: only id
}

func parseOffset(s string) (o offset, ok bool) {
	id, early, long := strings.Cut(s, "~")
	if o.id, ok = parseStreamID(id); !ok || o.id.String() != id {
		return o, false
	}
	if !long {
		return o, true
	}
	seq, uid, ok := strings.Cut(early, ".")
	n, err := strconv.ParseUint(seq, 36, 64)
	if !ok || err != nil || n == 0 || uid == "" {
		return o, false
	}
	o.seq, o.uid = n, uid
	return o, true
}

func (o offset) String() string {
	if o.uid == "" {
		return o.id.String()
	}
	return o.id.String() + "~" + strconv.FormatUint(o.seq, 36) + "." + o.uid
}

// early reports whether the client had the event, of a node and with a number, before it was in the stream.
func (o offset) early(uid string, seq uint64) bool {
	return o.uid != "" && uid == o.uid && seq > 0 && seq <= o.seq
}
