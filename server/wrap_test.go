package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

func TestNothingRunsAfterTheClientHasLeft(t *testing.T) {
	var late atomic.Int64
	hold, ended := make(chan struct{}), make(chan struct{})
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			over := false // one at a time, so no lock
			s.On("hold", func() { <-hold })
			s.On("x", func() {
				if over {
					late.Add(1)
				}
			})
			s.OnDisconnect(func(server.Disconnection) { over = true; close(ended) })
		})
		io.Of("/other").On("echo", func(v int) int { return v })
	})
	p, _ := join(t, url, "/")
	p.Connect("/other", "")
	p.Send(`42["hold"]`, `42["x"]`, "41", `42["x"]`, `42["x"]`, `42/other,1["echo",1]`)
	p.Expect(`43/other,1[1]`) // all have been received
	close(hold)
	await(t, ended)
	p.Send(`42["x"]`, `42/other,2["echo",2]`)
	p.Expect(`43/other,2[2]`)
	if n := late.Load(); n != 0 {
		t.Errorf("%d events were handled after the end", n)
	}
}

func TestContextOfARefusedSocketEnds(t *testing.T) {
	ended := make(chan error, 1)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.Use(func(s *server.Socket) error {
			context.AfterFunc(s.Context(), func() { ended <- s.Context().Err() })
			return errors.New("no")
		})
	})
	p := dial(t, url)
	p.Send("40")
	p.Expect(`44{"message":"no"}`)
	if err := await(t, ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestEmitFuncKeepsItsPlace(t *testing.T) {
	got := make(chan string, 4)
	answer := func(a server.Args, err error) { got <- fmt.Sprint(a.Values(), err) }
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.Use(func(s *server.Socket) error {
			if err := s.EmitFunc(answer, "too early"); !errors.Is(err, server.ErrNotConnected) {
				t.Errorf("before it is connected: %v", err)
			}
			return nil
		})
		io.OnConnection(func(s *server.Socket) {
			if err := s.EmitFunc(answer, "q", make(chan int)); err == nil {
				t.Error("a channel was sent")
			}
			_ = s.Emit("a")
			_ = s.EmitFunc(answer, "q", 1)
			_ = s.EmitFunc(answer, "never answered")
			_ = s.Emit("b")
		})
	})
	p, _ := join(t, url, "/")
	p.Expect(`42["a"]`, `421["q",1]`, `422["never answered"]`, `42["b"]`)
	p.Send(`431["yes",2]`, `431["again"]`)
	if s := await(t, got); s != "[yes 2] <nil>" {
		t.Error(s)
	}
	p.HangUp()
	if s := await(t, got); !strings.HasSuffix(s, server.ErrDisconnected.Error()) {
		t.Error(s)
	}
}

// face is a socket in another form, with data of its own.
type face struct{ live *string }

func (f face) Data() (adapter.Raw, any) { return adapter.Raw(*f.live), f.live }

// The data of a face are what other servers see of the socket, and what it is recovered with.
func TestFaceHasTheData(t *testing.T) {
	mine := `"mine"`
	back := make(chan *adapter.Session, 1)
	io, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.UseAlways(func(s *server.Socket) error {
			s.SetFace(face{&mine})
			if s.Recovered() {
				back <- s.Restored()
			}
			return nil
		})
		io.OnConnection(func(s *server.Socket) {
			if s.Face() != (face{&mine}) || s.Restored() != nil {
				t.Errorf("face %v, restored %v", s.Face(), s.Restored())
			}
		})
	})
	p := dial(t, url)
	w := p.Connect("/", "")
	list, err := io.FetchSockets(t.Context())
	if err != nil || len(list) != 1 || string(list[0].RawData()) != mine {
		t.Errorf("fetched %v: %v", list, err)
	}
	p.HangUp()
	q := dial(t, url)
	if got := q.Connect("/", `{"pid":"`+w.PID+`"}`); got != w {
		t.Fatalf("welcome %v, want %v", got, w)
	}
	if s := await(t, back); s == nil || string(s.Data) != mine || s.Live != &mine {
		t.Errorf("restored %+v", s)
	}
}

// watch notes what passes by.
type watch struct {
	transport.Receiver
	seen chan string
}

func (w watch) Receive(m transport.Message) { w.seen <- string(m.Data); w.Receiver.Receive(m) }

func (w watch) Closed(reason transport.CloseReason, cause error) {
	w.Receiver.Closed(reason, cause)
	w.seen <- string(reason)
}

func TestWrapSeesSessions(t *testing.T) {
	seen := make(chan string, 8)
	_, url := start(t, server.Config{Wrap: func(s *transport.Session, r transport.Receiver) transport.Receiver {
		seen <- s.ID()
		return watch{r, seen}
	}}, func(*server.Server) {})
	p, _ := join(t, url, "/")
	p.HangUp()
	for _, want := range []string{p.SID, "0", "transport close"} {
		if got := await(t, seen); got != want {
			t.Errorf("saw %q, want %q", got, want)
		}
	}
}
