package adminui

import "github.com/beanpole/beanpole/server"

// registerCommands lets the page act on the sockets of a namespace, all of them or those in a room (or
// the one whose id the filter is), in the whole cluster.
func (u *UI) registerCommands() {
	u.admin.On("emit", func(nsp string, filter *string, event string, args ...any) {
		u.act("emit", nsp, filter, func(b server.Broadcast) error { return b.Emit(event, args...) })
	})
	u.admin.On("join", func(nsp, room string, filter *string) {
		u.act("join", nsp, filter, func(b server.Broadcast) error { return b.SocketsJoin(room) })
	})
	u.admin.On("leave", func(nsp, room string, filter *string) {
		u.act("leave", nsp, filter, func(b server.Broadcast) error { return b.SocketsLeave(room) })
	})
	u.admin.On("_disconnect", func(nsp string, closeSession bool, filter *string) {
		u.act("disconnect", nsp, filter, func(b server.Broadcast) error { return b.DisconnectSockets(closeSession) })
	})
}

// act does it to what is selected.
func (u *UI) act(what, nsp string, filter *string, do func(server.Broadcast) error) {
	for _, n := range u.io.Namespaces() {
		if n.Name() != nsp {
			continue
		}
		selected := n.Except() // nobody
		if filter != nil && *filter != "" {
			selected = n.To(*filter)
		}
		u.log.Info("admin command", "command", what, "namespace", nsp)
		if err := do(selected); err != nil {
			u.log.Warn("admin command failed", "command", what, "namespace", nsp, "err", err)
		}
		return
	}
}
