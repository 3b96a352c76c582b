package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/internal/wsclient"
	"github.com/beanpole/beanpole/server"
)

// start serves a chat.
func start(t *testing.T) (c *chat, url string) {
	t.Helper()
	io, err := server.New(server.Config{Recovery: &server.Recovery{Recovery: adapter.Recovery{MaxDisconnection: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	c = newChat(io, "")
	web := httptest.NewServer(io)
	t.Cleanup(func() {
		if err := io.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return c, web.URL
}

// visitor is somebody in the chat, over a raw WebSocket.
type visitor struct {
	*wsclient.Client
	by string
}

// come connects somebody whose key ends with a word.
func come(t *testing.T, url, name, word string) *visitor {
	t.Helper()
	auth, err := json.Marshal(map[string]string{"name": name, "key": strings.Repeat("k", minKey) + word})
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{Client: wsclient.Dial(t, url, "4", nil)}
	v.Connect("/", string(auth))
	v.by, _ = v.you()
	return v
}

// you returns who the server says one is, and the event's offset.
func (v *visitor) you() (by, offset string) {
	v.T.Helper()
	var you []string
	if err := json.Unmarshal([]byte("["+v.until(`42["you",`)+"]"), &you); err != nil || len(you) != 2 {
		v.T.Fatal(you, err)
	}
	return you[0], you[1]
}

// until returns the rest of the next packet that begins so, without the bracket at its end.
func (v *visitor) until(start string) string {
	v.T.Helper()
	for {
		if rest, ok := strings.CutPrefix(v.Text(), start); ok {
			return strings.TrimSuffix(rest, "]")
		}
	}
}

// ask emits an event and returns its acknowledgement.
func (v *visitor) ask(event string, arg any) (answer string) {
	v.T.Helper()
	b, err := json.Marshal([]any{event, arg})
	if err != nil {
		v.T.Fatal(err)
	}
	v.Send("421" + string(b))
	return v.until("431[")
}

func (v *visitor) enters(room string) Entry {
	v.T.Helper()
	var e Entry
	if answer := v.ask("enter", room); json.Unmarshal([]byte(answer), &e) != nil || e.Room == "" {
		v.T.Fatalf("%s: %s", room, answer)
	}
	return e
}

func TestNobodyReplacesTheMessageOfAnother(t *testing.T) {
	_, url := start(t)
	ada, eve := come(t, url, "Ada", "ada"), come(t, url, "Eve", "eve")
	ada.enters("a")
	eve.enters("a")
	ada.ask("message", map[string]string{"id": "1", "text": "mine"})
	answer := eve.ask("message", map[string]string{"id": "1", "by": ada.by, "name": "Ada", "text": "forged"})
	var m Message
	if err := json.Unmarshal([]byte(answer), &m); err != nil || m.By != eve.by || m.Name != "Eve" {
		t.Errorf("by %q, who is %q, %v", m.By, eve.by, err)
	}
	history := eve.enters("a").History
	if len(history) != 2 || history[0].By != ada.by || history[0].Text != "mine" || history[1].By != eve.by {
		t.Errorf("history is %+v", history)
	}
}

func TestMessageSentAgainAfterALostConnectionIsOne(t *testing.T) {
	_, url := start(t)
	ben := come(t, url, "Ben", "ben")
	ben.enters("a")
	for i := range 2 {
		ada := come(t, url, "Ada", "ada")
		ada.enters("a")
		if got := ada.ask("message", map[string]string{"id": "1", "text": fmt.Sprint("try ", i)}); !strings.Contains(got, `"text":"try 0"`) {
			t.Errorf("try %d: %s", i, got)
		}
		ada.HangUp()
	}
	if got := ben.enters("a").History; len(got) != 1 {
		t.Errorf("history is %+v", got)
	}
}

func TestNameBelongsToOnePersonInARoom(t *testing.T) {
	_, url := start(t)
	const refused = `{"error":"somebody else has that name there, or one that looks like it"}`
	ada := come(t, url, "Ada Lovelace", "ada")
	ada.enters("a")
	for _, name := range []string{"Ada Lovelace", "ada lovelace", "Ada LoveIace", "Ada\u034F Lovelace\uFE0F", "Ａda Lovelace"} {
		eve := come(t, url, name, "eve")
		if got := eve.ask("enter", "A"); got != refused {
			t.Errorf("%q comes in: %s", name, got)
		}
		if got := eve.ask("message", map[string]string{"id": "1", "text": "hello"}); !strings.Contains(got, "enter a room first") {
			t.Errorf("%q speaks: %s", name, got)
		}
		eve.enters("b")
		eve.HangUp()
	}
	come(t, url, "Ada Byron", "eve").enters("a")
	come(t, url, "Ada Lovelace", "ada").enters("a") // in another window

	// What she has said keeps her name when she has gone.
	ada.ask("message", map[string]string{"id": "1", "text": "hello"})
	ada.enters("c")
	eve := come(t, url, "Ada Lovelace", "eve")
	if got := eve.ask("enter", "a"); got != refused {
		t.Errorf("after her: %s", got)
	}
	come(t, url, "Ada Lovelace", "ada").enters("a")
}

func TestWhoLeavesARoomGivesItsNameBack(t *testing.T) {
	_, url := start(t)
	ada := come(t, url, "Ada", "ada")
	ada.enters("a")
	ada.enters("b")
	come(t, url, "Ada", "eve").enters("a")
}

func TestLooks(t *testing.T) {
	alike := func(a, b string) bool {
		return slices.ContainsFunc(looks(a), func(l string) bool { return slices.Contains(looks(b), l) })
	}
	for _, c := range [][2]string{{"Ida", "ida"}, {"Ida", "lda"}, {"B0b", "bob"}, {"Bob", "Воb"}, {"Emma", "Ernma"}, {"ŕ", "r\u0301"},
		{"Adam Miller", "Ａｄａｍ Ｍｉｌｌｅｒ"}, {"Adam Miller", "ADAM MILLER"}, {"Adam Miller", "ADA\u041c \u041cILL\u0415R"},
		{"Adam Miller", "Adam Mi\u0307ller"}, {"Adam Miller", "Adam M\u0130ller"}, {"Adam Miller", "Adam Mi\u1175ller"},
		{"Adam Miller", "Adam Miller\u0345"}, {"boss", "ⓑⓞⓢⓢ"}, {"boss", "🄱🄾🅂🅂"}, {"boss", "🅱🅾🆂🆂"}, {"Παύλος", "ΠΑΎΛΟΣ"},
	} {
		if !alike(c[0], c[1]) {
			t.Errorf("%q does not look like %q: %q, %q", c[0], c[1], looks(c[0]), looks(c[1]))
		}
	}
	for _, c := range [][2]string{{"Ada", "Ida"}, {"Ada", "Adam"}, {"Ben", "Bén"}, {"Ada 1", "Ada 2"}, {"👩", "👨"}} {
		if alike(c[0], c[1]) {
			t.Errorf("%q looks like %q: %q, %q", c[0], c[1], looks(c[0]), looks(c[1]))
		}
	}
}

func TestMixed(t *testing.T) {
	for _, name := range []string{"Ad\u0430", "\u0391da Lovelace", "Adam \u041cILLER", "Mi\u0585er"} {
		if !mixed(name) {
			t.Errorf("%q is of one alphabet", name)
		}
	}
	for _, name := range []string{"Ada Lovelace", "Ада Lovelace", "José 2", "Παύλος", "田中さん", "T田中", "김 Kim", "👩‍🚀 Ada", "ⓑoss"} {
		if mixed(name) {
			t.Errorf("%q is mixed", name)
		}
	}
}

// Who takes a name while its owner is away has it; the owner is not brought back beside.
func TestNameThatWasTakenMeanwhile(t *testing.T) {
	c, url := start(t)
	auth := map[string]string{"name": "Ada", "key": strings.Repeat("k", minKey) + "ada"}
	gone := make(chan struct{}, 1)
	c.io.OnConnection(func(s *server.Socket) {
		if by(s) == author(auth["key"]) {
			s.OnDisconnect(func(server.Disconnection) { gone <- struct{}{} })
		}
	})
	for taken := range 2 {
		room := fmt.Sprint("room ", taken)
		ada := &visitor{Client: wsclient.Dial(t, url, "4", nil)}
		b, _ := json.Marshal(auth)
		welcome := ada.Connect("/", string(b))
		_, offset := ada.you()
		ada.enters(room)
		ada.HangUp()
		<-gone
		eve := come(t, url, "Ada", "eve")
		if taken == 1 {
			eve.enters(room)
		}
		again := map[string]string{"pid": welcome.PID, "offset": offset}
		for k, v := range auth {
			again[k] = v
		}
		b, _ = json.Marshal(again)
		ada = &visitor{Client: wsclient.Dial(t, url, "4", nil)}
		if w := ada.Connect("/", string(b)); w.PID != welcome.PID {
			t.Fatalf("not recovered: %v", w)
		}
		said := ada.ask("message", map[string]string{"id": "1", "text": "here"})
		entered := ada.ask("enter", room)
		if refused := strings.Contains(entered, "somebody else"); refused != (taken == 1) || strings.Contains(said, "enter a room first") != refused {
			t.Errorf("taken %d: says %s, enters %s", taken, said, entered)
		}
		eve.HangUp()
		ada.Send("41")
		<-gone
	}
}

func TestKeyIsNeeded(t *testing.T) {
	_, url := start(t)
	for _, auth := range []string{`{"name":"Ada"}`, `{"name":"Ada","key":"short"}`, `{"name":"Ada","key":7}`} {
		c := wsclient.Dial(t, url, "4", nil)
		c.Send("40" + auth)
		if got := c.Text(); !strings.HasPrefix(got, `44{"message":"a `) {
			t.Errorf("%s: %s", auth, got)
		}
	}
}

func TestEnteringWhereOneIsTellsNobody(t *testing.T) {
	c, url := start(t)
	ada := come(t, url, "Ada", "ada")
	ada.enters("a")
	ada.until(`42["people",{"room":"a","people":[{"by":"` + ada.by + `","name":"Ada"}],"count":1,`)
	for _, same := range []string{"a", "A", " a "} {
		ada.enters(same)
		c.news.mu.Lock()
		if len(c.news.soon) > 0 {
			t.Errorf("%q: %v are told", same, c.news.soon)
		}
		c.news.mu.Unlock()
	}
}

func TestEnteringIsBounded(t *testing.T) {
	_, url := start(t)
	ada := come(t, url, "Ada", "ada")
	refused := 0
	for i := range 50 {
		if i%8 == 7 { // another socket is no way round
			ada.Send("41")
			ada.Connect("/", `{"name":"Ada","key":"`+strings.Repeat("k", minKey)+`"}`)
		}
		if ada.ask("enter", fmt.Sprint("room ", i)) == `{"error":"not so fast"}` {
			refused++
		}
	}
	if refused == 0 {
		t.Error("fifty rooms at once")
	}
}

func TestRoomIsToldOnceOfManyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		told := make(map[string]int)
		n := news{tell: func(room string) {
			mu.Lock()
			defer mu.Unlock()
			told[strings.ToLower(room)]++
		}}
		for range 500 {
			n.of("a")
			n.of("A")
			n.of("b")
			n.of("")
		}
		time.Sleep(newsInterval)
		synctest.Wait()
		n.of("a")
		time.Sleep(newsInterval)
		synctest.Wait()
		if fmt.Sprint(told) != "map[a:2 b:1]" || len(n.soon) != 0 {
			t.Errorf("told %v, %v to come", told, n.soon)
		}
	})
}
