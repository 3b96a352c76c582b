package server

import (
	"errors"

	"github.com/beanpole/beanpole/adapter"
)

// Errors a caller can act on.
var (
	// ErrDisconnected says that the client is gone: it is what the error is, by errors.Is, of whatever is sent to a socket
	// that is not connected, or whose session ended by that (transport.ErrBacklog), of a wait for an acknowledgement that
	// can no longer come, and the cause of a context that ended with its socket.
	ErrDisconnected = errors.New("socket disconnected")
	// ErrNotConnected is returned by a wait for an acknowledgement in a middleware: the client is told that it is
	// connected, and can answer, when the middlewares have let it in.
	ErrNotConnected = errors.New("socket not connected yet: its client answers when the middlewares have let it in")
	// ErrReservedEvent is returned by emits of an event name that the protocol keeps for itself.
	ErrReservedEvent = errors.New("reserved event name")
	// ErrTimeout is returned when answers did not come in the time given by Timeout, of one client or of many: there
	// it is the cause of an *adapter.PartialError. A context that ends first is its own error.
	ErrTimeout = adapter.ErrTimeout
	// ErrQueueFull says that too much waits: of a question, that the client leaves Limits.MaxQuestions unanswered, and this was
	// the oldest; of EmitThen of a socket to many, that too much waits for it already. It is the cause of an *adapter.PartialError
	// if answers of many were not kept, or not waited for any longer.
	ErrQueueFull = adapter.ErrQueueFull
	// ErrAcknowledged is returned by the second answer to one event.
	ErrAcknowledged = errors.New("event already acknowledged")
	// ErrPanic is what the error of a handler that panicked is, for an Observer: errors.Is(err, ErrPanic).
	ErrPanic = errors.New("panic")
	// ErrOtherIdentity is returned by SetIdentity in a middleware when the socket has been recovered from
	// the session of another identity: the client came back with somebody else's credentials.
	ErrOtherIdentity = errors.New("recovered session belongs to another identity")
	// ErrNoAck is returned by an answer to an event whose sender wants none.
	ErrNoAck = errors.New("sender wants no acknowledgement")
	// ErrServerClosed is returned by whatever sends to many sockets, or asks about them or about other servers, once
	// Shutdown has closed the namespaces. What concerns the sockets of this server alone finds none then. It is the cause of an
	// *adapter.PartialError if Shutdown ends the wait for answers.
	ErrServerClosed = adapter.ErrServerClosed
)

// errNotMade refuses a CONNECT to a namespace whose adapter or OnNamespace hooks failed, which is logged.
var errNotMade = errors.New("namespace not available")

// errInvalidNamespace refuses a CONNECT to a namespace there is none of. Clients of protocol 4 get it as
// {"message":...} too, unlike the refusals of a middleware. Source: socket.io/lib/client.ts, connect.
var errInvalidNamespace = errors.New("Invalid namespace")

// errUnsendable is a packet of which the parser makes no message: one of Config.Parser's own.
var errUnsendable = errors.New("parser makes nothing of the packet")

// Error is an error with data for the client: returned by a middleware it becomes the CONNECT_ERROR
// {"message":Message,"data":Data}, returned by a handler the acknowledgement {"error":Message,"data":Data}.
// Any other error is sent with its text alone.
type Error struct {
	Message string
	// Data is any JSON-encodable value; nil sends none. One that cannot be encoded is left out of a
	// CONNECT_ERROR, and makes an acknowledgement {"error":"internal error"}; either is logged.
	Data any
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }
