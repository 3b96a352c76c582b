package redis

import (
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// kind is what a message between nodes is. The numbers are those of socket.io-adapter's MessageType
// (lib/cluster-adapter.ts), which sharded and streams send; pubsub has its own.
type kind int

const (
	kindInitialHeartbeat kind = 1 + iota
	kindHeartbeat
	kindBroadcast
	kindSocketsJoin
	kindSocketsLeave
	kindDisconnect
	kindFetch
	kindFetchResponse
	kindServerSideEmit
	kindServerSideEmitResponse
	kindClientCount
	kindAck
	kindClose

	// What only pubsub has.
	kindAllRooms kind = 100 + iota
	kindSockets
	kindRoomsResponse
	kindSocketsResponse
	kindLegacyOne // join, leave or disconnect of one socket, in the form of old versions
	kindLegacyResponse

	// What only Beanpole nodes with recovery ask each other; others ignore it.
	kindTakeOver // of the socket sid, whose client is coming anew
	kindTakeOverResponse

	// What only Beanpole nodes say to each other.
	kindPiece   // asks for the next piece of the answer to kindFetch
	kindUnasked // says that a question has not come
	kindReplies // a piece of the answers of clients, or of a handler
)

// emitterUID is the uid in what emitters send, which are no nodes, as Node's have it.
const emitterUID = "emitter"

// message is one message from node to node. Which fields mean something depends on kind.
type message struct {
	kind    kind
	uid     string // the sender; empty where the wire form does not tell
	nsp     string
	request string // id of the request asked or answered; empty when no answer is wanted

	target adapter.Target
	event  adapter.Message // an event, the value of an answer, or in kindReplies what together makes of several
	rooms  []string
	close  bool // kindDisconnect: the session too; kindTakeOver: for good

	described []byte // kindFetchResponse: sockets in JSON, for parseDetails
	omitted   int    // kindFetchResponse, kindReplies: sockets whose description, and clients whose answer, has no room; among Beanpole nodes only
	count     int    // kindClientCount; kindFetchResponse if counted; kindTakeOverResponse: 1 if it was here
	counted   bool   // kindFetch: a count is enough; kindFetchResponse: it is a count
	gone      bool   // kindAck: a client is gone and will not answer; among Beanpole nodes only
	free      int    // of a question, but kindFetch: how many bytes of answers may come unasked; 0 if they are not to come in pieces
	left      int    // kindReplies: answers that will not come
	weight    int    // kindReplies: bytes of the answers; of the sender only
	timeoutMS int64  // kindBroadcast with request, kindFetch: how long the sender waits, 0 unknown
	own       bool   // of a question: its answers go to the channel of this node, and in pieces; of these: they do
	piece     int    // kindPiece, from 1, or over; kindFetchResponse and kindReplies, from 0
	more      bool   // of these: more pieces are to come
	next      int    // of these: bytes of the next piece, if it is long; among Beanpole nodes only
	sid       string // kindLegacyOne, kindTakeOver
	legacy    kind   // kindLegacyOne
	asked     bool   // kindSocketsJoin: it only says that its room is the id of a question
}

// known reports whether the kind is one of sharded and streams.
func (k kind) known() bool {
	return k >= kindInitialHeartbeat && k <= kindClose || k >= kindTakeOver && k <= kindReplies
}

// answers reports whether the kind is an answer to a request.
func (k kind) answers() bool {
	switch k {
	case kindFetchResponse, kindServerSideEmitResponse, kindClientCount, kindAck, kindTakeOverResponse, kindUnasked, kindReplies:
		return true
	}
	return false
}

// lasts returns how long who asked waits, or otherwise if it does not say so.
func (m *message) lasts(otherwise time.Duration) time.Duration {
	if m.timeoutMS <= 0 || m.timeoutMS >= int64(time.Hour/time.Millisecond) {
		return otherwise
	}
	return time.Duration(m.timeoutMS) * time.Millisecond
}

// numbered reports whether m gets a number: what one node says to all others. A namespace with a # in its name
// has channels that are those of rooms of another, too.
func (m *message) numbered(to string) bool {
	return to == "" && !m.kind.answers() && !strings.Contains(m.nsp, "#")
}

// maxRoomChannel bounds the names, in bytes, of rooms with a channel of their own: what Redis and every server remember of a
// channel is bounded by it. Events for others go where those for several rooms do.
const maxRoomChannel = 256

// room returns the room whose channel m is for, if there is such a room.
func (m *message) room() (string, bool) {
	if m.kind != kindBroadcast || m.request != "" || len(m.target.Rooms) != 1 || len(m.target.Rooms[0]) > maxRoomChannel {
		return "", false
	}
	return m.target.Rooms[0], true
}

// wire is the form that messages of one mode have. A wire holds no state of its own, but whether Redis refuses patterns.
type wire interface {
	// channels returns what a node subscribes to for a namespace. The first is the one whose
	// subscribers are counted.
	channels(nsp string) []subscription
	// own returns the channel of the node uid alone.
	own(nsp, uid string) string
	// room returns what it subscribes to while it has members in a room; private says that the room
	// is a socket's own.
	room(nsp, room string, private bool) (subscription, bool)
	// encode makes the command that carries m to the nodes, or, if to is not empty, to the node to.
	encode(m *message, to string) (*command, error)
	// lane returns which lane what arrives on a channel of the namespace nsp belongs to, for this node.
	lane(nsp, channel string) string
	// decode reads what arrived on a channel of the namespace nsp. It returns nil, nil for what need
	// not be looked at. payload is not changed and is kept by the message.
	decode(nsp, channel string, payload []byte, l *adapter.Local) (*message, error)
}

// newWire returns the form of cfg.Mode as the node, or emitter, uid has it.
func newWire(cfg *Config, uid string) wire {
	switch cfg.Mode {
	case Sharded:
		return &sharded{uid: uid, prefix: cfg.Prefix, mode: cfg.Subscriptions}
	case Streams:
		s := &streams{uid: uid, prefix: cfg.Prefix, stream: cfg.Stream, count: cfg.StreamCount, plain: cfg.OnlyPlaintext, sharded: cfg.ShardedPubSub}
		if isEmitter(uid) {
			s.uid, s.instance = emitterUID, uid
		}
		return s
	}
	return &pubsub{uid: uid, prefix: cfg.Prefix, mode: cfg.Subscriptions, specific: cfg.SpecificResponses}
}

// reminds notes whether an order only says which question was asked.
func (m *message) reminds(asked bool) {
	if asked && m.kind == kindSocketsJoin && len(m.target.Rooms) == 1 && len(m.rooms) == 0 {
		m.asked, m.request = true, m.target.Rooms[0]
	}
}
