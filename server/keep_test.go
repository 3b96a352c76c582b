package server_test

import (
	"testing"

	"github.com/beanpole/beanpole/internal/wsclient"
	"github.com/beanpole/beanpole/server"
)

// What is kept for a session outlives its sockets, and is nobody else's.
func TestKeepIsOfTheSession(t *testing.T) {
	type count struct{ n int }
	type other struct{ n int }
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.Static("/b")
		for _, nsp := range []string{"/", "/b"} {
			io.Of(nsp).OnConnection(func(s *server.Socket) {
				if o := server.Keep(s, func() *other { return &other{7} }); o.n != 7 {
					t.Errorf("the other type has %d", o.n)
				}
				s.On("count", func() int {
					c := server.Keep(s, func() *count { return new(count) })
					c.n++
					return c.n
				})
			})
		}
	})
	c := wsclient.Dial(t, url, "4", nil)
	c.Connect("/", "")
	c.Send(`421["count"]`)
	c.Expect(`431[1]`)
	c.Send("41")
	c.Connect("/", "")
	c.Connect("/b", "")
	c.Send(`421["count"]`)
	c.Expect(`431[2]`)
	c.Send(`42/b,1["count"]`)
	c.Expect(`43/b,1[3]`)
	c = wsclient.Dial(t, url, "4", nil)
	c.Connect("/", "")
	c.Send(`421["count"]`)
	c.Expect(`431[1]`)
}
