package server_test

import (
	"slices"
	"testing"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// What is kept for a session outlives its sockets, and is nobody else's.
func TestKeepIsOfTheSession(t *testing.T) {
	type count struct{ n int }
	type other struct{ n int }
	io := servertest.Server(t, server.Config{})
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
	want := func(c *servertest.Client, want int) {
		t.Helper()
		if n := servertest.Ask[int](c, "count"); n != want {
			t.Errorf("count is %d, want %d", n, want)
		}
	}
	c := servertest.Connect(t, io)
	b := c.Of("/b") // holds the session
	want(c, 1)
	c.Disconnect()
	if err := c.Socket.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(c, 2)
	want(b, 3)
	want(servertest.Connect(t, io), 1)
}

// An interface may be nil, and that is kept as any other value.
func TestKeepOfNothing(t *testing.T) {
	type limiter interface{ Allow() bool }
	type table map[string]int
	io := servertest.Server(t, server.Config{})
	io.OnConnection(func(s *server.Socket) {
		made := 0
		s.On("keep", func() []bool {
			l := server.Keep(s, func() limiter { made++; return nil })
			e := server.Keep(s, func() error { made++; return nil })
			m := server.Keep(s, func() table { made++; return nil })
			return []bool{l == nil, e == nil, m == nil, made == 3}
		})
	})
	c := servertest.Connect(t, io)
	for range 2 {
		if all := servertest.Ask[[]bool](c, "keep"); slices.Contains(all, false) {
			t.Errorf("kept: %v", all)
		}
	}
}
