package server

import (
	"errors"
	"fmt"

	"github.com/beanpole/beanpole/transport"
)

// The reasons of a disconnection. Source: socket.io/lib/socket-types.ts, DisconnectReason. The last four are
// Beanpole's own.
const (
	ReasonTransportError     = transport.ReasonTransportError
	ReasonTransportClose     = transport.ReasonTransportClose
	ReasonForcedClose        = transport.ReasonForcedClose
	ReasonPingTimeout        = transport.ReasonPingTimeout
	ReasonParseError         = transport.ReasonParseError
	ReasonServerShuttingDown = transport.ReasonServerShuttingDown
	ReasonForcedServerClose  = transport.ReasonForcedServerClose

	ReasonClientDisconnect transport.CloseReason = "client namespace disconnect"
	ReasonServerDisconnect transport.CloseReason = "server namespace disconnect"

	ReasonSlowConsumer                       = transport.ReasonSlowConsumer
	ReasonQueueFull    transport.CloseReason = "event queue full"
	ReasonRateLimited  transport.CloseReason = "rate limited"
	ReasonTakenOver    transport.CloseReason = "taken over" // by a new session of the same client, which recovers
)

// Disconnection says why a socket has disconnected.
type Disconnection struct {
	// Reason is one of the Reason constants, or what the application has given to transport.Session.Close.
	Reason transport.CloseReason
	// Code is that of the close frame by which the client has closed its WebSocket, and 1005 when the frame had
	// none. It is zero for every other end. RFC 6455, section 7.4.
	Code int
	// Cause is the error behind the reason, or nil when there is none. Its text is for a log and may change.
	// Node: the description.
	Cause error
}

// String returns the reason, and what else is known.
func (d Disconnection) String() string {
	if d.Cause == nil {
		return string(d.Reason)
	}
	return fmt.Sprintf("%s: %v", d.Reason, d.Cause)
}

// disconnection is that of all sockets of a session that has ended.
func disconnection(reason transport.CloseReason, cause error) Disconnection {
	d := Disconnection{Reason: reason, Cause: cause}
	var frame *transport.CloseError
	if reason == ReasonTransportClose && errors.As(cause, &frame) {
		d.Code = frame.Code
	}
	return d
}

// recoverable reports whether a socket that ended so may be recovered: unless the client or the application
// ended it, or the client broke the protocol. Source: socket.io/lib/socket.ts, RECOVERABLE_DISCONNECT_REASONS,
// and the reasons that only Beanpole has.
func recoverable(r transport.CloseReason) bool {
	return r != ReasonClientDisconnect && r != ReasonServerDisconnect && r != ReasonParseError
}
