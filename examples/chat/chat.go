package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// A Message is one line of the chat. ID is made by its author's page, so that a message sent again
// after a lost connection is known again.
type Message struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Text string    `json:"text"`
	Time time.Time `json:"time"`
}

// Entry is the answer to somebody who enters a room.
type Entry struct {
	Room    string    `json:"room"`
	History []Message `json:"history"`
	Node    string    `json:"node,omitempty"` // the server that answers, in a cluster
}

// People says who is in a room. Of two the one with the later At is right.
type People struct {
	Room  string   `json:"room"`
	Names []string `json:"names"`
	At    int64    `json:"at"` // microseconds since 1970
}

// chat answers the events of the page.
type chat struct {
	io      *server.Server
	node    string // of this server in a cluster, or ""
	history history
}

func newChat(io *server.Server, node string) *chat {
	c := &chat{io: io, node: node}
	io.Use(c.admit)
	io.On("enter", c.enter)
	io.On("message", c.message)
	io.On("typing", c.typing)
	io.OnServerSide("message", func(room string, m Message) { c.history.add(room, m) })
	io.OnServerSide("history", func(room string) []Message { return c.history.of(room) })
	io.OnConnection(func(s *server.Socket) {
		s.OnDisconnect(func(string) { c.announce(room(s)) })
	})
	return c
}

// admit lets in who has a name.
func (c *chat) admit(s *server.Socket) error {
	var auth struct{ Name string }
	if err := s.Handshake().Auth(&auth); err != nil {
		return errors.New("a name must be text")
	}
	name, ok := tidy(auth.Name, maxName)
	if !ok {
		return errors.New("a name has 1 to 24 characters")
	}
	s.Data.Set("name", name)
	return nil
}

// enter moves a socket to a room; it is in one at a time.
func (c *chat) enter(s *server.Socket, to string) (Entry, error) {
	to, ok := tidy(to, maxRoom)
	if !ok {
		return Entry{}, errors.New("a room's name has 1 to 24 characters")
	}
	from := room(s)
	if from != "" && from != to {
		s.Leave(key(from))
		c.announce(from)
	}
	s.Data.Set("room", to)
	s.Join(key(to))
	c.announce(to)
	c.learn(s.Context(), to)
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
func (c *chat) message(s *server.Socket, m Message) (Message, error) {
	in := room(s)
	text := strings.TrimSpace(m.Text)
	switch {
	case in == "":
		return Message{}, errors.New("enter a room first")
	case text == "" || utf8.RuneCountInString(text) > maxText:
		return Message{}, errors.New("a message has 1 to 2000 characters")
	case m.ID == "" || len(m.ID) > 64:
		return Message{}, errors.New("a message needs an id")
	}
	m, isNew := c.history.add(in, Message{ID: m.ID, Name: name(s), Text: text, Time: time.Now().UTC()})
	if !isNew {
		return m, nil // sent again, as the page did not get the first answer
	}
	err := errors.Join(s.To(key(in)).Emit("message", in, m),
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
	return s.To(key(in)).Volatile().Emit("typing", in, name(s))
}

// announce tells a room who is in it. The time is taken before the question, so that of two answers that
// overtake each other the page keeps the right one.
func (c *chat) announce(in string) {
	if in == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	people := People{Room: in, Names: []string{}, At: time.Now().UnixMicro()}
	sockets, err := c.io.In(key(in)).FetchSockets(ctx)
	if err != nil && len(sockets) == 0 {
		return // the next one to come or go tries again
	}
	for _, s := range sockets {
		if name, ok := server.Value[string](&s.Data, "name"); ok {
			people.Names = append(people.Names, name)
		}
	}
	slices.Sort(people.Names)
	people.Names = slices.Compact(people.Names)
	_ = c.io.To(key(in)).Emit("people", people) // fails only for values that are not JSON
}

// key is the Socket.IO room of a room of the chat: never the id of a socket.
func key(room string) string { return "room:" + strings.ToLower(room) }

func name(s *server.Socket) string {
	v, _ := server.Value[string](&s.Data, "name")
	return v
}

func room(s *server.Socket) string {
	v, _ := server.Value[string](&s.Data, "room")
	return v
}

// tidy returns text without what does not print, with single spaces, if it has 1 to most characters.
func tidy(text string, most int) (string, bool) {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) && r != '\u200d' { // a joiner holds many emoji together
			return -1
		}
		return r
	}, text)
	text = strings.Trim(strings.Join(strings.Fields(text), " "), "\u200d")
	n := utf8.RuneCountInString(text)
	return text, n >= 1 && n <= most
}
