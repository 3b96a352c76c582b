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

// An interface may be nil, and that is kept as any other value.
func TestKeepOfNothing(t *testing.T) {
	type limiter interface{ Allow() bool }
	type table map[string]int
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			made := 0
			s.On("keep", func() []bool {
				l := server.Keep(s, func() limiter { made++; return nil })
				e := server.Keep(s, func() error { made++; return nil })
				m := server.Keep(s, func() table { made++; return nil })
				return []bool{l == nil, e == nil, m == nil, made == 3}
			})
		})
	})
	c := wsclient.Dial(t, url, "4", nil)
	c.Connect("/", "")
	c.Send(`421["keep"]`, `422["keep"]`)
	c.Expect(`431[[true,true,true,true]]`, `432[[true,true,true,true]]`)
}
