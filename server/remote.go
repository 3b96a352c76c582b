package server

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/beanpole/beanpole/adapter"
)

// RemoteSocket is a socket anywhere in the cluster, as it was when it was fetched.
type RemoteSocket struct {
	nsp     *Namespace
	details *adapter.Details
	Data    Data // a copy; changes stay here
}

func newRemoteSocket(n *Namespace, d *adapter.Details) *RemoteSocket {
	r := &RemoteSocket{nsp: n, details: d}
	r.Data.restore(d.Data)
	return r
}

// Describe returns the socket as it is now, as FetchSockets describes it and others see it.
func (s *Socket) Describe() *RemoteSocket {
	return newRemoteSocket(s.nsp, &local{s.nsp}.Describe([]adapter.Member{s})[0])
}

// ID returns the socket's id.
func (r *RemoteSocket) ID() string { return r.details.ID }

// Rooms returns the rooms it was in.
func (r *RemoteSocket) Rooms() []string { return r.details.Rooms }

// Handshake tells how the client connected, in Node's field names.
func (r *RemoteSocket) Handshake() adapter.Handshake { return r.details.Handshake }

// RawData returns the application's data as JSON.
func (r *RemoteSocket) RawData() json.RawMessage { return json.RawMessage(r.details.Data) }

// MarshalJSON returns an error: send what the socket tells, as its ID and Rooms.
func (r *RemoteSocket) MarshalJSON() ([]byte, error) {
	return nil, errors.New("server.RemoteSocket cannot be sent: send what it tells, as its ID")
}

func (r *RemoteSocket) broadcast() Broadcast { return r.nsp.To(r.details.ID) }

// Emit sends the socket an event.
func (r *RemoteSocket) Emit(event string, args ...any) error {
	return r.broadcast().Emit(event, args...)
}

// EmitWithAck sends an event and returns the client's answer, or ErrDisconnected when the socket is gone. Without an
// answer when ctx ends, after 5 s if it has no deadline, the errors are those of Broadcast.EmitWithAck.
func (r *RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	answers, err := r.broadcast().EmitWithAck(ctx, event, args...)
	if err != nil {
		return Args{}, err
	}
	if len(answers) == 0 {
		return Args{}, ErrDisconnected
	}
	return answers[0], nil
}

// Join puts the socket into rooms.
func (r *RemoteSocket) Join(rooms ...string) error { return r.broadcast().SocketsJoin(rooms...) }

// Leave takes the socket out of rooms.
func (r *RemoteSocket) Leave(rooms ...string) error { return r.broadcast().SocketsLeave(rooms...) }

// Disconnect disconnects the socket, or closes its session.
func (r *RemoteSocket) Disconnect(closeSession bool) error {
	return r.broadcast().DisconnectSockets(closeSession)
}
