package servertest_test

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// text is a log. Safe for concurrent use.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *text) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// What docs/testing.md says that Beanpole says of mistakes that are easily made, it says.
func TestMistakesAreSaid(t *testing.T) {
	doc, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		register func(io *server.Server)
		do       func(t testing.TB, io *server.Server, c *servertest.Client) (said string) // beside the log
		want     string
	}{
		"an event nobody handles": {
			func(io *server.Server) { io.On("order", func(string) {}) },
			func(t testing.TB, io *server.Server, c *servertest.Client) string {
				servertest.Ask[bool](c, "oder", "beans")
				return ""
			},
			`event has no handler`,
		},
		"arguments that do not fit": {
			func(io *server.Server) { io.On("order", func(struct{ Count int }) bool { return true }) },
			func(t testing.TB, io *server.Server, c *servertest.Client) string {
				return servertest.AskFails(c, "order", "beans")
			},
			`argument 1: expected object, got string`,
		},
		"an answer that is none": {
			func(io *server.Server) { io.On("order", func() any { return make(chan int) }) },
			func(t testing.TB, io *server.Server, c *servertest.Client) string {
				return servertest.AskFails(c, "order")
			},
			`answer cannot be encoded`,
		},
		"a connection handler that stays": {
			func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) { <-s.Context().Done() })
				io.On("order", func() bool { return true })
			},
			func(t testing.TB, io *server.Server, c *servertest.Client) string {
				servertest.Ask[bool](c, "order")
				return ""
			},
			`events wait for a connection handler that does not return`,
		},
		"handlers of the server for each connection": {
			func(io *server.Server) { io.OnConnection(func(*server.Socket) { io.On("order", func() {}) }) },
			func(t testing.TB, io *server.Server, _ *servertest.Client) string {
				for range 40 {
					servertest.Connect(t, io)
				}
				return ""
			},
			`handlers pile up: register those of a namespace once`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(string(doc), c.want) {
				t.Errorf("docs/testing.md does not say %q", c.want)
			}
			synctest.Test(t, func(t *testing.T) {
				log := &text{}
				handler := slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})
				io := servertest.Server(t, server.Config{Logger: slog.New(handler)})
				c.register(io)
				var said string
				failure := fails(t, func(t testing.TB) { said = c.do(t, io, servertest.Connect(t, io)) })
				if !strings.Contains(said+log.String(), c.want) {
					t.Errorf("said %q, and by the test %q\n%s", said, failure, log)
				}
			})
		})
	}
}
