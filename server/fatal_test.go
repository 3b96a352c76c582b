package server_test

import (
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
)

// What would end the process, as no recover holds a stack that overflows, is an error.
func TestValuesThatContainThemselvesEndNothing(t *testing.T) {
	type endless *endless
	var cycle any
	cycle = &cycle
	list := []any{nil}
	list[0] = list
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("answer", func() any { return cycle })
			s.On("error", func() error { return &server.Error{Message: "no", Data: cycle} })
			s.On("data", func() error { return s.Data.Set("x", cycle) })
			s.On("endless data", func() error { return s.Data.Set("x", (endless)(nil)) })
			s.On("emit", func() string { return s.Emit("x", list, cycle).Error() })
			s.On("panic", func() { panic(list) })
			s.On("panic through", func() { panic(cycle) })
			s.On("decode", func(e *server.Event) error { return e.Decode(0, cycle) })
		})
	})
	p, _ := join(t, url, "/")
	for _, event := range []string{"answer", "error", "data", "endless data", "emit", "panic", "panic through", "decode"} {
		p.Send(`421["` + event + `",{"a":1}]`)
		if event == "panic" || event == "panic through" {
			continue // which answer nothing unless they return something
		}
		if got := p.Text(); !strings.HasPrefix(got, "431[") {
			t.Errorf("%s is answered %s", event, got)
		}
	}
}

func TestHandlerOfEndlessPointersIsRefused(t *testing.T) {
	type endless *endless
	_, _ = start(t, server.Config{}, func(io *server.Server) {
		for _, fn := range []any{func(endless) {}, func(struct{ P endless }) {}, func() endless { return nil }} {
			func() {
				defer func() {
					if v, _ := recover().(string); !strings.Contains(v, "nothing but pointers") {
						t.Errorf("%T: %q", fn, v)
					}
				}()
				io.On("x", fn)
			}()
		}
	})
}
