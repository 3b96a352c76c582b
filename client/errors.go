package client

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Errors a caller can act on.
var (
	// ErrDisconnected is returned by a wait for an acknowledgement that can no longer come.
	ErrDisconnected = errors.New("client: disconnected")
	// ErrTimeout is returned by a wait for an acknowledgement that did not come in the time given by Timeout or
	// Config.AckTimeout. A context that ends first is its own error.
	ErrTimeout = errors.New("client: operation has timed out")
	// ErrClosed is returned after Client.Close.
	ErrClosed = errors.New("client: closed")
	// ErrBufferFull is returned for an event beyond Config.MaxBufferBytes.
	ErrBufferFull = errors.New("client: too much waits to be sent")
	// ErrReservedEvent is returned for an event name that the protocol keeps for itself.
	ErrReservedEvent = errors.New("client: reserved event name")
	// ErrAcknowledged is returned by the second answer to one event, ErrNoAck by an answer that nobody waits for.
	ErrAcknowledged = errors.New("client: event already acknowledged")
	ErrNoAck        = errors.New("client: sender wants no acknowledgement")
)

// ConnectError is the server's refusal of a namespace: what its middleware said.
type ConnectError struct {
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"` // nil when there is none
}

// Error returns the server's message.
func (e *ConnectError) Error() string { return "client: refused: " + e.Message }

// StatusError is an HTTP answer that is none of the protocol.
type StatusError struct {
	Status int    // of HTTP
	Body   string // its beginning
}

// Error returns the status and what the server said.
func (e *StatusError) Error() string { return fmt.Sprintf("client: status %d: %s", e.Status, e.Body) }

// Reason is why a socket has disconnected, in the words of Node's client.
type Reason string

// The reasons. After the first two the client does not connect again by itself.
const (
	ReasonServer         Reason = "io server disconnect"
	ReasonClient         Reason = "io client disconnect"
	ReasonPingTimeout    Reason = "ping timeout"
	ReasonTransportClose Reason = "transport close"
	ReasonTransportError Reason = "transport error"
	ReasonParseError     Reason = "parse error"
	ReasonQueueFull      Reason = "event queue full" // handlers are too slow for Config.MaxQueuedEvents
)
