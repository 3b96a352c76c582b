package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// RemoteSocket is a socket anywhere in the cluster, as it was when it was fetched.
type RemoteSocket struct {
	nsp     *Namespace
	details *adapter.Details
	timeout time.Duration
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

func (r *RemoteSocket) broadcast() Broadcast { return r.nsp.To(r.details.ID).Timeout(r.timeout) }

// Emit sends the socket an event.
func (r *RemoteSocket) Emit(event string, args ...any) error {
	return r.broadcast().Emit(event, args...)
}

// EmitWithAck sends an event and returns the client's answer, or ErrDisconnected when the socket is gone. Without an
// answer when ctx ends, after 5 s if it has no deadline, the errors are those of Broadcast.EmitWithAck.
func (r *RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return only(r.broadcast().EmitWithAck(ctx, event, args...))
}

// EmitThen is EmitWithAck for those who do not wait: then is called once, on a goroutine of its own, with what EmitWithAck
// returns. After an error of EmitThen, which is that of Broadcast.EmitThen, it is not called.
func (r *RemoteSocket) EmitThen(then func(Args, error), event string, args ...any) error {
	need("EmitThen", "a function", then != nil)
	return r.broadcast().EmitThen(func(answers []Args, err error) { then(only(answers, err)) }, event, args...)
}

// Timeout returns the socket, as it was fetched, with a bound for EmitWithAck and EmitThen, which then end with ErrTimeout.
// Zero is 5 s, unless the context has a deadline.
func (r *RemoteSocket) Timeout(d time.Duration) *RemoteSocket {
	bounded := newRemoteSocket(r.nsp, r.details)
	bounded.timeout = d
	return bounded
}

// only returns the answer of one socket.
func only(answers []Args, err error) (Args, error) {
	if err == nil && len(answers) == 0 {
		err = ErrDisconnected
	}
	if err != nil {
		return Args{}, err
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
