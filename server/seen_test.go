package server_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
)

// With MapError a client sees what that lets it see, and the log has what it does not.
func TestWhatClientsSeeOfErrors(t *testing.T) {
	log := &lines{}
	cfg := server.Config{
		Logger: slog.New(slog.NewTextHandler(log, nil)),
		MapError: func(ctx context.Context, s *server.Socket, event string, err error) error {
			switch {
			case ctx.Err() != nil || s == nil:
				t.Error("without context or socket")
			case event == "panics":
				panic("mapper")
			case errors.Is(err, fs.ErrNotExist):
				return &server.Error{Message: "not found", Data: event}
			}
			return nil
		},
		Validate: func(_ context.Context, event string, arg any) error {
			if arg == -1 {
				return &server.Error{Message: event + ": must not be negative"}
			}
			return nil
		},
	}
	_, url := start(t, cfg, func(io *server.Server) {
		io.On("open", func(name string) error { return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist} })
		io.On("query", func() error { return errors.New("pq: password of root is 1234") })
		io.On("wrapped", func() error { return errors.Join(errors.New("secret"), &server.Error{Message: "x"}) })
		io.On("own", func() error { return &server.Error{Message: "made for clients", Data: 7} })
		io.On("panics", func() error { return errors.New("x") })
		io.On("number", func(n int) int { return n })
		io.On("numbers", func(n ...int) int { return len(n) })
		io.On("text", func(n string) string { return n })
		for _, name := range []string{"/hidden", "/shown"} {
			io.Of(name).Use(func(*server.Socket) error {
				if name == "/shown" {
					return fs.ErrNotExist
				}
				return errors.New("secret")
			})
		}
		io.OfPattern(regexp.MustCompile("^/p"))
	})
	p, _ := join(t, url, "/")
	for _, c := range []struct{ send, want string }{
		{`420["open","/etc/x"]`, `430[{"error":"not found","data":"open"}]`},
		{`420["query"]`, `430[{"error":"internal error"}]`},
		{`420["wrapped"]`, `430[{"error":"internal error"}]`},
		{`420["own"]`, `430[{"error":"made for clients","data":7}]`},
		{`420["panics"]`, `430[{"error":"internal error"}]`},
		{`420["number",{"a":1}]`, `430[{"error":"internal error"}]`},
		{`420["number",-1]`, `430[{"error":"number: must not be negative"}]`},
		{`420["number",1]`, `430[1]`},
		{`420["numbers",1,-1]`, `430[{"error":"numbers: must not be negative"}]`},
		{`420["numbers",1,2]`, `430[2]`},
		{`420["text","a"]`, `430["a"]`},
		{`40/hidden,`, `44/hidden,{"message":"internal error"}`},
		{`40/shown,`, `44/shown,{"message":"not found","data":"connect"}`},
		{`40/nowhere,`, `44/nowhere,{"message":"Invalid namespace"}`},
	} {
		p.Send(c.send)
		p.Expect(c.want)
	}
	text := log.String()
	for event, want := range map[string]int{"query": 1, "wrapped": 1, "connect": 1, "open": 0, "own": 0, "number": 0, "panics": 0} {
		if got := len(regexp.MustCompile(`level=WARN msg="error hidden from a client".* event=`+event+` `).FindAllString(text, -1)); got != want {
			t.Errorf("%s is said %d times, want %d", event, got, want)
		}
	}
	if !strings.Contains(text, "password of root") || !strings.Contains(text, "panic: mapper") {
		t.Errorf("the log does not say why: %s", text)
	}
}
