package server_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// remarks keep what is said.
type remarks struct {
	mu    sync.Mutex
	lines []string
}

func (j *remarks) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(b))
	return len(b), nil
}

// log returns a logger whose lines the remarks keeps, from that level on.
func (j *remarks) log(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: level}))
}

// find returns the lines with all the parts.
func (j *remarks) find(parts ...string) (found []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

// once fails the test unless one line, and no other, has the first part, and that line the others.
func (j *remarks) once(t *testing.T, first string, others ...string) {
	t.Helper()
	if n := len(j.find(first)); n != 1 {
		t.Errorf("%d lines with %q, want one:\n%s", n, first, strings.Join(j.find(), ""))
	} else if len(j.find(append(others, first)...)) != 1 {
		t.Errorf("%s is not in %s", others, j.find(first)[0])
	}
}

// worn has fields without names of their own.
type worn struct {
	Title string
	Body  struct {
		Text string `json:"text"`
	} `json:"body"`
}

type named struct {
	Title  string    `json:"Title"`
	Until  time.Time `json:"until"`
	Hidden string    `json:"-"`
	hidden string
	*inner
}

// between travels between servers alone.
type between struct{ Title string }

// others is of types whose fields nobody here can name.
type others struct {
	Middle sql.NullString `json:"middle"`
}

type inner struct {
	Of map[string]*named `json:"of"`
}

// What works and is probably meant otherwise is said in development, once, and nowhere else.
func TestDevelopmentSaysWhatIsProbablyMeant(t *testing.T) {
	for _, development := range []bool{true, false} {
		t.Run(fmt.Sprint("development=", development), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said remarks
				io := servertest.Server(t, server.Config{Development: development, Logger: said.log(slog.LevelWarn)})
				io.OnNamespace(func(n *server.Namespace) { n.On("made", func() {}) })
				io.Of("/game").On("move", func() {})
				io.On("message", func(string) {})
				io.On("fails", func() error { return errors.New("no beans") })
				io.On("late", func(server.Ack) {})
				io.On("in time", func(answer server.Ack) { time.AfterFunc(time.Second, func() { _ = answer(1) }) })
				io.On("worn", func() (map[string][]*worn, error) { return nil, nil })
				io.On("others", func() (others, error) { return others{}, io.ServerSideEmit("told", between{}) })
				io.On("named", func() (named, error) { return named{hidden: "x"}, nil })
				io.OnConnection(func(s *server.Socket) {
					io.On("once more", func() {})
					s.On("own", func() {})
					_ = io.Of("/made").Emit("x") // has the OnNamespace hook called
				})
				one, two := servertest.Connect(t, io), servertest.Connect(t, io)
				for _, c := range []*servertest.Client{one, two, one} {
					for _, event := range []string{"mesage", "MESSAGE", "move", "nothing like it", "fails", "own"} {
						if err := c.Emit(event, "hello"); err != nil {
							t.Error(err)
						}
					}
					if err := c.Emit("message", 1); err != nil {
						t.Error(err)
					}
					for _, event := range []string{"late", "in time", "worn", "others", "named", "message"} {
						if err := c.EmitFunc(func(client.Args, error) {}, event, "hello"); err != nil {
							t.Error(err)
						}
					}
					synctest.Wait()
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				said.once(t, "a client waits for an acknowledgement that no handler gives", "event=message", "return a value") // always
				if !development {
					if lines := said.find(); len(lines) != 1 {
						t.Errorf("said without it:\n%s", strings.Join(lines, ""))
					}
					return
				}
				const unhandled = "an event has no handler"
				said.once(t, "event=mesage", unhandled, "perhaps_meant=message", "waits_for_an_answer=false")
				said.once(t, "event=MESSAGE", unhandled, "perhaps_meant=message")
				said.once(t, "event=move", unhandled, "handled_in_namespace=/game")
				said.once(t, `event="nothing like it"`, unhandled)
				said.once(t, "event=fails", "a handler has returned an error", `err="no beans"`)
				said.once(t, "the client sends something else than it takes", "event=message", `err="argument 1: expected string, got number"`)
				said.once(t, "still waits for an acknowledgement", "event=late")
				said.once(t, "a field is sent under its name in Go", "type=server_test.worn", "field=Title", "json:", "title")
				said.once(t, "holds for all of the namespace", "Namespace.On was called", `event="once more"`, "development_test.go:")
				if n := len(said.find()); n != 10 {
					t.Errorf("%d lines:\n%s", n, strings.Join(said.find(), ""))
				}
			})
		})
	}
}

// A catch-all listener, as one that logs, hides no mistake that can be told from what it may do itself.
func TestDevelopmentBesideCatchAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said remarks
		io := servertest.Server(t, server.Config{Development: true, Logger: said.log(slog.LevelWarn)})
		io.OnAny(func(e *server.Event) {
			if e.Name == "by itself" {
				time.AfterFunc(time.Second, func() { _ = e.Ack(1) })
			}
		})
		io.Of("/game").On("move", func() {})
		for _, event := range []string{"message", "by itself"} {
			io.On(event, func(string) {})
		}
		io.On("late", func(server.Ack) {})
		c := servertest.Connect(t, io)
		for _, event := range []string{"mesage", "move", "nothing like it", "message", "by itself", "late"} {
			if err := c.EmitFunc(func(client.Args, error) {}, event, "hello"); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		said.once(t, "event=mesage", "an event has no handler", "perhaps_meant=message")
		said.once(t, "event=move", "handled_in_namespace=/game")
		said.once(t, "a client waits for an acknowledgement that no handler gives", "event=message")
		said.once(t, "a client still waits for an acknowledgement", "event=late")
		if n := len(said.find()); n != 4 {
			t.Errorf("%d lines:\n%s", n, strings.Join(said.find(), ""))
		}
	})
}

// What clients send is theirs to choose: a look at one event is bounded, and when all that is said has been said none is
// taken any more.
func TestDevelopmentLooksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said remarks
		io := servertest.Server(t, server.Config{Development: true, Logger: said.log(slog.LevelWarn)})
		type place struct {
			X int `json:"x"`
		}
		io.On("one", func(place) {})
		io.On("list", func([]place) {})
		io.On("map", func(map[string]place) {})
		io.On("deep", func(struct {
			In []place `json:"in"`
		}) {
		})
		c := servertest.Connect(t, io)
		send := func(event string, value any) (lines int) {
			t.Helper()
			before := len(said.find())
			if err := c.Emit(event, value); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return len(said.find()) - before
		}
		unknown := func(prefix string) map[string]any {
			m := map[string]any{"x": 1}
			for i := range 1000 {
				m[fmt.Sprint(prefix, i)] = 1
			}
			return m
		}
		if n := send("one", unknown("a")); n < 90 || n > 100 {
			t.Errorf("%d lines of one event", n)
		}
		if n := send("list", []any{unknown("b"), unknown("c")}); n < 90 || n > 100 {
			t.Errorf("%d lines of a list", n)
		}
		if n := send("map", map[string]any{"p": unknown("d"), "q": unknown("e")}); n < 90 || n > 100 {
			t.Errorf("%d lines of a map", n)
		}
		if n := send("deep", map[string]any{"in": []any{unknown("f"), unknown("g")}}); n < 90 || n > 100 {
			t.Errorf("%d lines of what is within", n)
		}
		for i := range 20 {
			send("one", unknown(fmt.Sprint("h", i, "_")))
		}
		said.once(t, "names no others", "mistakes=1000")
		if n := len(said.find()); n != 1001 {
			t.Errorf("%d lines", n)
		}
		if n := send("nothing like it", 1) + send("list", 1) + send("one", map[string]any{"y": 1}); n != 0 {
			t.Errorf("%d lines behind the last", n)
		}
	})
}

// Names of events are the clients': what is kept of them is bounded.
func TestDevelopmentIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said remarks
		io := servertest.Server(t, server.Config{Development: true, Logger: said.log(slog.LevelWarn)})
		c := servertest.Connect(t, io)
		for i := range 2000 {
			if err := c.Emit(fmt.Sprint(strings.Repeat("x", 100), i)); err != nil {
				t.Fatal(err)
			}
			if err := c.Emit(fmt.Sprint(i, strings.Repeat("x", 100))); err != nil {
				t.Fatal(err)
			}
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if n := len(said.find("an event has no handler")); n != 1000 {
			t.Errorf("%d lines", n)
		}
		said.once(t, "event="+strings.Repeat("x", 64)+" ")
		said.once(t, "names no others", "mistakes=1000")
	})
}

// Events are shown as the filter says, and what is in them when that is asked for.
func TestDebugShowsEvents(t *testing.T) {
	for _, c := range []struct {
		debug    string
		payloads bool
		shown    []string
	}{
		{"", true, nil},
		{"*", false, []string{"/ ask", "/ one", "/ all:x", "/ local:x", "/game ask", "/game one", "/game all:x", "/game local:x"}},
		{"/game", true, []string{"/game ask", "/game one", "/game all:x", "/game local:x"}},
		{"/:ask, one", true, []string{"/ ask", "/ one", "/game one"}},
		{"*:all:*", false, []string{"/ all:x", "/game all:x"}},
		{"all:x", false, []string{"/ all:x", "/game all:x"}},
		{"/g*:o*e", false, []string{"/game one"}},
	} {
		t.Run(c.debug, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said remarks
				io := servertest.Server(t, server.Config{Debug: c.debug, DebugPayloads: c.payloads, Logger: said.log(slog.LevelDebug)})
				for _, nsp := range []string{"/", "/game"} {
					io.Of(nsp).On("ask", func(s *server.Socket, secret string) (string, error) {
						return "too", errors.Join(s.Emit("one", secret), s.To("nobody").Emit("all:x", secret), io.Of(nsp).Local().Emit("local:x", secret))
					})
					c := servertest.ConnectTo(t, io, nsp, client.Config{})
					if got := servertest.Ask[string](c, "ask", "secret"); got != "too" {
						t.Error(got)
					}
				}
				synctest.Wait()
				var want []string
				for _, shown := range c.shown {
					nsp, event, _ := strings.Cut(shown, " ")
					of := []string{"namespace=" + nsp + " ", "event=" + event + " "}
					switch event {
					case "ask":
						want = append(want, said.find(append(of, `msg="event in"`, "wants_ack=true", "bytes=16")...)...)
						want = append(want, said.find(append(of, `msg="answer out"`, "bytes=7")...)...)
					case "one":
						want = append(want, said.find(append(of, `msg="event out"`, "session=")...)...)
					case "local:x":
						want = append(want, said.find(append(of, `msg="event out"`, "rooms=[]")...)...)
						want = append(want, said.find(append(of, `msg="event delivered"`, "sockets=1")...)...)
					default:
						want = append(want, said.find(append(of, `msg="event out"`, "rooms=[nobody]", "except=[")...)...)
						want = append(want, said.find(append(of, `msg="event delivered"`, "sockets=0")...)...)
					}
				}
				lines := 0
				for _, what := range []string{"event in", "answer out", "event out", "event delivered"} {
					lines += len(said.find(`msg="` + what + `"`))
				}
				both := len(c.shown) - strings.Count(strings.Join(c.shown, ","), "one")
				if len(want) != len(c.shown)+both || lines != len(want) {
					t.Errorf("%d of %d lines, want %d:\n%s", len(want), lines, len(c.shown)+both, strings.Join(said.find(), ""))
				}
				if got := len(said.find("secret")) > 0; got != (c.payloads && c.debug != "") {
					t.Errorf("payloads are shown: %v", got)
				}
			})
		})
	}
	for _, bad := range []string{",", "/x,,/y", " "} {
		if _, err := server.New(server.Config{Debug: bad}); err == nil || !strings.Contains(err.Error(), "Debug is ") {
			t.Errorf("Debug %q: %v", bad, err)
		}
	}
}

// Who asks for lines that the log leaves out is told so.
func TestDebugWithoutDebugLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said remarks
		servertest.Server(t, server.Config{Debug: "*", Logger: said.log(slog.LevelInfo)})
		synctest.Wait()
		said.once(t, "no events are shown")
	})
}

// What holds for a namespace is said with what is for one client instead, if there is that; and not of namespaces that are
// made on demand, each once.
func TestDevelopmentKnowsWhatIsForOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said remarks
		io := servertest.Server(t, server.Config{Development: true, Logger: said.log(slog.LevelWarn)})
		io.OnConnection(func(s *server.Socket) {
			io.OnRoom(func(adapter.RoomEvent) {})
			io.OnAny(func(*server.Event) {})
			io.UseEvents(func(context.Context, *server.Event) error { return nil })
		})
		io.On("open", func(name string) { io.Of("/"+name).On("x", func() {}) })
		io.On("again", func() { io.Of("/one").On("again", func() {}) })
		for range 40 {
			c := servertest.Connect(t, io)
			for _, event := range []string{"again", "open"} {
				if err := c.Emit(event, fmt.Sprint(io.LocalCount())); err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
		}
		said.once(t, "Namespace.OnRoom was called by a handler of one client", "where the program starts\" handler=")
		said.once(t, "Namespace.OnAny was called by a handler of one client", "register by s.OnAny what is for this client\" handler=")
		said.once(t, "Namespace.UseEvents was called by a handler of one client", "register by s.Use what is for this client")
		said.once(t, "Namespace.On was called by a handler of one client", "register by s.On what is for this client", "event=again")
		for _, method := range []string{"OnRoom", "OnAny", "UseEvents", "On"} {
			if len(said.find("handlers pile up", "method=Namespace."+method+" registered=32")) != 1 {
				t.Errorf("%s: not said, or often: %s", method, said.find("handlers pile up"))
			}
		}
		if lines := said.find("event=x"); len(lines) > 0 || len(said.find(`event=""`)) > 0 {
			t.Error(said.find())
		}
	})
}

// A handler that does not return is said when events of its client wait for it, and only then.
func TestDevelopmentSaysThatEventsWait(t *testing.T) {
	for _, development := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var said remarks
			io := servertest.Server(t, server.Config{Development: development, Logger: said.log(slog.LevelWarn)})
			io.On("slow", func() { time.Sleep(time.Hour) })
			io.On("quick", func() {})
			c, other := servertest.Connect(t, io), servertest.Connect(t, io)
			send := func(c *servertest.Client, events ...string) {
				for _, event := range events {
					if err := c.Emit(event); err != nil {
						t.Error(err)
					}
				}
			}
			send(c, "quick", "slow")
			send(other, "slow")
			time.Sleep(30 * time.Minute) // nothing waits
			synctest.Wait()
			if lines := said.find(); len(lines) > 0 {
				t.Errorf("said of a handler for which nothing waits: %s", lines)
			}
			send(c, "quick")
			time.Sleep(time.Minute)
			synctest.Wait()
			if development {
				said.once(t, "events wait for a handler that does not return", "event=slow", "goroutine")
			} else if lines := said.find(); len(lines) > 0 {
				t.Errorf("said without it: %s", lines)
			}
			time.Sleep(time.Hour) // until the handlers have returned
		})
	}
}
