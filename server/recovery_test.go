package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
)

type welcome struct{ SID, PID string }

func (p *peer) connect(auth string) welcome {
	p.t.Helper()
	p.send("40" + auth)
	var w welcome
	got := p.text()
	if !strings.HasPrefix(got, "40") || json.Unmarshal([]byte(got[2:]), &w) != nil || w.PID == "" {
		p.t.Fatalf("answer to CONNECT is %q", got)
	}
	return w
}

// offset returns the last argument of an event, as a client keeps it.
func offset(t *testing.T, event string) string {
	t.Helper()
	var args []any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "42")), &args); err != nil {
		t.Fatalf("%q: %v", event, err)
	}
	return args[len(args)-1].(string)
}

func TestRecoveryBringsBackStateAndMissedEvents(t *testing.T) {
	type arrival struct {
		s         *server.Socket
		recovered bool
	}
	sockets := make(chan arrival, 4)
	gone := make(chan string, 4)
	passes := 0
	srv, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.Use(func(*server.Socket) error { passes++; return nil })
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(r string) { gone <- r })
			if !s.Recovered() {
				s.Join("room")
				s.Data.Set("name", "ann")
			}
			sockets <- arrival{s, s.Recovered()}
		})
	})
	p := dial(t, url)
	first := p.connect("")
	await(t, sockets)
	if err := srv.Emit("seen"); err != nil {
		t.Fatal(err)
	}
	last := offset(t, p.text())
	_ = p.conn.Close()
	await(t, gone)

	for _, emit := range []func() error{
		func() error { return srv.To("room").Emit("missed", 1) },
		func() error { return srv.To("elsewhere").Emit("not for it", 2) },
		func() error { return srv.Volatile().Emit("volatile", 3) },
		func() error { return srv.Except("room").Emit("excepted", 4) },
		func() error { return srv.To(first.SID).Emit("missed", 5) },
	} {
		if err := emit(); err != nil {
			t.Fatal(err)
		}
	}
	q := dial(t, url)
	again := q.connect(`{"pid":"` + first.PID + `","offset":"` + last + `"}`)
	if again != first {
		t.Errorf("recovered as %v, want %v", again, first)
	}
	for _, want := range []string{`42["missed",1,`, `42["missed",5,`} {
		if got := q.text(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %s…", got, want)
		}
	}
	a := await(t, sockets)
	if name, _ := server.Value[string](&a.s.Data, "name"); !a.recovered || name != "ann" || len(a.s.Rooms()) != 2 {
		t.Errorf("recovered %v, name %q, rooms %v", a.recovered, name, a.s.Rooms())
	}
	if passes != 1 {
		t.Errorf("the middleware ran %d times", passes)
	}
	_ = a.s.Emit("live")
	if got := q.text(); !strings.HasPrefix(got, `42["live",`) {
		t.Errorf("got %q", got)
	}
}

func TestRecoveryThatIsNotPossibleSaysWhy(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	_, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p := dial(t, url)
	p.connect(`{"pid":"unknown","offset":"x"}`)
	if s := await(t, sockets); s.Recovered() || s.RecoveryError() == nil {
		t.Errorf("recovered %v, error %v", s.Recovered(), s.RecoveryError())
	}
	// What is not text is not taken for an offset.
	q := dial(t, url)
	q.connect(`{"pid":1,"offset":{}}`)
	if s := await(t, sockets); s.Recovered() {
		t.Error("recovered from nonsense")
	}
}
