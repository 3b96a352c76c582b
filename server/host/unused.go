package host

import (
	"net"
	"net/http"
	"sync"
)

// unused are connections that have asked for nothing yet. net/http's Shutdown waits five seconds for each,
// as a request may be on its way; browsers, proxies and forwarders open some in advance. A host that has
// drained does not wait: while it stops, every client of it is refused.
type unused struct{ conns sync.Map }

// note is http.Server.ConnState.
func (u *unused) note(c net.Conn, state http.ConnState) {
	if state == http.StateNew {
		u.conns.Store(c, nil)
		return
	}
	u.conns.Delete(c) // for every request, most of which were let out before: that takes no lock
}

// close closes them.
func (u *unused) close() {
	u.conns.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close()
		return true
	})
}
