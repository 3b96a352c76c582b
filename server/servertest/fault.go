package servertest

import (
	"net/http"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// CutOff cuts a server of a Cluster off from the others, as when it cannot reach Redis. Its clients stay, and what it sends them; its
// broadcasts reach no others, which their error says, and its questions tell what is missing. The others wait for it with theirs, and
// after adapter.LinkForgotten take it for dead. What is sent meanwhile is never made up for, where over Redis most of it is: an application that
// bears this bears that. A server that has died looks the same to the others. It lasts until Rejoin.
func CutOff(t testing.TB, io *server.Server) {
	t.Helper()
	link(t, io).Cut()
}

// Rejoin ends CutOff.
func Rejoin(t testing.TB, io *server.Server) {
	t.Helper()
	link(t, io).Mend()
}

func link(t testing.TB, io *server.Server) *adapter.Link {
	t.Helper()
	a, ok := adapter.As[interface{ Link() *adapter.Link }](io.Adapter())
	if !ok {
		t.Fatal("only a server of servertest.Cluster can be cut off from others")
	}
	return a.Link()
}

// Cut breaks the connection as a network does, for both ends, and none can be made until Back. It returns when the
// client has noticed, and in a bubble of testing/synctest the server too; there it begins when what is under way has
// arrived, which by polling is between two polls otherwise: then the server would notice by its heartbeat alone.
func (c *Client) Cut() {
	c.t.Helper()
	rest()
	c.line.cut()
	if !c.await(func() bool { return !c.Connected() }) {
		c.t.Fatalf("%s: the client does not notice that its connection is cut: does a handler of it block?", c.Namespace())
	}
	c.mu.Lock()
	c.ends = 0 // it was to be expected
	c.mu.Unlock()
	rest()
}

// Mend ends Cut. The client connects again when it next tries, or by its Connect.
func (c *Client) Mend() { c.line.mend() }

// Back is Mend and Connect, which must succeed, and reports whether the server has recovered the client's state: it has
// missed nothing then.
func (c *Client) Back() (recovered bool) {
	c.t.Helper()
	c.Mend()
	c.connect()
	return c.Recovered()
}

// Move is Cut and Back to another server, as when a load balancer sends the client elsewhere.
func (c *Client) Move(to http.Handler) (recovered bool) {
	c.t.Helper()
	c.Cut()
	c.line.lead(to)
	return c.Back()
}

// Freeze has the client read nothing: what it is sent piles up, first on the connection and then with the server. It
// answers no heartbeat, and what it closes the server does not see, so this gives it up when enough time passes.
func (c *Client) Freeze() { c.line.hold(true) }

// Thaw ends Freeze.
func (c *Client) Thaw() { c.line.hold(false) }
