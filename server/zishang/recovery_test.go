package zishang_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

// offsetOf returns the last argument of an event.
func offsetOf(t *testing.T, packet string) string {
	t.Helper()
	var args []any
	if err := json.Unmarshal([]byte(packet[strings.Index(packet, "["):]), &args); err != nil {
		t.Fatal(err)
	}
	offset, ok := args[len(args)-1].(string)
	if !ok {
		t.Fatalf("%s has no offset", packet)
	}
	return offset
}

func withRecovery() *socket.ServerOptions {
	options := socket.DefaultServerOptions()
	options.SetConnectionStateRecovery(&socket.ConnectionStateRecovery{})
	return options
}

func TestRecoveryInMemory(t *testing.T) {
	type user struct{ Name string }
	middlewares := 0
	recovered := make(chan string, 3)
	n := start(t, zishang.Config{Options: withRecovery()}, func(io *socket.Server) {
		io.Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) { middlewares++; next(nil) })
		onConnection(io.Sockets(), func(s *socket.Socket) {
			if !s.Recovered() {
				s.Join("club")
				s.SetData(&user{"Ann"})
			}
			u, _ := s.Data().(*user)
			recovered <- fmt.Sprint(s.Recovered(), u, s.Rooms().Has("club"))
			echo(s)
		})
	})
	p := dial(t, n.url)
	w := p.Connect("/", "")
	if len(w.PID) < 20 {
		t.Fatalf("welcome %+v", w)
	}
	if got := await(t, recovered); got != "false &{Ann} true" {
		t.Fatal(got)
	}
	n.io.To("club").Emit("one")
	first := p.Text()
	offset := offsetOf(t, first)
	p.HangUp()
	eventually(t, "saved", func() bool { return n.handler.Stats().Disconnected == 1 })
	n.io.To("club").Emit("two", 2)
	n.io.To("others").Emit("not for it")
	n.io.Emit("three")

	q := dial(t, n.url)
	w2 := q.Connect("/", `{"pid":"`+w.PID+`","offset":"`+offset+`"}`)
	if w2 != w {
		t.Fatalf("welcome %+v, want %+v", w2, w)
	}
	if got := await(t, recovered); got != "true &{Ann} true" {
		t.Error(got)
	}
	for _, want := range []string{`42["two",2,"`, `42["three","`} {
		if got := q.Text(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %s…", got, want)
		}
	}
	q.Send(`421["echo","x"]`)
	q.Expect(`431["x"]`)
	q.Send(`42["echo","y"]`)
	if got := q.Text(); !strings.HasPrefix(got, `42["echo","y","`) {
		t.Errorf("got %q", got)
	}
	n.io.To("club").Emit("four")
	if got := q.Text(); !strings.HasPrefix(got, `42["four","`) {
		t.Errorf("got %q", got)
	}
	if middlewares != 1 {
		t.Errorf("middlewares ran %d times; recovery skips them", middlewares)
	}
	q.HangUp()

	// Who asks for what is not there begins anew.
	r := dial(t, n.url)
	if w3 := r.Connect("/", `{"pid":"nobody","offset":"`+offset+`"}`); w3.SID == w.SID {
		t.Error("a stranger got the session")
	}
	if got := await(t, recovered); got != "false &{Ann} true" {
		t.Error(got)
	}
}

// Who was let in by one function comes back by that one, or passes the middlewares of another.
func TestRecoveryIsBoundToTheParent(t *testing.T) {
	n := start(t, zishang.Config{Options: withRecovery()}, func(io *socket.Server) {
		byFunc(io, func(_ string, auth any, next func(error, bool)) {
			a, _ := auth.(map[string]any)
			next(nil, a["invite"] == true)
		})
		byFunc(io, allow).Use(unlessToken)
	})
	p := dial(t, n.url)
	w := p.Connect("/tenant-1", `{"invite":true}`)
	p.HangUp()
	pid := `"pid":"` + w.PID + `"`
	q := dial(t, n.url)
	q.Send("40/tenant-1,{" + pid + "}")
	q.Expect(`44/tenant-1,{"message":"no"}`)
	if got := dial(t, n.url).Connect("/tenant-1", `{"token":"t",`+pid+`}`); got.SID == w.SID {
		t.Error("recovered by another function")
	}
	if got := dial(t, n.url).Connect("/tenant-1", `{"invite":true,`+pid+`}`); got != w {
		t.Errorf("welcome %v, want %v", got, w)
	}
}

func TestEmitWithAckAndRecovery(t *testing.T) {
	answers := make(chan string, 1)
	n := start(t, zishang.Config{Options: withRecovery()}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.Emit("q", "a", func(args []any, err error) { answers <- fmt.Sprint(args, err) })
		})
	})
	p, _ := join(t, n.url, "/")
	p.Expect(`421["q","a"]`) // without an offset
	p.Send(`431["b"]`)
	if got := await(t, answers); got != "[b] <nil>" {
		t.Error(got)
	}
}

// Of two who come with one session one is recovered; the other has taken it over, or is new. Nothing is left of
// what was begun for the one that could not be recovered after all.
func TestTwoComeBackAsOne(t *testing.T) {
	n := start(t, zishang.Config{Options: withRecovery()}, func(io *socket.Server) {
		io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) { s.Join("again"); next(nil) })
		onConnection(io.Sockets(), echo)
	})
	nobody := func() bool {
		nsp := n.io.Sockets()
		return nsp.Sockets().Len() == 0 && nsp.Adapter().Rooms().Len() == 0
	}
	for range 50 {
		p := dial(t, n.url)
		w := p.Connect("/", "")
		n.io.Emit("one")
		offset := offsetOf(t, p.Text())
		p.HangUp()
		eventually(t, "saved", nobody)
		peers := [2]*peer{dial(t, n.url), dial(t, n.url)}
		for _, q := range peers {
			q.Send(`40{"pid":"` + w.PID + `","offset":"` + offset + `"}`)
		}
		in := 0
		for _, q := range peers {
			if got, _, err := q.Read(); err == nil && strings.HasPrefix(string(got), `40{"sid":`) {
				in++
			}
		}
		if in == 0 {
			t.Fatal("nobody is in")
		}
		for _, q := range peers {
			q.HangUp()
		}
		eventually(t, "nothing is left", nobody)
	}
	if s := n.handler.Stats(); s.Recovered == 0 {
		t.Errorf("stats %+v", s)
	}
}

// Of two who come with one session at the same time each that is in is the one that its id names.
func TestIdsNameTheirSockets(t *testing.T) {
	options := withRecovery()
	options.ConnectionStateRecovery().SetSkipMiddlewares(false)
	pass, coming := make(chan chan struct{}, 8), make(chan struct{}, 8)
	n := start(t, zishang.Config{Options: options}, func(io *socket.Server) {
		io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
			select {
			case hold := <-pass:
				coming <- struct{}{}
				<-hold
			default:
			}
			next(nil)
		})
	})
	for range 40 {
		p := dial(t, n.url)
		w := p.Connect("/", "")
		p.HangUp()
		hold := make(chan struct{})
		peers := []*peer{dial(t, n.url), dial(t, n.url)}
		for _, q := range peers {
			pass <- hold
			q.Send(`40{"pid":"` + w.PID + `"}`)
			await(t, coming)
		}
		close(hold)
		eventually(t, "settled", func() bool {
			sockets := n.io.Sockets().Sockets()
			if sockets.Len() != n.handler.Engine().Sessions() || sockets.Len() != n.handler.SocketCounts()["/"] {
				return false
			}
			good := true
			sockets.Range(func(id socket.SocketId, s *socket.Socket) bool {
				s.Join("mine")
				good = good && s.Id() == id && s.Connected() && s.Rooms().Has("mine")
				return true
			})
			return good && sockets.Len() > 0
		})
		for _, q := range peers {
			q.HangUp()
		}
		eventually(t, "gone", func() bool { return n.handler.Engine().Sessions() == 0 && n.io.Sockets().Sockets().Len() == 0 })
	}
}
