package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"

	"github.com/gobwas/ws"
)

// ErrClosed is returned by sends on a session that is closing or closed.
var ErrClosed = errors.New("session closed")

// ErrBacklog is returned by the send that overflowed the session's outbox and so closed it.
var ErrBacklog = errors.New("session backlog full")

// ErrNotReady is returned by a send with SendOptions.IfReady for which there is no room. It leaves the session as it is.
var ErrNotReady = errors.New("session not ready")

// ErrTooLarge is returned by a send of more than Config.MaxSendBytes, which leaves the session as it is.
var ErrTooLarge = errors.New("message too large to send")

// CloseReason says why a session ended, in Node's words (engine.io/lib/socket.ts, onClose) and a few of ours.
type CloseReason string

// The reasons a session ends for.
const (
	ReasonTransportError     CloseReason = "transport error"
	ReasonTransportClose     CloseReason = "transport close"
	ReasonForcedClose        CloseReason = "forced close"
	ReasonPingTimeout        CloseReason = "ping timeout"
	ReasonParseError         CloseReason = "parse error"
	ReasonServerShuttingDown CloseReason = "server shutting down"
	ReasonForcedServerClose  CloseReason = "forced server close"
	// ReasonSlowConsumer is Beanpole's own: more waited for the client than the limits of Config allow.
	ReasonSlowConsumer CloseReason = "slow consumer"
)

// ErrorCode is the code of a refused request, sent to the client as {"code":N,"message":"..."}.
// Source: engine.io/lib/server.ts, Server.errors.
type ErrorCode int

// The error codes of Engine.IO. All answer 400 but CodeForbidden, which answers 403.
const (
	CodeTransportUnknown           ErrorCode = 0
	CodeSessionUnknown             ErrorCode = 1
	CodeBadHandshakeMethod         ErrorCode = 2
	CodeBadRequest                 ErrorCode = 3
	CodeForbidden                  ErrorCode = 4
	CodeUnsupportedProtocolVersion ErrorCode = 5
)

// ConnectionError describes a refused request (Node: the connection_error event).
type ConnectionError struct {
	Request *http.Request
	Code    ErrorCode
	Message string
	// Context says what was wrong: "name" (INVALID_ORIGIN, TRANSPORT_MISMATCH,
	// PROTOCOL_MISMATCH, TRANSPORT_HANDSHAKE_ERROR, HANDSHAKE_TOO_LARGE, ID_GENERATION_ERROR), "transport", "sid", "method", "protocol" …
	Context map[string]any
}

// Error returns the message sent to the client.
func (e *ConnectionError) Error() string { return e.Message }

// message is the code's text for the client. Source: engine.io/lib/server.ts, Server.errorMessages.
func (c ErrorCode) message() string {
	switch c {
	case CodeTransportUnknown:
		return "Transport unknown"
	case CodeSessionUnknown:
		return "Session ID unknown"
	case CodeBadHandshakeMethod:
		return "Bad handshake method"
	case CodeForbidden:
		return "Forbidden"
	case CodeUnsupportedProtocolVersion:
		return "Unsupported protocol version"
	default:
		return "Bad request"
	}
}

// CloseError is the cause of the end of a session whose client has sent a close frame.
type CloseError struct {
	Code int    // RFC 6455, section 7.4; 1005 when the frame had none
	Text string // the client's own, of up to 123 bytes, and not part of Error
}

// Error names the code.
func (e *CloseError) Error() string { return fmt.Sprintf("close frame with code %d", e.Code) }

// Is makes it the end of the connection by the peer.
func (e *CloseError) Is(target error) bool { return target == errPeerClosed }

// newCloseError returns the error for a close frame's body, which checkClose has let pass.
func newCloseError(body []byte) *CloseError {
	if len(body) < 2 {
		return &CloseError{Code: int(ws.StatusNoStatusRcvd)}
	}
	return &CloseError{Code: int(binary.BigEndian.Uint16(body)), Text: string(body[2:])}
}

// Causes of a session's end, handed to Receiver.Closed.
var (
	errPollOverlap  = errors.New("second poll while one is pending")
	errPostOverlap  = errors.New("second post while one is read")
	errPollAborted  = errors.New("poll connection closed prematurely")
	errPostAborted  = errors.New("post connection closed prematurely")
	errBinaryPost   = errors.New("invalid content type")
	errHeartbeat    = errors.New("invalid heartbeat direction")
	errPingTimeout  = errors.New("no heartbeat in time")
	errWriteTimeout = errors.New("connection takes no byte")
	errPeerClosed   = errors.New("connection closed by peer")
	errClientClosed = errors.New("close packet") // the client's, and its wish rather than a fault
)
