package zishang

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
)

// keptData is the data of a saved session as the application has set them. A session that comes back to
// this server gets them so and not as what JSON makes of them.
type keptData struct {
	data any
	at   time.Time
}

// PersistSession takes note of what to keep of a socket that is being disconnected. It is saved once the
// library is done with the socket: its client might be back before.
func (n *namespace) PersistSession(s *socket.SessionToPersist) {
	m := n.member(s.Sid)
	if m == nil {
		return
	}
	saved := &adapter.Session{
		SID: string(s.Sid), PID: string(s.Pid), Rooms: textsOf(s.Rooms), Data: n.jsonOf(s.Data),
	}
	if s.Data != nil {
		n.keep(saved.PID, s.Data)
	}
	m.mu.Lock()
	m.saved = saved
	m.mu.Unlock()
}

// keep remembers data and forgets what nobody can come back for any more.
func (n *namespace) keep(pid string, data any) {
	limit := adapter.DefaultMaxDisconnection
	if r := n.h.cfg.Options.ConnectionStateRecovery(); r != nil {
		limit = time.Duration(r.MaxDisconnectionDuration()) * time.Millisecond
	}
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.data == nil {
		n.data = make(map[string]keptData)
	}
	if now.Sub(n.swept) > limit/2 {
		n.swept = now
		for k, d := range n.data {
			if now.Sub(d.at) > limit {
				delete(n.data, k)
			}
		}
	}
	n.data[pid] = keptData{data, now}
}

// save hands a session to the adapter.
func (n *namespace) save(s *adapter.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := n.adapter.Save(ctx, *s); err != nil {
		n.h.log.Debug("session not saved for recovery", "namespace", n.name, "err", err)
	}
}

// RestoreSession takes a saved session back. The events it missed are not among the answer: they are sent
// when the socket is connected, so that none is lost or doubled between the two.
func (n *namespace) RestoreSession(pid socket.PrivateSessionId, offset string) (*socket.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	s, err := n.adapter.Restore(ctx, string(pid), offset)
	if err == nil && s.Namespace == "" {
		// Of a server that does not say it. Here nobody could have its client pass the middlewares.
		err = fmt.Errorf("%w: session of an unknown namespace", adapter.ErrNoRecovery)
	}
	if err != nil || s == nil {
		n.h.stats.notRecovered.Add(1)
		n.h.log.Debug("session not recovered", "namespace", n.name, "err", err)
		if errors.Is(err, adapter.ErrNoRecovery) {
			err = nil // to the library a session that is not there is no error
		}
		return nil, err
	}
	out := &socket.Session{SessionToPersist: &socket.SessionToPersist{
		Sid: socket.SocketId(s.SID), Pid: socket.PrivateSessionId(s.PID), Rooms: roomsOf(s.Rooms),
	}}
	n.mu.Lock()
	n.records[out.Sid] = &record{session: s} // in the place of its former socket's
	d, ok := n.data[s.PID]
	delete(n.data, s.PID)
	n.mu.Unlock()
	if ok {
		out.Data = d.data
	} else if len(s.Data) > 0 && json.Unmarshal(s.Data, &out.Data) != nil {
		out.Data = nil
	}
	n.h.stats.recovered.Add(1)
	return out, nil
}
