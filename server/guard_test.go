package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// What the application's code does in these tests instead of returning.
var faults = map[string]func(){
	"panics": func() { panic("a secret") },
	"exits":  runtime.Goexit, // as testify's require does
}

const internal = `{"error":"internal error"}`

// Values and errors whose methods fail.
type (
	badJSON  struct{ fail func() }
	badText  struct{ fail func() }
	badInput struct{}
	nilError struct{ text string }
	badError struct{ fail func() }
	badCause struct{ fail func() }
)

func (b badJSON) MarshalJSON() ([]byte, error) { b.fail(); return []byte("1"), nil }
func (b badText) MarshalText() ([]byte, error) { b.fail(); return []byte("t"), nil }
func (*badInput) UnmarshalJSON([]byte) error   { panic("a secret") }
func (e *nilError) Error() string              { return e.text }
func (e badError) Error() string               { e.fail(); return "e" }
func (e badCause) Error() string               { return "cause" }
func (e badCause) Unwrap() error               { e.fail(); return nil }

// Whatever a handler of an event does, who waits is answered, and the socket goes on with the next event.
func TestHandlerMayFail(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			srv, url := start(t, server.Config{}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					s.On("handler", func() int { fail(); return 1 })
					s.On("with error", func() error { fail(); return nil })
					s.On("typed", func(int, string) (int, error) { fail(); return 1, nil })
					s.On("raw", func(*server.Event) { fail() })
					s.On("no arguments", func() { fail() })
					s.On("text of the error", func() error { return badError{fail} })
					s.On("cause of the error", func() error { return fmt.Errorf("wrapped: %w", badCause{fail}) })
					s.On("data of the error", func() error { return &server.Error{Message: "no", Data: badJSON{fail}} })
					s.On("answer", func() any { return badJSON{fail} })
					s.On("text of an answer", func() map[string]any { return map[string]any{"a": []any{badText{fail}}} })
					s.On("key of an answer", func() map[*badText]int { return map[*badText]int{{fail}: 1} })
					s.On("ack", func(ack server.Ack) { _ = ack(badJSON{fail}) })
					s.On("argument of an emit", func() error { return s.Emit("x", 1, badJSON{fail}) })
					s.On("argument of a broadcast", func() error { return s.Namespace().Emit("x", badJSON{fail}) })
					s.On("argument of a question", func() error { _, err := s.EmitWithAck(t.Context(), "x", badJSON{fail}); return err })
					s.On("argument between servers", func() error { return s.Namespace().ServerSideEmit("x", badJSON{fail}) })
					s.On("data", func() error { return s.Data.Set("k", badJSON{fail}) })
					s.On("once", func() { t.Error("removed") })
					s.Off("once")
					s.Once("once", func() string { fail(); return "" })
				})
				io.On("of the namespace", func() { fail() })
				io.On("next", func() string { return "next" })
			})
			p, _ := join(t, url, "/")
			events := []string{
				"handler", "with error", "typed", "raw", "no arguments", "text of the error", "cause of the error",
				"data of the error", "answer", "text of an answer", "key of an answer", "ack", "argument of an emit",
				"argument of a broadcast", "argument of a question", "argument between servers", "data", "once", "of the namespace",
			}
			for i, event := range events {
				p.Send(fmt.Sprintf(`42%d["%s"]`, i, event), `4299["next"]`)
				if got, want := p.Text(), fmt.Sprintf(`43%d[%s]`, i, internal); got != want {
					t.Errorf("%s: got %s, want %s", event, got, want)
				}
				p.Expect(`4399["next"]`)
			}
			if st := srv.Stats(); st.Panics < uint64(len(events)) || st.HandlerErrors < uint64(len(events))-4 {
				t.Errorf("%d panics, %d errors of %d", st.Panics, st.HandlerErrors, len(events))
			}
		})
	}
}

func TestErrorsAndInputsThatPanic(t *testing.T) {
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("typed nil", func() error { var e *nilError; return e })
		io.On("typed nil data", func() error { var e *server.Error; return e })
		io.On("input", func(badInput) {})
		io.On("variadic input", func(...badInput) {})
		io.On("auth", func(s *server.Socket) error { var b badInput; return s.Handshake().Auth(&b) })
		io.On("typed nil answer", func() *badJSON { return nil })
		io.On("next", func() string { return "next" })
	})
	p := dial(t, url)
	p.Connect("/", `{"a":1}`)
	for _, event := range []string{`"typed nil"`, `"typed nil data"`, `"input",1`, `"variadic input",1`, `"auth"`} {
		p.Send(`421[`+event+`]`, `422["next"]`)
		p.Expect(`431[`+internal+`]`, `432["next"]`)
	}
	p.Send(`421["typed nil answer"]`)
	p.Expect(`431[null]`)
}

// What listens to events, or stands before their handlers, may fail.
func TestHooksOfASocketMayFail(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			srv, url := start(t, server.Config{}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					s.OnAny(func(e *server.Event) {
						if e.Name == "any" {
							fail()
						}
					})
					s.Use(func(_ context.Context, e *server.Event) error {
						switch e.Name {
						case "middleware":
							fail()
						case "typed nil":
							var err *nilError
							return err
						}
						return nil
					})
					s.OnAnyOutgoing(func(e *server.Event) {
						if e.Name == "outgoing" {
							fail()
						}
					})
				})
				for _, name := range []string{"any", "middleware", "typed nil"} {
					io.On(name, func() string { return "handled" })
				}
				io.On("next", func() string { return "next" })
			})
			p, _ := join(t, url, "/")
			p.Send(`421["any"]`, `422["middleware"]`, `423["typed nil"]`, `424["next"]`)
			any := `431["handled"]` // what only listens stops nothing
			if how == "exits" {
				any = `431[` + internal + `]`
			}
			p.Expect(any, `432[`+internal+`]`, `433[`+internal+`]`, `434["next"]`)

			emitted := make(chan struct{})
			go func() {
				defer close(emitted)
				_ = srv.Emit("outgoing")
			}()
			await(t, emitted)
			p.Expect(`42["outgoing"]`)
			_ = srv.Emit("after")
			p.Expect(`42["after"]`)
		})
	}
}

// A connection handler that fails leaves no client with half its handlers: it is disconnected, and its
// disconnect handlers run, all of them, whatever they do.
func TestConnectionHandlerThatFailsDisconnects(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			ends := make(chan string, 8)
			log := &lines{}
			srv, url := start(t, server.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					for _, name := range []string{"first ", "second ", "third "} {
						s.OnDisconnecting(func(why server.Disconnection) { ends <- name + string(why.Reason); fail() })
					}
					s.OnDisconnect(func(why server.Disconnection) { ends <- "fourth " + string(why.Reason); fail() })
					s.OnDisconnect(func(why server.Disconnection) { ends <- "last " + string(why.Reason) })
					fail()
				})
				io.OnConnection(func(*server.Socket) { t.Error("the handler after the one that failed ran") })
				io.Of("/other").On("echo", func(v int) int { return v })
			})
			p := dial(t, url)
			p.Connect("/other", "")
			for range 3 {
				p.Connect("/", "")
				p.Expect("41")
				for _, want := range []string{"first ", "second ", "third ", "fourth ", "last "} {
					if got := await(t, ends); got != want+"server namespace disconnect" {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				p.Send(`42/other,1["echo",7]`)
				p.Expect(`43/other,1[7]`)
			}
			eventually(t, "counted", func() bool {
				st := srv.Stats()
				return st.Connected == 4 && st.Disconnected == 3 && st.Panics >= 3
			})
			if n := log.count("its connection handler failed"); n != 3 {
				t.Errorf("%d lines", n)
			}
		})
	}
}

// A client whose way into a namespace fails is refused with no more than that, may try again, and leaves
// nothing behind.
func TestWayIntoANamespaceMayFail(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			var good atomic.Bool
			bad := func() {
				if !good.Load() {
					fail()
				}
			}
			cfg := server.Config{
				Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
					if n.Name() == "/factory" {
						bad()
					}
					return adapter.Memory(nil)(n)
				},
			}
			srv, url := start(t, cfg, func(io *server.Server) {
				io.Of("/middleware").Use(func(*server.Socket) error { bad(); return nil })
				io.Of("/error").Use(func(*server.Socket) error {
					if good.Load() {
						return nil
					}
					return badError{fail}
				})
				io.OnNamespace(func(n *server.Namespace) {
					if n.Name() == "/hook" {
						bad()
					}
				})
				io.OfPattern(regexp.MustCompile("^/(hook|factory|pattern|data)$")).Use(func(s *server.Socket) error {
					switch name := s.Namespace().Name(); {
					case name == "/pattern":
						bad()
					case name == "/data" && !good.Load():
						return &server.Error{Message: "no", Data: badJSON{fail}}
					}
					return nil
				})
				io.OfFunc(func(context.Context, string, json.RawMessage) bool { bad(); return true })
			})
			p := dial(t, url)
			for range 2 {
				for _, name := range []string{"middleware", "data", "error", "hook", "factory", "pattern", "function"} {
					want := `{"message":"internal error"}`
					switch {
					case name == "data" && how == "panics":
						want = `{"message":"no"}`
					case (name == "hook" || name == "factory") && how == "panics":
						want = `{"message":"namespace not available"}`
					}
					p.Send("40/" + name + ",")
					if got := p.Text(); got != "44/"+name+","+want {
						t.Errorf("%s: got %s", name, got)
					}
				}
			}
			if n := srv.Stats(); n.Panics < 14 || n.Connected != 0 {
				t.Errorf("%d panics, %d connected", n.Panics, n.Connected)
			}
			good.Store(true)
			for _, name := range []string{"middleware", "data", "error", "hook", "factory", "pattern", "function"} {
				p.Connect("/"+name, "")
			}
			p.HangUp()
			eventually(t, "those that nobody uses are closed", func() bool { return len(srv.Namespaces()) == 3 })
		})
	}
}

func TestFactoryThatFailsInNew(t *testing.T) {
	srv, err := server.New(server.Config{Adapter: func(adapter.Namespace) (adapter.Adapter, error) { panic("broken") }})
	if srv != nil || !errors.Is(err, server.ErrPanic) {
		t.Errorf("New returned %v, %v", srv, err)
	}
}

// What is emitted and stored is an error where it cannot be encoded, and the caller's to see.
func TestErrorsOfValuesThatPanic(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p, _ := join(t, url, "/")
	s := await(t, sockets)
	bad := badJSON{faults["panics"]}
	deep := map[string]any{"a": []any{1, &bad}}
	for name, do := range map[string]func() error{
		"emit":            func() error { return s.Emit("x", bad) },
		"emit deep":       func() error { return s.Emit("x", []byte("binary"), deep) },
		"volatile":        func() error { return s.Volatile().Emit("x", bad) },
		"ask":             func() error { _, err := s.EmitWithAck(t.Context(), "x", bad); return err },
		"broadcast":       func() error { return srv.To("r").Emit("x", bad) },
		"ask all":         func() error { _, err := srv.EmitWithAck(t.Context(), "x", bad); return err },
		"server side":     func() error { return srv.ServerSideEmit("x", bad) },
		"ask servers":     func() error { _, err := srv.ServerSideEmitWithAck(t.Context(), "x", bad); return err },
		"data":            func() error { return s.Data.Set("k", bad) },
		"data by pointer": func() error { return s.Data.Set("k", deep) },
	} {
		if err := do(); !errors.Is(err, server.ErrPanic) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if v := s.Data.Get("k"); v != nil {
		t.Errorf("stored %v", v)
	}
	_ = s.Emit("end")
	p.Expect(`42["end"]`)
}

// The errors of an emit that the document names.
func TestErrorsOfEmits(t *testing.T) {
	for _, recovery := range []*server.Recovery{nil, {}} {
		sockets, gone := make(chan *server.Socket, 2), make(chan string, 2)
		srv, url := start(t, server.Config{
			Recovery: recovery, Transport: transport.Config{MaxSendBytes: 1000, MaxBacklogPackets: 2, PingInterval: time.Hour}, // a ping is a packet
		}, func(io *server.Server) {
			io.OnConnection(func(s *server.Socket) {
				s.OnDisconnect(func(why server.Disconnection) { gone <- string(why.Reason) })
				sockets <- s
			})
		})
		want := func(what string, got, want error) {
			t.Helper()
			if recovery != nil && what != "reserved" {
				want = nil
			}
			if !errors.Is(got, want) {
				t.Errorf("%s, recovery %v: %v, want %v", what, recovery != nil, got, want)
			}
		}
		p := dialPolling(t, url)
		p.post("40")
		s := await(t, sockets)
		p.get()
		p.post(`42["read"]`) // behind it on its connection: the server knows that the answer to CONNECT has left
		want("reserved", s.Emit("connect"), server.ErrReservedEvent)
		want("large", s.Emit("x", strings.Repeat("x", 1000)), transport.ErrTooLarge)
		if err := errors.Join(s.Emit("x", 1), s.Emit("x", 2)); err != nil {
			t.Error(err)
		}
		want("full", s.Emit("x", 3), transport.ErrBacklog)
		if reason := await(t, gone); reason != "slow consumer" {
			t.Errorf("ended by %q", reason)
		}
		want("left", s.Emit("x"), server.ErrDisconnected)
		if err := srv.Emit("disconnect"); !errors.Is(err, server.ErrReservedEvent) {
			t.Errorf("broadcast: %v", err)
		}
		if err := srv.Emit("x", strings.Repeat("x", 1000)); err != nil {
			t.Errorf("broadcast: %v", err)
		}
	}
}

// What was set is what travels, whatever becomes of the value afterwards.
func TestDataIsOfWhenItWasSet(t *testing.T) {
	stop := make(chan struct{})
	changing := make(chan struct{})
	srv, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("shop", func() {
				cart := map[string]int{"apples": 1}
				list := []string{"a"}
				if err := errors.Join(s.Data.Set("cart", cart), s.Data.Set("list", &list)); err != nil {
					t.Error(err)
				}
				close(changing)
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						cart[fmt.Sprint(i%100)] = i
						list[0] = fmt.Sprint(i)
						runtime.Gosched()
					}
				}
			})
		})
	})
	p := dial(t, url)
	id := p.connect("").SID
	p.Send(`42["shop"]`)
	await(t, changing)
	for range 100 {
		found, err := srv.FetchSockets(t.Context())
		if err != nil || len(found) != 1 || found[0].ID() != id {
			t.Fatalf("%v, %v", found, err)
		}
		if got := string(found[0].RawData()); got != `{"cart":{"apples":1},"list":["a"]}` {
			t.Fatalf("data %s", got)
		}
		cart, ok := server.Value[map[string]int](&found[0].Data, "cart")
		if !ok || cart["apples"] != 1 || len(cart) != 1 {
			t.Fatalf("cart %v", cart)
		}
	}
	p.HangUp() // its state is saved while the handler goes on
	eventually(t, "it left", func() bool { return srv.LocalCount() == 0 })
	close(stop)
}

// An event that comes from another server is delivered by the adapter's goroutine, which no listener ends.
func TestListenersDoNotEndTheAdaptersGoroutine(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			spaces, told := make(chan adapter.Namespace, 1), make(chan string, 4)
			srv, url := start(t, server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
				spaces <- n
				return adapter.Memory(nil)(n)
			}}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					s.OnAnyOutgoing(func(e *server.Event) { told <- e.Name; fail() })
				})
				io.On("x", func() int { return 1 })
			})
			n := await(t, spaces)
			p, _ := join(t, url, "/")
			q, _ := join(t, url, "/")
			for _, p := range []*peer{p, q} { // the connection handler has run when an event is answered
				p.Send(`421["x"]`)
				p.Expect(`431[1]`)
			}
			survived := make(chan bool, 1)
			go func() {
				defer func() { survived <- false }()
				after := n.Deliver(adapter.Message{Data: []byte(`["news"]`)}, adapter.Flags{}, srv.Adapter().Members(adapter.Target{}))
				after()
				survived <- true
			}()
			if !await(t, survived) {
				t.Error("the adapter's goroutine has ended")
			}
			p.Expect(`42["news"]`)
			q.Expect(`42["news"]`)
			if n := len(told); n != 2 {
				t.Errorf("%d listeners were told", n)
			}
		})
	}
}

// badObserver fails where it is told to.
type badObserver struct {
	where atomic.Pointer[string]
	fail  func()
}

func (o *badObserver) at(where string) {
	if p := o.where.Load(); p != nil && *p == where {
		o.fail()
	}
}

func (o *badObserver) Handling(ctx context.Context, _ *server.Socket, event string, _ bool) context.Context {
	o.at("begin " + event)
	if p := o.where.Load(); p != nil && *p == "nothing "+event {
		return nil // what a careless one does
	}
	return ctx
}

func (o *badObserver) Handled(_ context.Context, _ *server.Socket, event string, _ bool, _ time.Duration, _ error) {
	o.at("end " + event)
}

func (o *badObserver) Acknowledged(*server.Socket, time.Duration, error) { o.at("ack") }

func TestObserverMayFail(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			o := &badObserver{fail: fail}
			gone := make(chan string, 8)
			_, url := start(t, server.Config{Observers: []server.Observer{o}}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) { s.OnDisconnect(func(server.Disconnection) { gone <- s.ID() }) })
				io.On("x", func(ctx context.Context) string { return fmt.Sprint(ctx.Err()) })
				io.On("ask", func(s *server.Socket, ctx context.Context) string {
					_, _ = s.Timeout(time.Millisecond).EmitWithAck(ctx, "q")
					return "asked"
				})
			})
			for _, where := range []string{"begin x", "end x", "nothing x"} {
				p, _ := join(t, url, "/")
				o.where.Store(&where)
				p.Send(`421["x"]`)
				if how == "panics" || where == "nothing x" {
					p.Expect(`431["<nil>"]`)
				} else if got := p.Text(); got != `431["<nil>"]` && got != `431[`+internal+`]` {
					t.Errorf("%s: got %s", where, got)
				}
				p.Send(`422["ask"]`)
				p.Text()
				p.Expect(`432["asked"]`)
			}
			p, id := join(t, url, "/")
			where := "ack"
			o.where.Store(&where)
			p.Send(`421["ask"]`)
			p.Text()
			if got := p.Text(); how == "panics" && got != `431["asked"]` || how == "exits" && got != `431[`+internal+`]` {
				t.Errorf("%s: got %s", where, got)
			}
			end := "end disconnect"
			o.where.Store(&end)
			p.Send("41")
			if got := await(t, gone); got != id {
				t.Errorf("%s left", got)
			}
			p.Connect("/", "")
		})
	}
}

// A handler for another server's event answers whatever it does, and holds up no other.
func TestServerSideHandlerMayFail(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			spaces := make(chan adapter.Namespace, 1)
			ran := make(chan string, 8)
			cfg := server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
				spaces <- n
				return adapter.Memory(nil)(n)
			}}
			_, _ = start(t, cfg, func(io *server.Server) {
				io.OnServerSide("handler", func() string { fail(); return "" })
				io.OnServerSide("answer", func() any { return badJSON{fail} })
				io.OnServerSide("error", func() error { return badError{fail} })
				io.OnServerSide("data", func() error { return &server.Error{Message: "no", Data: badJSON{fail}} })
				io.OnServerSide("typed nil", func() error { var e *nilError; return e })
				for _, name := range []string{"handler", "answer", "error", "data", "typed nil"} {
					io.OnServerSide(name, func() { ran <- name })
				}
			})
			n := await(t, spaces)
			for _, name := range []string{"handler", "answer", "error", "data", "typed nil"} {
				replies := make(chan string, 2)
				n.ServerEvent(adapter.Message{Data: []byte(`["` + name + `"]`)}, func(m adapter.Message) { replies <- string(m.Data) })
				if got := await(t, replies); got != internal {
					t.Errorf("%s: reply %s", name, got)
				}
				if got := await(t, ran); got != name {
					t.Errorf("the handler of %s ran after that of %s", got, name)
				}
			}
		})
	}
}

// badParser is a wire form of the application's own that fails for some packets.
type badParser struct {
	packet.Parser
	fail func()
}

type badDecoder struct {
	packet.Decoder
	fail func()
}

func (p badParser) NewDecoder(l packet.Limits) packet.Decoder {
	return badDecoder{p.Parser.NewDecoder(l), p.fail}
}

func (p badParser) Encode(dst []packet.Message, buf []byte, k *packet.Packet) []packet.Message {
	if strings.Contains(string(k.Data), "unsendable") {
		p.fail()
	}
	return p.Parser.Encode(dst, buf, k)
}

func (d badDecoder) Add(m packet.Message) (*packet.Packet, error) {
	if strings.Contains(string(m.Data), "unreadable") {
		d.fail()
	}
	return d.Decoder.Add(m)
}

// A packet of which a parser can make nothing is not sent; one that it cannot read ends its session.
func TestParserMayPanic(t *testing.T) {
	ends := make(chan string, 1)
	srv, url := start(t, server.Config{Parser: badParser{packet.Text(), faults["panics"]}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { s.OnDisconnect(func(why server.Disconnection) { ends <- string(why.Reason) }) })
		io.On("ask", func(s *server.Socket) (string, error) { return "answered", s.Emit("unsendable") })
		io.On("answer", func() string { return "unsendable" })
		io.Of("/refused").Use(func(*server.Socket) error { return errors.New("unsendable") })
		io.On("next", func() string { return "next" })
	})
	p, _ := join(t, url, "/")
	p.Send(`421["ask"]`)
	p.Expect(`431[` + internal + `]`)
	p.Send(`422["answer"]`)
	p.Expect(`432[` + internal + `]`)
	p.Send("40/refused,", `423["next"]`)
	p.Expect(`433["next"]`)
	if err := srv.Emit("unsendable"); err != nil {
		t.Errorf("broadcast: %v", err) // its members are told by the log
	}
	p.Send(`42["unreadable"]`)
	if reason := await(t, ends); reason != "forced close" {
		t.Errorf("ended by %q", reason)
	}
	p.ExpectClosed()
	wantClosed(t, srv, transport.ReasonForcedClose, 1)
	if n := srv.Stats().Panics; n != 5 {
		t.Errorf("%d panics are counted", n)
	}
	q, _ := join(t, url, "/")
	q.Send(`421["next"]`)
	q.Expect(`431["next"]`)
}

// An event in the segment of the WebSocket's handshake is handled on a goroutine that is not the reader yet.
func TestHandlersThatExitDoNotHoldUpShutdown(t *testing.T) {
	var ran sync.WaitGroup
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("x", func() { ran.Done(); runtime.Goexit() })
	})
	ran.Add(30)
	for range 3 {
		p, _ := join(t, url, "/")
		p.Flood(10, `42["x"]`)
	}
	ran.Wait() // and start's cleanup shuts down
}
