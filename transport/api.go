package transport

import (
	"context"
	"net/http"
)

// NodeID is the part of a session id that names the server which made it.
type NodeID [5]byte

// Message is the payload of one Engine.IO MESSAGE packet, text or binary, without the packet type.
type Message struct {
	Data   []byte
	Binary bool
}

// Receiver gets what happens on one session. Receive is called for one message at a time, in order;
// m.Data is valid only until it returns, and it must not block. Work follows when everything that
// one read brought has been received: it may run the application's handlers and so may block; what
// is sent meanwhile on this session is gathered and leaves in one write. While a Work blocks, further
// messages are received (and another Work called) from another goroutine. Closed is called once,
// after the last Receive has returned, though a Work may still be running.
type Receiver interface {
	Receive(m Message)
	Work()
	Closed(reason CloseReason, cause error)
}

// SendOptions change how messages are sent.
type SendOptions struct {
	Volatile   bool // drop unless the session is Writable
	NoCompress bool // do not compress these messages (Node: compress(false))
}

// Server is the Engine.IO server: one http.Handler for polling and WebSocket.
type Server struct{ cfg Config }

// New checks cfg and returns a Server.
func New(cfg Config) (*Server, error) { panic("stub") }

// ServeHTTP serves every request of the Engine.IO path, whatever the path is.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("stub") }

// NodeID returns the id that this server's session ids carry.
func (s *Server) NodeID() NodeID { panic("stub") }

// Sessions returns the number of open sessions.
func (s *Server) Sessions() int { panic("stub") }

// Stats returns the server's counters since New.
func (s *Server) Stats() Stats { panic("stub") }

// Refuse makes the server refuse new handshakes with 503 and Retry-After (draining) or take them again.
func (s *Server) Refuse(refuse bool) { panic("stub") }

// Each calls fn for every open session until it returns false.
func (s *Server) Each(fn func(*Session) bool) { panic("stub") }

// Shutdown refuses new sessions, closes the open ones with ReasonServerShuttingDown and waits until
// every goroutine of the server has ended or ctx is done, whose error it then returns.
func (s *Server) Shutdown(ctx context.Context) error { panic("stub") }

// Stats are counters of a Server.
type Stats struct {
	Sessions                                 int64                  // open now
	Opened                                   map[Name]uint64        // by transport of the handshake
	Closed                                   map[CloseReason]uint64 // by reason
	Refused                                  map[string]uint64      // by cause
	Upgrades                                 uint64
	UpgradesFailed                           map[string]uint64 // by cause
	PacketsIn, PacketsOut, BytesIn, BytesOut uint64
	VolatileDropped                          uint64
}

// Session is one Engine.IO client. All methods may be called from any goroutine and none blocks.
type Session struct{}

// ID returns the session id. It is a credential: never log or share it.
func (s *Session) ID() string { panic("stub") }

// Num is the number of the session on this server, for logs.
func (s *Session) Num() uint64 { panic("stub") }

// Protocol returns the revision of Engine.IO the client speaks: 3 or 4.
func (s *Session) Protocol() int { panic("stub") }

// Transport returns the transport in use now.
func (s *Session) Transport() Name { panic("stub") }

// Writable reports whether a message sent now would leave at once: the WebSocket takes bytes and
// nothing waits, or a poll is pending.
func (s *Session) Writable() bool { panic("stub") }

// Open reports whether the session is neither closing nor closed.
func (s *Session) Open() bool { panic("stub") }

// Backlog returns what waits to be sent.
func (s *Session) Backlog() (packets, bytes int) { panic("stub") }

// Handshake returns what the request that opened the session said.
func (s *Session) Handshake() *Handshake { panic("stub") }

// Send queues msgs, which stay adjacent, and returns at once. The data are copied before it returns.
// It returns ErrClosed on a session that is not open, and ErrBacklog, having closed the session with
// ReasonSlowConsumer, when more than the limits of Config wait.
func (s *Session) Send(o SendOptions, msgs ...Message) error { panic("stub") }

// SendPrepared is Send for messages that go to many sessions: encoded once, bytes shared.
func (s *Session) SendPrepared(o SendOptions, p *Prepared) error { panic("stub") }

// Yield tells the session that the goroutine inside Work is about to wait for something: what has
// been gathered leaves now and another goroutine takes over reading. Harmless elsewhere.
func (s *Session) Yield() { panic("stub") }

// Close sends what waits, ends the session in the protocol's way (a CLOSE packet on polling, a close
// frame on WebSocket) and reports reason to the receiver. It returns at once; only the first call counts.
func (s *Session) Close(reason CloseReason) { panic("stub") }

// Abort ends the session at once and drops what waits.
func (s *Session) Abort(reason CloseReason) { panic("stub") }

// Prepared is a group of messages encoded at most once for each form of the wire. Safe for concurrent
// use; the data given to Prepare must not change afterwards.
type Prepared struct{}

// Prepare readies msgs to be sent, adjacent, to many sessions.
func Prepare(msgs ...Message) *Prepared { panic("stub") }
