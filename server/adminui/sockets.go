package adminui

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// seen is what the page was last told of a socket. Owned by run, once it is in the list.
type seen struct {
	transport transport.Name
	data      string // JSON
}

// roomWatcher is what adapters have that are made of adapter.Local.
type roomWatcher interface {
	Watch(fn func(adapter.RoomEvent)) (off func())
}

// watchNamespaces tells of the sockets of every namespace, those to come included.
func (u *UI) watchNamespaces() {
	u.sockets.list = make(map[*server.Socket]*seen)
	u.io.OnNamespace(u.watchNamespace)
	for _, n := range u.io.Namespaces() {
		u.watchNamespace(n)
	}
}

func (u *UI) watchNamespace(n *server.Namespace) {
	if w, ok := adapter.As[roomWatcher](n.Adapter()); ok {
		w.Watch(func(e adapter.RoomEvent) {
			switch {
			case u.queue.isClosed():
			case e.Kind == adapter.RoomJoined:
				u.queue.put("room_joined", n.Name(), e.Room, e.Member.ID(), timestamp(time.Now()))
			case e.Kind == adapter.RoomLeft:
				u.queue.put("room_left", n.Name(), e.Room, e.Member.ID(), timestamp(time.Now()))
			}
		})
	}
	n.OnConnection(func(s *server.Socket) { u.watchSocket(n, s) })
}

// watchSocket tells of a socket from its connection to its end.
func (u *UI) watchSocket(n *server.Namespace, s *server.Socket) {
	if u.queue.isClosed() {
		return
	}
	w := &seen{transport: s.Session().Transport()}
	s.Data.Set(adminKey, adminData{clientID(s), string(w.transport)})
	w.data = dataOf(s)
	u.sockets.mu.Lock()
	u.sockets.list[s] = w
	u.sockets.mu.Unlock()
	here, err := n.To(s.ID()).Local().FetchSockets(s.Context())
	if err == nil && len(here) == 1 {
		u.queue.put("socket_connected", details(here[0], n.Name()), timestamp(time.Now()))
	}
	s.OnDisconnect(func(why server.Disconnection) {
		u.sockets.mu.Lock()
		delete(u.sockets.list, s)
		u.sockets.mu.Unlock()
		u.queue.put("socket_disconnected", n.Name(), s.ID(), string(why.Reason), timestamp(time.Now()))
	})
	if n == u.admin {
		return // what the page is told is no news
	}
	s.OnAny(func(e *server.Event) {
		u.queue.put("event_received", n.Name(), s.ID(), arguments(e), timestamp(time.Now()))
	})
	s.OnAnyOutgoing(func(e *server.Event) {
		u.queue.put("event_sent", n.Name(), s.ID(), arguments(e), timestamp(time.Now()))
	})
}

// lookAtSockets tells what has changed of the sockets of this server: their transport and their data.
func (u *UI) lookAtSockets() {
	type change struct {
		ID        string          `json:"id"`
		Namespace string          `json:"nsp"`
		Transport string          `json:"transport,omitempty"`
		Data      json.RawMessage `json:"data,omitempty"`
	}
	u.sockets.mu.Lock()
	list := maps.Clone(u.sockets.list)
	u.sockets.mu.Unlock()
	for s, w := range list {
		c := change{ID: s.ID(), Namespace: s.Namespace().Name()}
		if now := s.Session().Transport(); now != w.transport {
			w.transport, c.Transport = now, string(now)
			s.Data.Set(adminKey, adminData{clientID(s), c.Transport})
		}
		if now := dataOf(s); now != w.data {
			w.data, c.Data = now, json.RawMessage(now)
		}
		if c.Transport != "" || c.Data != nil {
			u.queue.put("socket_updated", c)
		}
	}
}

// dataOf is the application's data of a socket; what is not JSON is not shown.
func dataOf(s *server.Socket) string {
	raw, err := s.Data.MarshalJSON()
	if err != nil {
		return "{}"
	}
	return string(withoutAdmin(raw))
}

// allSockets describes every socket of the cluster, as far as servers answer in time.
func (u *UI) allSockets(ctx context.Context) []socketDetails {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	out := []socketDetails{}
	for _, n := range u.io.Namespaces() {
		list, err := n.FetchSockets(ctx)
		if err != nil {
			u.log.Warn("admin page gets a part of the sockets", "namespace", n.Name(), "err", err)
		}
		for _, r := range list {
			out = append(out, details(r, n.Name()))
		}
	}
	return out
}
