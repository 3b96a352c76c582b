package server_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
)

// What would arrive as {} is an error that says what to do, as where it is registered or set.
func TestEmitRefusesWhatNobodyCouldSee(t *testing.T) {
	type hidden struct{ name string }
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p := dial(t, url)
	p.Connect("/", "")
	s := await(t, sockets)
	for _, c := range []struct {
		value any
		want  string
	}{
		{hidden{"x"}, "no exported fields"},
		{[]*hidden{{"x"}}, "no exported fields"},
		{errors.New("boom"), "Error()"},
		{s.Namespace(), "use its Name"},
		{s.Handshake(), "Addr and Query"},
		{s.Session(), "nothing can travel"},
		{srv.To("x"), "nothing can travel"},
	} {
		for _, err := range []error{s.Emit("x", c.value), srv.Emit("x", 1, c.value)} {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%T: %v, want %s", c.value, err, c.want)
			}
		}
	}
	for _, v := range []any{struct{}{}, time.Unix(0, 0).UTC(), &struct{ A int }{1}, [2]int{}, nil} {
		if err := s.Emit("fine", v); err != nil {
			t.Errorf("%T: %v", v, err)
		}
		if got := p.Text(); !strings.HasPrefix(got, `42["fine",`) {
			t.Errorf("got %s", got)
		}
	}
}
