package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/socket.io/v2/socket"
	"golang.org/x/time/rate"

	"github.com/beanpole/beanpole/server/zishang"
)

// What people may send, in characters, and how many are named.
const (
	maxName  = 24
	maxText  = 500
	maxShown = 100
)

// announceAfter is how long it takes until everybody is told who is there: of all that come and go meanwhile,
// once, or each of them would have every server asked and everybody told.
const announceAfter = 200 * time.Millisecond

// person is somebody in the chat: two with one name have two ids.
type person struct {
	ID   socket.SocketId `json:"id"`
	Name string          `json:"name"`
}

// line is one line of the chat.
type line struct {
	person
	Text string `json:"text"`
	At   int64  `json:"at"` // milliseconds since 1970
}

// setup gives the server its handlers, in the library's own words but for one.
func setup(io *socket.Server) {
	var limits limiters
	var soon atomic.Bool
	come := func() {
		if soon.CompareAndSwap(false, true) {
			time.AfterFunc(announceAfter, func() {
				soon.Store(false)
				announce(io)
			})
		}
	}
	io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
		auth, _ := s.Handshake().Auth.(map[string]any)
		name, _ := auth["name"].(string)
		name = tidy(name)
		if name == "" || utf8.RuneCountInString(name) > maxName {
			next(socket.NewExtendedError("a name has 1 to 24 characters", nil))
			return
		}
		s.SetData(map[string]any{"name": name})
		next(nil)
	})
	_ = io.On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		limit := limits.of(s.Conn())
		come()
		_ = s.On("typing", func(...any) {
			if limit.Allow() {
				_ = s.Broadcast().Emit("typing", person{s.Id(), nameOf(s.Data())})
			}
		})
		_ = s.On("disconnect", func(...any) { come() })
		// The library's handlers get ...any; this package's are typed, and answer with their result.
		zishang.OnAck(s, "message", func(_ context.Context, text string) (line, error) {
			if !limit.Allow() {
				return line{}, errors.New("not so fast")
			}
			text = strings.TrimSpace(text)
			if text == "" || utf8.RuneCountInString(text) > maxText {
				return line{}, errors.New("a message has 1 to 500 characters")
			}
			l := line{person{s.Id(), nameOf(s.Data())}, text, time.Now().UnixMilli()}
			return l, s.Broadcast().Emit("message", l)
		})
	})
}

// limiters bound what a session sends, since that goes to everybody. They are the session's and not the socket's: a
// client makes itself another socket for three bytes. The zero value is ready.
type limiters struct{ all sync.Map } // of *rate.Limiter, by session

func (l *limiters) of(session engine.Socket) *rate.Limiter {
	limit, known := l.all.LoadOrStore(session, rate.NewLimiter(5, 50))
	if !known {
		_ = session.Once("close", func(...any) { l.all.Delete(session) })
		if session.ReadyState() == "closed" { // it may have been before
			l.all.Delete(session)
		}
	}
	return limit.(*rate.Limiter)
}

// announce tells everybody who is there, on all servers.
func announce(io *socket.Server) {
	io.FetchSockets()(func(sockets []*socket.RemoteSocket, _ error) {
		people := make([]person, 0, len(sockets)) // of those that answered, should one server not
		for _, s := range sockets {
			people = append(people, person{s.Id(), nameOf(s.Data())})
		}
		slices.SortFunc(people, func(a, b person) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
		_ = io.Emit("people", people[:min(len(people), maxShown)])
	})
}

// tidy returns a name without what does not print. Two people can have the same one here, which the page tells apart by their
// ids: examples/chat shows what it takes that they cannot.
func tidy(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }), " ")
}

// nameOf is the name in a socket's data, which from another server come as JSON makes them.
func nameOf(data any) string {
	m, _ := data.(map[string]any)
	name, _ := m["name"].(string)
	return name
}
