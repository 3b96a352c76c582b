package redis

import (
	"slices"
	"strconv"
	"strings"
)

// offset says what a client has of a stream: everything up to an entry, as in Node, and of the nodes in early
// their events up to a number besides, which their clients get before the stream has them. Without the second
// part such an event would come once more after a recovery.
//
// Its form is that of Node's adapter, "1700000000000-0"; with the second part "1700000000000-0~a3.x8Kd0f", the
// number in base 36 and the node. Node's adapter refuses the long form, and the client begins anew there.
type offset struct {
	id    streamID
	early []early
}

type early struct {
	seq uint64
	uid string
}

// maxEarly is the most nodes in an offset: more than one come together only when a client moves again before
// Redis has answered, or soon.
const maxEarly = 8

func parseOffset(s string) (o offset, ok bool) {
	id, rest, long := strings.Cut(s, "~")
	if o.id, ok = parseStreamID(id); !ok || o.id.String() != id {
		return o, false
	}
	for long {
		var part string
		part, rest, long = strings.Cut(rest, "~")
		seq, uid, ok := strings.Cut(part, ".")
		n, err := strconv.ParseUint(seq, 36, 64)
		if !ok || err != nil || n == 0 || uid == "" || len(o.early) == maxEarly {
			return o, false
		}
		o.early = append(o.early, early{n, uid})
	}
	return o, true
}

func (o offset) String() string {
	b := append(strconv.AppendUint(make([]byte, 0, 48), o.id.ms, 10), '-')
	b = strconv.AppendUint(b, o.id.seq, 10)
	for _, e := range o.early {
		b = strconv.AppendUint(append(b, '~'), e.seq, 36)
		b = append(append(b, '.'), e.uid...)
	}
	return string(b)
}

// with returns o with e in the place of what it says of the same node.
func (o offset) with(e early) offset {
	o.early = append(slices.DeleteFunc(slices.Clone(o.early), func(x early) bool { return x.uid == e.uid }), e)
	o.early = o.early[max(0, len(o.early)-maxEarly):]
	return o
}

// and returns o with what another offset says of nodes besides.
func (o offset) and(other offset) offset {
	for _, e := range other.early {
		if !o.has(e.uid, e.seq) {
			o = o.with(e)
		}
	}
	return o
}

// has reports whether the client had the event, of a node and with a number, before it was in the stream.
func (o offset) has(uid string, seq uint64) bool {
	return seq > 0 && slices.ContainsFunc(o.early, func(e early) bool { return e.uid == uid && seq <= e.seq })
}

// offsetBefore reports whether the offset a is before b, or none.
func offsetBefore(a, b string) bool {
	x, ok := parseOffset(a)
	y, _ := parseOffset(b)
	return !ok || x.id.less(y.id) || x.id == y.id && slices.ContainsFunc(y.early, func(e early) bool { return !x.has(e.uid, e.seq) })
}
