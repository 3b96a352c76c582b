package main

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// What people may send, in characters.
const (
	maxName = 24
	maxRoom = 24
	maxText = 2000
)

// fetchTimeout bounds the question who is in a room.
const fetchTimeout = 2 * time.Second

// A Message is one line of the chat. ID is made by its author's page, so that a message sent again after a
// lost connection is known again; it tells apart the messages of one author and no others, since anybody can
// send any id. By is the author, who it is being for the server to say.
type Message struct {
	By   string    `json:"by"`
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Text string    `json:"text"`
	Time time.Time `json:"time"`
}

// Draft is a Message as its author's page sends it.
type Draft struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// Entry is the answer to somebody who enters a room.
type Entry struct {
	Room    string    `json:"room"`
	History []Message `json:"history"`
	Node    string    `json:"node,omitempty"` // the server that answers, in a cluster
}

// What the page is sent, which is in events.ts with what it may send.
var (
	you     = server.Declare[string]("you") // who one is to the others
	said    = server.DeclareFunc[func(room string, m Message)]("message")
	typing  = server.DeclareFunc[func(room string, who Person)]("typing")
	present = server.Declare[People]("people")
)

// chat answers the events of the page.
type chat struct {
	io      *server.Server
	node    string // of this server in a cluster, or ""
	history history
	news    news
}

func newChat(io *server.Server, node string) *chat {
	c := &chat{io: io, node: node}
	c.news.tell = c.tellWhoIsHere
	io.Use(admit)
	io.Sends(you, said, typing, present)
	io.On("enter", c.enter)
	io.On("message", c.message)
	io.On("typing", c.typing)
	io.OnServerSide("message", func(room string, m Message) { c.history.add(room, m) })
	io.OnServerSide("history", func(room string) []Message { return c.history.of(room) })
	io.OnConnection(func(s *server.Socket) {
		s.Use(server.Keep(s, newLimits).pass)
		_ = you.Emit(s, by(s)) // it is gone again otherwise
		if s.Recovered() {
			c.back(s)
		}
		s.OnDisconnect(func(server.Disconnection) { c.news.of(room(s)) })
	})
	return c
}

// limits bound what one session may have done: what it sends goes to everybody in its room, and who enters a
// room asks all servers and gets its history. They are the session's, since a client makes itself another socket
// for three bytes.
type limits struct{ events, rooms *rate.Limiter }

func newLimits() *limits { return &limits{rate.NewLimiter(10, 100), rate.NewLimiter(1, 10)} }

// pass is a middleware.
func (l *limits) pass(_ context.Context, e *server.Event) error {
	if !l.events.Allow() || e.Name == "enter" && !l.rooms.Allow() {
		return errors.New("not so fast")
	}
	return nil
}

// enter moves a socket to a room; it is in one at a time. Of the room it is in already it gets the history.
func (c *chat) enter(s *server.Socket, to string) (Entry, error) {
	to, ok := tidy(to, maxRoom)
	if !ok {
		return Entry{}, errors.New("a room's name has 1 to 24 characters")
	}
	if from := room(s); key(from) != key(to) {
		c.learn(s.Context(), to)
		if err := c.takeName(s, to); err != nil {
			return Entry{}, err
		}
		if from != "" {
			s.Leave(append(nameKeys(from, name(s)), key(from))...)
			c.news.of(from)
		}
		s.Data.Set("room", to)
		s.Join(key(to))
		c.news.of(to)
	}
	return Entry{Room: to, History: c.history.of(to), Node: c.node}, nil
}

// learn asks the other servers for what was said in a room before this one heard of it; from then on they
// tell. Without an answer the next one to enter asks again.
func (c *chat) learn(ctx context.Context, in string) {
	if c.history.complete(in) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	answers, err := c.io.ServerSideEmitWithAck(ctx, "history", in)
	for _, a := range answers {
		var list []Message
		if a.Decode(0, &list) != nil {
			continue
		}
		for _, m := range list {
			c.history.add(in, m)
		}
	}
	if err == nil {
		c.history.completed(in)
	}
}

// message sends a message to everybody in the author's room; the author gets it as the answer.
func (c *chat) message(s *server.Socket, d Draft) (Message, error) {
	in := room(s)
	text := strings.TrimSpace(d.Text)
	switch {
	case in == "":
		return Message{}, errors.New("enter a room first")
	case text == "" || utf8.RuneCountInString(text) > maxText:
		return Message{}, errors.New("a message has 1 to 2000 characters")
	case d.ID == "" || len(d.ID) > 64:
		return Message{}, errors.New("a message needs an id")
	}
	m, isNew := c.history.add(in, Message{By: by(s), ID: d.ID, Name: name(s), Text: text, Time: time.Now().UTC()})
	if !isNew {
		return m, nil // sent again, as the page did not get the first answer
	}
	err := errors.Join(s.To(key(in)).Emit(said.Event(), in, m),
		c.io.ServerSideEmit("message", in, m)) // into the history of the other servers
	if errors.Is(err, adapter.ErrDegraded) {
		return m, nil // here it was said, and the others get it later if they can
	}
	return m, err
}

// typing tells the others in the room that somebody types; who cannot take it now misses little.
func (c *chat) typing(s *server.Socket) error {
	in := room(s)
	if in == "" {
		return nil
	}
	return s.To(key(in)).Volatile().Emit(typing.Event(), in, Person{by(s), name(s)})
}

// key is the Socket.IO room of a room of the chat: never the id of a socket.
func key(room string) string { return "room:" + strings.ToLower(room) }

func room(s *server.Socket) string {
	v, _ := server.Value[string](&s.Data, "room")
	return v
}
