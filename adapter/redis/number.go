package redis

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// A message of a Beanpole node has a number, and says which was the one before it, so that who gets it knows
// whether it missed any. It is told apart by lanes: what every node with the namespace gets is one, each
// channel of a room another, and all of a namespace together a third, for nodes that listen to everything.
// The number stands where Node's adapters do not look: behind the third element of an array, or as a further
// member of an object.

const (
	// mainLane is what every node with the namespace gets. Lanes of rooms have the names of their channels.
	mainLane = ""
	// wholeLane is everything of a namespace.
	wholeLane = "*"
)

// laneKey names a lane of one node: of a namespace, or, if nsp is empty, the entries of a stream.
type laneKey struct{ nsp, lane string }

// both returns the lanes of a message of lane k.
func (k laneKey) both() []laneKey {
	if k.nsp == "" {
		return []laneKey{k}
	}
	return []laneKey{k, {k.nsp, wholeLane}}
}

// in reports whether what is of lane k is of another, too.
func (k laneKey) in(other laneKey) bool {
	return k.nsp == other.nsp && (other.lane == wholeLane || k.lane == other.lane)
}

// room reports whether it is the lane of a room.
func (k laneKey) room() bool { return k.nsp != "" && k.lane != mainLane && k.lane != wholeLane }

// spot is where a message stands in a lane.
type spot struct {
	prev  uint64 // number of the message before it
	count uint64 // how many the lane has had, this one included
}

// serial is the number of a message.
type serial struct {
	n     uint64 // among all of its node, from 1 on
	whole spot   // in wholeLane
	own   spot   // in its own lane
}

// in returns the spot of x in a lane.
func (x *serial) in(lane string) *spot {
	if lane == wholeLane {
		return &x.whole
	}
	return &x.own
}

// numberField is the member that holds the number.
const numberField = "bp"

// fixedNumber is the length of a number in MessagePack: an array of five integers of 64 bits.
const fixedNumber = 1 + 5*9

// maxDecimal is more than a number has in JSON, in bytes.
const maxDecimal = 5*21 + 10 + emitterLength + 3

// The uid in what an emitter sends is that of all emitters, as Node's have it, so its name stands behind its number. Those
// whose names do not begin so are of versions that cannot be asked.
const (
	emitterPrefix = emitterUID + "-"
	emitterLength = len(emitterPrefix) + 16
	emitterHead   = byte(0xa0 | emitterLength) // in MessagePack
)

// isEmitter reports whether a name is that of an emitter.
func isEmitter[T string | []byte](uid T) bool {
	return len(uid) == emitterLength && string(uid[:len(emitterPrefix)]) == emitterPrefix
}

// appendNumber adds x to a payload in any of the three forms of pub/sub modes, with the name of the emitter that it is of, if
// that is not empty.
func appendNumber(payload []byte, x *serial, emitter string) []byte {
	list := [5]uint64{x.n, x.whole.prev, x.whole.count, x.own.prev, x.own.count}
	switch {
	case len(payload) == 0:
		return payload
	case payload[0] == '{':
		b := append(payload[:len(payload)-1], `,"`+numberField+`":`...)
		for i, v := range list {
			b = strconv.AppendUint(append(b, ",["[b2i(i == 0)]), v, 10)
		}
		if emitter != "" {
			b = append(append(append(b, `,"`...), emitter...), '"')
		}
		return append(b, "]}"...)
	case payload[0] == 0x93:
	case payload[0]&0xf0 == 0x80 && payload[0] != 0x8f:
		payload = appendString(payload, numberField)
	default:
		return payload
	}
	payload[0]++
	payload = append(payload, byte(0x95+b2i(emitter != "")))
	for _, v := range list {
		payload = binary.BigEndian.AppendUint64(append(payload, 0xcf), v)
	}
	if emitter != "" {
		payload = append(append(payload, emitterHead), emitter...)
	}
	return payload
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// readNumber returns who sent a payload, and its number. ok is false for what has none: messages of Node and of older
// emitters.
func readNumber(payload []byte) (uid []byte, x serial, ok bool) {
	if len(payload) == 0 {
		return nil, x, false
	}
	var list [5]uint64
	var emitter []byte
	if payload[0] == '{' {
		if emitter, ok = readDecimal(payload, &list); !ok {
			return nil, x, false
		}
	} else {
		end := len(payload)
		if at := end - emitterLength; at > 0 && payload[at-1] == emitterHead && isEmitter(payload[at:]) {
			emitter, end = payload[at:], at-1
		}
		at := end - fixedNumber
		if at < 1 || payload[at] != byte(0x95+b2i(emitter != nil)) || payload[0] != 0x94 && !bytes.HasSuffix(payload[:at], []byte("\xa2"+numberField)) {
			return nil, x, false
		}
		for i, b := 0, payload[at+1:]; i < len(list); i, b = i+1, b[9:] {
			if b[0] != 0xcf {
				return nil, x, false
			}
			list[i] = binary.BigEndian.Uint64(b[1:])
		}
	}
	x = serial{list[0], spot{list[1], list[2]}, spot{list[3], list[4]}}
	if uid, ok = readSender(payload); emitter != nil {
		ok = ok && string(uid) == emitterUID
		uid = emitter
	}
	return uid, x, ok && x.n > 0 && x.whole.prev < x.n && x.own.prev < x.n
}

// readSender returns who sent a payload, as Beanpole's servers and Node's write it: that comes first.
func readSender(payload []byte) (uid []byte, ok bool) {
	if uid, ok = bytes.CutPrefix(payload, []byte(`{"uid":"`)); ok {
		end := bytes.IndexByte(uid, '"')
		return uid[:max(0, end)], end >= 0
	}
	w := walker{b: payload}
	if c := w.peek(); c == 0x93 || c == 0x94 {
		w.take(1)
	} else if n := w.object(); n == 0 {
		return nil, false
	} else if name, _ := w.str(); string(name) != "uid" {
		return nil, false
	}
	return w.str()
}

// readDecimal reads the number at the end of an object, and the name of an emitter behind it.
func readDecimal(payload []byte, list *[5]uint64) (emitter []byte, ok bool) {
	end := payload[max(0, len(payload)-maxDecimal):]
	i := bytes.LastIndex(end, []byte(`,"`+numberField+`":[`))
	if i < 0 {
		return nil, false
	}
	b, ok := bytes.CutSuffix(end[i+len(`,"`+numberField+`":[`):], []byte("]}"))
	if at := len(b) - emitterLength - 3; at > 0 && b[at] == ',' && b[at+1] == '"' && b[len(b)-1] == '"' && isEmitter(b[at+2:len(b)-1]) {
		emitter, b = b[at+2:len(b)-1], b[:at]
	}
	for i := range list {
		var part []byte
		part, b, _ = bytes.Cut(b, []byte(","))
		v, err := strconv.ParseUint(string(part), 10, 64)
		if err != nil {
			return nil, false
		}
		list[i] = v
	}
	return emitter, ok && len(b) == 0
}
