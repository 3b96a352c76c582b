package adapter

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Message is one event or one answer as it travels through a cluster: Data is JSON text (for an
// event the array [name, args...], for an answer one value) in which every binary is replaced by a
// placeholder {"_placeholder":true,"num":n} for Attachments[n]. Immutable once made.
type Message struct {
	Data        []byte
	Attachments [][]byte
	Offset      string // the last argument, when an adapter with recovery has added it; see WithOffset
}

// Flags change how a message is delivered (Node: BroadcastFlags).
type Flags struct {
	Volatile   bool
	NoCompress bool
	Local      bool // this node only
}

// Target selects sockets of the namespace: those in any of Rooms (all when empty) and in none of Except.
// A socket is in the room named by its id until it leaves that, and Except knows it by its id even then.
type Target struct {
	Rooms, Except []string
	Flags
}

// Selection is a Target as an application puts it together, room by room. The zero value selects everybody; it is a
// value, whose methods return a changed copy.
type Selection struct {
	Target
	picked bool // by rooms, be they none
}

// To selects the sockets in any of rooms too. Of no rooms at all that is nobody, which no Target can say.
func (s Selection) To(rooms ...string) Selection {
	s.picked = true
	s.Rooms = append(slices.Clip(s.Rooms), rooms...)
	return s
}

// Except leaves out the sockets in any of rooms.
func (s Selection) Except(rooms ...string) Selection {
	s.Target.Except = append(slices.Clip(s.Target.Except), rooms...)
	return s
}

// Nobody reports that nothing is selected: the Target is for no adapter then.
func (s Selection) Nobody() bool { return s.picked && len(s.Rooms) == 0 }

// Member is one socket of the namespace on this node. Values are compared with ==. A Member may also
// have the method Gone() bool, which reports that it is leaving for good: when it turns true before
// Remove is called, a Join that races with that Remove cannot bring the member back. Gone is called
// with a lock held and must only read.
type Member interface{ ID() string }

// Handshake is what is known of how a socket connected, in Node's field names and JSON forms
// (socket.io/lib/socket-types.ts, Handshake): header names in lower case, address without port.
type Handshake struct {
	Headers map[string]string `json:"headers"`
	Time    string            `json:"time"`
	Address string            `json:"address"`
	XDomain bool              `json:"xdomain"`
	Secure  bool              `json:"secure"`
	Issued  int64             `json:"issued"` // milliseconds since 1970
	URL     string            `json:"url"`
	Query   map[string]string `json:"query"`
	Auth    Raw               `json:"auth"`
}

// Raw is JSON text, and encodes as that; nil encodes as {}.
type Raw []byte

// MarshalJSON returns the text.
func (r Raw) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("{}"), nil
	}
	return r, nil
}

// UnmarshalJSON copies the text.
func (r *Raw) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}

// Details describes one socket anywhere in the cluster (the answer to Fetch). Data is the socket's
// application data as JSON text.
type Details struct {
	ID        string    `json:"id"`
	Handshake Handshake `json:"handshake"`
	Rooms     []string  `json:"rooms"`
	Data      Raw       `json:"data"`
}

// Namespace is what an adapter asks of its namespace on this node. The methods do not block on clients.
// Slices of members are valid only until the method returns.
type Namespace interface {
	Name() string
	// Deliver encodes m once and sends it to every one of to. It is called with the adapter's lock for the
	// order of events held, and so must call neither the application nor the adapter: what is left to do
	// of that kind is the function it returns, which may be nil and is called without the lock. Local calls
	// it with none, too, for an event that reaches nobody here, for those who watch what becomes of events.
	Deliver(m Message, f Flags, to []Member) (after func())
	// DeliverWithAck does so and asks for acknowledgements: answer is called with the first value of
	// each client's answer, at most once per member and from any goroutine; with a Message without
	// Data when the member is gone and will not answer, or is missing: it is there, and not waited for any longer.
	// forget ends the wait.
	DeliverWithAck(m Message, f Flags, to []Member, answer func(m Message, missing bool)) (forget func())
	// Describe describes members for Fetch.
	Describe(of []Member) []Details
	// Disconnect disconnects members from the namespace, or closes their whole session.
	Disconnect(members []Member, closeSession bool)
	// TakeOver ends the connection of the member with that id, whose client is coming anew, and returns
	// true when its state has been saved. With forGood nobody comes back to it: its state is not saved, unless that
	// has begun. It is false when there is no such member that can be recovered.
	TakeOver(ctx context.Context, id string, forGood bool) bool
	// ServerEvent hands m, sent by another node with ServerSideEmit, to the application. reply is nil
	// when no answer is wanted; the application may call it once.
	ServerEvent(m Message, reply func(Message))
}

// Adapter carries the events of one namespace to sockets here and on other nodes. Methods may be
// called from any goroutine. Local delivery never waits for the network; methods that ask other
// nodes take a context and return what has arrived together with a *PartialError.
type Adapter interface {
	// Join and Leave change the rooms of a member of this node; the first Join (rooms may be empty)
	// makes it a member. Remove ends its membership and returns the rooms it was in, and with recovery
	// where it was when, for Save.
	Join(m Member, rooms ...string)
	Leave(m Member, rooms ...string)
	Remove(m Member) (rooms []string, trail Trail)
	// RoomsOf returns the rooms of a member of this node, its own id among them unless it has left that.
	RoomsOf(m Member) []string
	// Members returns the members of this node that t selects.
	Members(t Target) []Member

	// Broadcast delivers the event m to what t selects, here and (unless t.Local) on other nodes.
	Broadcast(m Message, t Target) error
	// BroadcastWithAck does so, and returns when the sockets of this node have been sent the event. It calls answer with
	// each client's answer, one at a time, until all that were asked have answered or ctx is done; then it calls done, once
	// and on a goroutine of its own, with nil or an error saying what is missing. A question that is open should cost no
	// goroutine; Answers.Then sees to that.
	BroadcastWithAck(ctx context.Context, m Message, t Target, answer func(Message), done func(error))
	// Fetch describes the sockets t selects, Count counts them.
	Fetch(ctx context.Context, t Target) ([]Details, error)
	Count(ctx context.Context, t Target) (int, error)
	// SocketsJoin, SocketsLeave and Disconnect act on the sockets t selects.
	SocketsJoin(t Target, rooms ...string) error
	SocketsLeave(t Target, rooms ...string) error
	Disconnect(t Target, closeSession bool) error
	// ServerSideEmit sends the event m to the other nodes' applications, not to this one.
	ServerSideEmit(m Message) error
	// ServerSideEmitWithAck also collects one answer per other node.
	ServerSideEmitWithAck(ctx context.Context, m Message, answer func(Message)) error
	// Servers returns the number of live nodes, this one included.
	Servers(ctx context.Context) (int, error)

	// Save keeps a session of this namespace for recovery for the configured time, or shorter when there are
	// many. Only adapters with recovery keep it. It returns when the session can be restored.
	Save(ctx context.Context, s Session) error
	// Restore returns the saved session pid, which stays where it is until Resume takes it, if the events
	// after offset, the last that the client has ("" when it has none), are still held. A socket that is
	// still connected with that pid is taken over first. It returns ErrNoRecovery wrapped with the cause
	// otherwise, also for a session of another namespace.
	Restore(ctx context.Context, pid, offset string) (*Session, error)
	// Resume takes a restored session: it makes m, its socket, a member of s.Rooms and calls replay with
	// the events it missed, in order, each ending with its own offset, so that no event is lost or doubled
	// between the two. replay is called with the lock for the order of events held, as Deliver is. Of
	// several that try with one session, one succeeds; after an error m is no member, and the session is gone.
	Resume(ctx context.Context, m Member, s *Session, replay func(Message)) error
	// Discard sees to it that nobody comes back to the session pid, saved or not: a socket that is still connected
	// with that pid, or whose state is about to be saved, is taken over for good. Its error says why that is not certain.
	Discard(ctx context.Context, pid string) error
	// Recovers reports whether the adapter keeps sessions and puts offsets at the end of events.
	Recovers() bool

	// Close ends the adapter's work for this namespace and tells the other nodes.
	Close(ctx context.Context) error
}

// Session is what connection state recovery keeps of a socket.
type Session struct {
	SID, PID  string
	Namespace string // set by Save; empty when restored from a server that does not say it, as Node's
	Owner     string // the pattern or function that let it in, as the server names it; empty for neither
	Identity  string // whose it is, if the application has said so
	Rooms     []string
	Data      Raw    // the socket's application data
	Live      any    // the same as they are in this process, where that is not lost on the way; see server.Face
	Last      string // offset of the last event that was sent to it, "" when none was
	Trail     Trail  // as Remove returned it

	// After is set by Restore: the offset that the events to replay come after.
	After string
	// Version says which saving of the state this is, so that Resume takes no other. Set by Restore. Who saves a
	// session that was recovered sets that of the one it was recovered from.
	Version string
	// Reserve, if not nil, is asked by Resume, before it takes the session, whether the events to replay may
	// have that many bytes in all; it may be asked again for more. Resume fails with ErrReplayFull when not.
	Reserve func(bytes int) bool

	index map[string][]Stay // of Missed
	out   []Stay            // likewise
}

// Factory makes the adapter of one namespace. The server calls it when it opens the namespace, without a lock,
// and again for one that it opens anew once Close of the former adapter has returned. A factory that uses the
// namespace it makes the adapter of gets an error.
type Factory func(Namespace) (Adapter, error)

// Errors of adapters.
var (
	// ErrNoRecovery says that a session could not be recovered.
	ErrNoRecovery = errors.New("session not recovered")
	// ErrSessionsFull says that a session was given up for newer ones, within Recovery.MaxSessions and
	// MaxSessionBytes, or that it is larger than all may be together. Restore returns it with ErrNoRecovery.
	ErrSessionsFull = errors.New("too many saved sessions")
	// ErrTaken says that another attempt took the session, after Restore and before Resume, which returns it with
	// ErrNoRecovery.
	ErrTaken = errors.New("session taken by another")
	// ErrReplayFull says that a session missed more than may wait to be replayed. Resume returns it with
	// ErrNoRecovery.
	ErrReplayFull = errors.New("too much to replay")
	// ErrTimeout says that the time given to a question has ended: by the Timeout of an emit, or where neither that
	// nor a context bounds it, by default. It is the cause of the context that an adapter gets; see Ended.
	ErrTimeout = errors.New("operation has timed out")
	// ErrServerClosed says that the server stops that asked: it is the cause of the context that an adapter gets; see Ended.
	ErrServerClosed = errors.New("server closed")
	// ErrQueueFull says that too much waits. It is the cause of a PartialError of clients that are there, and have left so
	// much unanswered that they were not waited for any longer.
	ErrQueueFull = errors.New("too much waits for handlers or answers")
	// ErrDegraded is returned when the network between nodes is down: what could be done locally was.
	ErrDegraded = errors.New("cluster degraded: done on this node only")
)

// PartialError is returned together with partial results when nodes did not answer in time.
type PartialError struct {
	Missing []string // ids of the nodes that did not answer, where known
	Nodes   int      // how many did not answer
	Clients int      // how many clients did not acknowledge, or could not be described
	Err     error    // ErrTimeout, ErrServerClosed, context.DeadlineExceeded, ErrDegraded …
}

// Error says how much is missing, as far as that is known, and why.
func (e *PartialError) Error() string {
	var missing []string
	if e.Nodes > 0 {
		missing = append(missing, fmt.Sprint("servers ", e.Nodes))
	}
	if e.Clients > 0 {
		missing = append(missing, fmt.Sprint("clients ", e.Clients))
	}
	if len(missing) == 0 {
		return "partial result: " + e.Err.Error()
	}
	return "partial result (missing: " + strings.Join(missing, ", ") + "): " + e.Err.Error()
}

// As returns what an adapter can do beside the methods of Adapter, which one that stands on Local can: a itself, or the first
// that can of those in it. An adapter that has another in it says so by a method Unwrap() Adapter; without it, what the other can
// is hidden.
func As[T any](a Adapter) (t T, ok bool) {
	for {
		if t, ok = a.(T); ok {
			return t, true
		}
		around, wraps := a.(interface{ Unwrap() Adapter })
		if !wraps {
			return t, false
		}
		a = around.Unwrap()
	}
}

// Unwrap returns the cause.
func (e *PartialError) Unwrap() error { return e.Err }

// Recovery configures connection state recovery (Node: connectionStateRecovery). The zero value of a
// field is its default.
type Recovery struct {
	MaxDisconnection time.Duration // how long a session is kept; zero means 2 minutes
	// MaxSilence is how long the connection of a session may have been dead before its server knows, and says that
	// it has ended: Memory holds events for so much longer than sessions, since the client has none from then on.
	// Zero means 95 seconds, or with package server what its heartbeat makes it.
	MaxSilence time.Duration
	MaxEvents  int // events held per namespace; zero means 10,000
	// MaxBytes bounds the bytes of the events that Memory holds, in all namespaces together, and what one
	// session may have missed, in Redis. Zero means 64 MiB.
	MaxBytes int
	// MaxSessions and MaxSessionBytes bound the sessions that Memory keeps, in all namespaces together, and
	// what they cost with their data and rooms. The oldest go first; who asks for one of those is told
	// ErrSessionsFull. Zero means 100,000 and 64 MiB. In Redis, sessions expire there.
	MaxSessions     int
	MaxSessionBytes int
}

// SocketID returns the id of the socket whose client knows it by pid, so that a server that is shown a pid
// can tell which socket to take over. Nothing of pid, which is a secret, can be learnt from it.
func SocketID(pid string) string {
	sum := sha256.Sum256([]byte(pid))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}
