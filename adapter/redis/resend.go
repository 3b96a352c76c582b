package redis

import (
	"encoding/binary"
	"iter"
	"time"
)

// What Beanpole nodes say to each other about numbers. The channel of tails is for all, and that of a node's own
// for questions to it and answers. Each message is a kind, the name of the sender, and what follows from there:
// integers in base 128, and texts behind their length. Others ignore these channels.
//
//	tails     lanes of the sender with their ends, which reached others or should have; with a base, what has that number
//	          and those behind it may not have been passed on
//	question  lanes, of each what is to be sent again: behind a number, or since a time; or only which of them
//	          there are, of rooms
//	answer    messages of one lane
//	size      the answer to a question for no bytes: what one lane has next, and how large that is; a node that does
//	          not know of it answers with the message
//	rooms     the answer that says which lanes of rooms there are
//	never     the answer to a question behind a number that was never given: the last one that was
//	leaving   the sender ends, and stays until those who miss something of it have asked, or for some seconds
//	had       the answer to that: nothing is missed
//	emitted   tails of an emitter: servers of versions before know its messages without numbers, and would have all of them again
type tellKind byte

const (
	tellTails tellKind = 1 + iota
	tellQuestion
	tellAnswer
	tellRooms
	tellSize
	tellNever
	tellLeaving
	tellHad
	tellEmitted
)

// wanted is what a question asks of one lane.
type wanted struct {
	key   laneKey // of lane roomLanes: which there are
	after uint64
	ago   time.Duration // if not zero, in spot of after
	size  int
}

// roomLanes asks for the ends of all lanes of rooms.
const roomLanes = "+"

type letter struct {
	b   []byte
	bad bool
}

// maxLetter is about how many bytes a letter has at most that is about many lanes. Names of namespaces may be long.
const maxLetter = 256 << 10

// lettersOf divides what is to be said of lanes among letters.
func lettersOf[T any](list []T, key func(T) laneKey) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(list) > 0 {
			n, size := 0, 0
			for ; n < len(list); n++ {
				k := key(list[n])
				if size += len(k.nsp) + len(k.lane) + 6*binary.MaxVarintLen64; n > 0 && size > maxLetter {
					break
				}
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}

func (t ending) lane() laneKey { return t.key }

func newLetter(k tellKind, uid string) *letter {
	l := &letter{b: append(make([]byte, 0, 256), byte(k))}
	l.text(uid)
	return l
}

func (l *letter) uint(list ...uint64) {
	for _, v := range list {
		l.b = binary.AppendUvarint(l.b, v)
	}
}

func (l *letter) text(list ...string) {
	for _, s := range list {
		l.uint(uint64(len(s)))
		l.b = append(l.b, s...)
	}
}

// readUint, readBytes and readText read what uint and text have written; after a failure bad is true.
func (l *letter) readUint() uint64 {
	v, n := binary.Uvarint(l.b)
	if n <= 0 {
		l.b, l.bad = nil, true
		return 0
	}
	l.b = l.b[n:]
	return v
}

func (l *letter) readBytes() []byte {
	n := l.readUint()
	if n > uint64(len(l.b)) {
		l.b, l.bad = nil, true
		return nil
	}
	b := l.b[:n:n]
	l.b = l.b[n:]
	return b
}

func (l *letter) readText() string { return string(l.readBytes()) }

func openLetter(b []byte) (k tellKind, uid string, l *letter) {
	if len(b) == 0 {
		return 0, "", nil
	}
	l = &letter{b: b[1:]}
	if uid = l.readText(); uid == "" || l.bad {
		return 0, "", nil
	}
	return tellKind(b[0]), uid, l
}

func (l *letter) tails(list []ending) {
	for _, t := range list {
		l.text(t.key.nsp, t.key.lane)
		l.uint(t.n, t.count, t.base, t.bases)
	}
}

func (l *letter) readTails() (list []ending) {
	for len(l.b) > 0 {
		t := ending{key: laneKey{l.readText(), l.readText()}, n: l.readUint(), count: l.readUint(), base: l.readUint(), bases: l.readUint()}
		if l.bad {
			return nil
		}
		list = append(list, t)
	}
	return list
}

func (l *letter) wants(list []wanted) {
	for _, w := range list {
		l.text(w.key.nsp, w.key.lane)
		l.uint(w.after, uint64(w.ago.Milliseconds()), uint64(w.size))
	}
}

func (l *letter) readWants() (list []wanted) {
	for len(l.b) > 0 {
		w := wanted{key: laneKey{l.readText(), l.readText()}, after: l.readUint()}
		w.ago = time.Duration(min(l.readUint(), 1<<40)) * time.Millisecond
		w.size = int(min(l.readUint(), maxPiece))
		if l.bad {
			return nil
		}
		list = append(list, w)
	}
	return list
}

// piece writes p, the answer to a question with a number.
func (l *letter) piece(question uint64, p *piece) {
	l.uint(question)
	l.text(p.key.nsp, p.key.lane)
	l.uint(p.base, p.floor, p.below, p.n, p.count)
	for _, x := range p.list {
		at := x.in(p.key.lane)
		l.uint(x.n, at.prev, at.count)
		l.text(x.channel)
		l.uint(uint64(len(x.data)))
		l.b = append(l.b, x.data...)
	}
}

func (l *letter) readPiece() (question uint64, p piece, list []arrival) {
	question = l.readUint()
	p.key = laneKey{l.readText(), l.readText()}
	p.base, p.floor, p.below, p.n, p.count = l.readUint(), l.readUint(), l.readUint(), l.readUint(), l.readUint()
	for len(l.b) > 0 {
		a := arrival{n: l.readUint(), spot: spot{l.readUint(), l.readUint()}, channel: l.readText()}
		if b := l.readBytes(); len(b) > 0 {
			a.payload = b
		}
		if l.bad {
			return 0, piece{}, nil
		}
		list = append(list, a)
	}
	return question, p, list
}
