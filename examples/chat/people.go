package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/beanpole/beanpole/server"
)

// Person is somebody in the chat: By is the same wherever a page with the same key is, and nobody else's.
type Person struct {
	By   string `json:"by"`
	Name string `json:"name"`
}

// People says who is in a room, the first maxShown by name. Of two the one with the later At is right.
type People struct {
	Room   string   `json:"room"`
	People []Person `json:"people"`
	Count  int      `json:"count"`
	At     int64    `json:"at"` // microseconds since 1970
}

// Of many who come and go a room is told together.
const (
	maxShown     = 100
	newsInterval = 200 * time.Millisecond
)

// The length of the key by which a page shows that it is who it was, in characters.
const minKey, maxKey = 24, 64

// admit lets in who has a name, and a key that only its page knows.
func admit(s *server.Socket) error {
	var auth struct {
		Name string `json:"name"`
		Key  string `json:"key"`
	}
	if err := s.Handshake().Auth(&auth); err != nil {
		return errors.New("a name and a key must be text")
	}
	name, ok := tidy(auth.Name, maxName)
	if !ok {
		return errors.New("a name has 1 to 24 characters")
	}
	if mixed(name) {
		return errors.New("a word of a name is of one alphabet")
	}
	if len(auth.Key) < minKey || len(auth.Key) > maxKey {
		return errors.New("a key has 24 to 64 characters")
	}
	s.Data.Set("name", name)
	s.Data.Set("by", author(auth.Key))
	return nil
}

// author is what everybody gets to see of a key: it cannot be found from it, nor another key that has it.
func author(key string) string {
	sum := sha256.Sum256([]byte("beanpole chat author\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

func name(s *server.Socket) string {
	v, _ := server.Value[string](&s.Data, "name")
	return v
}

func by(s *server.Socket) string {
	v, _ := server.Value[string](&s.Data, "by")
	return v
}

// errTaken is for who comes under another's name.
var errTaken = errors.New("somebody else has that name there, or one that looks like it")

// takeName refuses a name in a room where somebody else has it, or one that looks like it, or has said
// something that is still shown. The socket looks, holds the name, and looks again, so that of two that come at
// the same time, to whatever server, at most one gets it, and who is refused is in nobody's way.
func (c *chat) takeName(s *server.Socket, to string) error {
	keys := nameKeys(to, name(s))
	if !c.free(s, to, keys) {
		return errTaken
	}
	s.Join(keys...)
	if !c.free(s, to, keys) {
		s.Leave(keys...)
		return errTaken
	}
	return nil
}

// free reports whether nobody else has the name whose keys those are.
func (c *chat) free(s *server.Socket, to string, keys []string) bool {
	mine := by(s)
	ctx, cancel := context.WithTimeout(s.Context(), fetchTimeout)
	defer cancel()
	holders, _ := c.io.In(keys...).FetchSockets(ctx) // of the servers that answer: without the others one can chat
	for _, h := range holders {
		if who, _ := server.Value[string](&h.Data, "by"); who != mine {
			return false
		}
	}
	return !slices.ContainsFunc(c.history.of(to), func(m Message) bool {
		return m.By != mine && slices.ContainsFunc(nameKeys(to, m.Name), func(k string) bool { return slices.Contains(keys, k) })
	})
}

// back puts out of its room who was away, and whose name another has there by now: recovery has brought it in
// again. The page enters anew whenever it connects, and is told why it cannot.
func (c *chat) back(s *server.Socket) {
	in := room(s)
	if in == "" || c.takeName(s, in) == nil {
		return
	}
	s.Data.Set("room", "")
	s.Leave(append(nameKeys(in, name(s)), key(in))...)
	c.news.of(in)
}

// nameKeys are the Socket.IO rooms in which a name is held. Names that look alike have one in common.
func nameKeys(room, name string) []string {
	var keys []string
	for _, look := range looks(name) {
		keys = append(keys, "name:"+strings.ToLower(room)+"\x00"+look)
	}
	return keys
}

// tidy returns text without what does not print, with single spaces, if it has 1 to most characters.
func tidy(text string, most int) (string, bool) {
	seen := false // something that takes ink
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Z, r) || r == '\u2800': // the last is an empty pattern of Braille
			return ' '
		case r == '\u200d' || unicode.Is(unicode.Variation_Selector, r): // many emoji have them
			return r
		case !unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
			return -1
		}
		seen = seen || !unicode.IsMark(r)
		return r
	}, text)
	text = strings.Trim(strings.Join(strings.Fields(text), " "), "\u200d")
	n := utf8.RuneCountInString(text)
	return text, seen && n >= 1 && n <= most
}

// news tells rooms who is in them, soon: of all that changes until then, once. The zero value with tell set
// is ready.
type news struct {
	tell func(room string) // set before use

	mu   sync.Mutex
	soon map[string]bool // guarded by mu; rooms that are told soon
}

// of has a room told. "" is none.
func (n *news) of(room string) {
	if room == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.soon[key(room)] {
		return
	}
	if n.soon == nil {
		n.soon = make(map[string]bool)
	}
	n.soon[key(room)] = true
	time.AfterFunc(newsInterval, func() {
		n.mu.Lock()
		delete(n.soon, key(room))
		n.mu.Unlock()
		n.tell(room)
	})
}

// tellWhoIsHere tells a room who is in it. The time is taken before the question, so that of two answers that
// overtake each other the page keeps the right one.
func (c *chat) tellWhoIsHere(in string) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	at := time.Now().UnixMicro()
	sockets, err := c.io.In(key(in)).FetchSockets(ctx)
	if err != nil && len(sockets) == 0 {
		return // the next one to come or go tries again
	}
	people := []Person{}
	for _, s := range sockets {
		var p Person
		p.By, _ = server.Value[string](&s.Data, "by")
		if name, ok := server.Value[string](&s.Data, "name"); ok {
			p.Name = name
			people = append(people, p)
		}
	}
	slices.SortFunc(people, func(a, b Person) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.By, b.By))
	})
	people = slices.Compact(people)
	_ = present.Emit(c.io.To(key(in)), People{ // fails only for values that are not JSON
		Room: in, People: people[:min(len(people), maxShown)], Count: len(people), At: at,
	})
}
