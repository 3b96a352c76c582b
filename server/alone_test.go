package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
)

// A socket that has left the room of its id is sent what is emitted to it, and that is not kept; its client has the
// offset of the event before behind a string, or it would take the string for one.
func TestSocketOutOfItsOwnRoomIsRecoveredExactly(t *testing.T) {
	srv, url, in, out := recovering(t, server.Recovery{}, nil)
	p := dial(t, url)
	first := p.connect("")
	s := await(t, in)
	s.Join("r")
	s.Leave(s.ID())
	var log []string
	s.OnAnyOutgoing(func(e *server.Event) { log = append(log, e.Name) })
	for _, err := range []error{
		srv.To("r").Emit("one", 1), s.Emit("hello", "some text"), s.Volatile().Emit("hello", "volatile"),
		s.Emit("number", 2), srv.To(s.ID()).Emit("to nobody"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	at := offset(t, p.Text())
	for _, want := range []string{
		fmt.Sprintf(`42["hello","some text",%q]`, at), fmt.Sprintf(`42["hello","volatile",%q]`, at), `42["number",2]`,
	} {
		if got := p.Text(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if len(log) != 4 {
		t.Errorf("the listeners of what is sent saw %q", log)
	}
	_ = p.Conn.Close()
	await(t, out)
	_ = srv.To(s.ID()).Emit("away")
	_ = srv.To("r").Emit("missed")
	q := dial(t, url)
	if again := q.connect(fmt.Sprintf(`{"pid":%q,"offset":%q}`, first.PID, at)); again != first {
		t.Fatal("not recovered")
	}
	if got := q.Text(); !strings.HasPrefix(got, `42["missed",`) {
		t.Errorf("it gets %s again", got)
	}
	await(t, in)
	_ = srv.To(s.ID()).Emit("back")
	if got := q.Text(); !strings.HasPrefix(got, `42["back",`) {
		t.Errorf("it gets %s", got)
	}
}
