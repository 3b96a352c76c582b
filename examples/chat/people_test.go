package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// start makes a chat.
func start(t *testing.T) *chat {
	t.Helper()
	return newChat(servertest.Server(t, server.Config{Recovery: &server.Recovery{}}), "")
}

// visitor is somebody in the chat.
type visitor struct {
	*servertest.Client
	t  *testing.T
	by string
}

// come connects somebody whose key ends with a word.
func (c *chat) come(t *testing.T, name, word string) *visitor {
	t.Helper()
	auth := map[string]string{"name": name, "key": strings.Repeat("k", minKey) + word}
	v := &visitor{Client: servertest.ConnectTo(t, c.io, "/", client.Config{Auth: auth}), t: t}
	v.by = servertest.Expect[string](v.Client, "you")
	return v
}

func (v *visitor) enters(room string) Entry {
	v.t.Helper()
	return servertest.Ask[Entry](v.Client, "enter", room)
}

func (v *visitor) says(id, text string) Message {
	v.t.Helper()
	return servertest.Ask[Message](v.Client, "message", Message{ID: id, Text: text})
}

func (v *visitor) refused(event string, arg any) string {
	v.t.Helper()
	return servertest.AskFails(v.Client, event, arg)
}

func TestMessageReachesItsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		ada, ben, eve := c.come(t, "Ada", "ada"), c.come(t, "Ben", "ben"), c.come(t, "Eve", "eve")
		ada.enters("a")
		ben.enters("A")
		eve.enters("b")
		said := ada.says("1", " hello ")
		if said.By != ada.by || said.Name != "Ada" || said.Text != "hello" || !said.Time.Equal(time.Now()) {
			t.Errorf("said %+v", said)
		}
		var room string
		var m Message
		if err := ben.ExpectArgs("message").Scan(&room, &m); err != nil || room != "a" || m != said {
			t.Errorf("in %q %+v, %v", room, m, err)
		}
		if err := ada.Emit("typing"); err != nil {
			t.Fatal(err)
		}
		ben.ExpectArgs("typing")
		ada.ExpectNothing("message", "typing")
		eve.ExpectNothing("message", "typing")
	})
}

func TestServersAreOneChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var chats []*chat
		for _, io := range servertest.Cluster(t, 3, server.Config{Recovery: &server.Recovery{}}) {
			chats = append(chats, newChat(io, ""))
		}
		ada, ben := chats[0].come(t, "Ada", "ada"), chats[1].come(t, "Ben", "ben")
		ada.enters("a")
		ben.enters("a")
		ada.says("1", "hello")
		ben.ExpectArgs("message")
		if got := chats[2].come(t, "Eve", "eve").enters("a").History; len(got) != 1 || got[0].Text != "hello" {
			t.Errorf("who enters by another server gets %+v", got)
		}
		chats[2].come(t, "Ada", "eve").refused("enter", "a")
		if !ben.Move(chats[2].io) {
			t.Error("not recovered by another server")
		}
		ada.says("2", "again")
		ben.ExpectArgs("message")
	})
}

func TestNobodyReplacesTheMessageOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		ada, eve := c.come(t, "Ada", "ada"), c.come(t, "Eve", "eve")
		ada.enters("a")
		eve.enters("a")
		ada.says("1", "mine")
		m := servertest.Ask[Message](eve.Client, "message", Message{ID: "1", By: ada.by, Name: "Ada", Text: "forged"})
		if m.By != eve.by || m.Name != "Eve" {
			t.Errorf("by %q, who is %q", m.By, eve.by)
		}
		history := eve.enters("a").History
		if len(history) != 2 || history[0].By != ada.by || history[0].Text != "mine" || history[1].By != eve.by {
			t.Errorf("history is %+v", history)
		}
	})
}

func TestMessageSentAgainAfterALostConnectionIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		ben := c.come(t, "Ben", "ben")
		ben.enters("a")
		for i := range 2 {
			ada := c.come(t, "Ada", "ada")
			ada.enters("a")
			if got := ada.says("1", fmt.Sprint("try ", i)); got.Text != "try 0" {
				t.Errorf("try %d: %+v", i, got)
			}
			ada.Cut()
		}
		if got := ben.enters("a").History; len(got) != 1 {
			t.Errorf("history is %+v", got)
		}
	})
}

func TestNameBelongsToOnePersonInARoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		ada := c.come(t, "Ada Lovelace", "ada")
		ada.enters("a")
		for _, name := range []string{"Ada Lovelace", "ada lovelace", "Ada LoveIace", "Ada\u034F Lovelace\uFE0F", "Ａda Lovelace"} {
			eve := c.come(t, name, "eve")
			if got := eve.refused("enter", "A"); got != errTaken.Error() {
				t.Errorf("%q: %s", name, got)
			}
			if got := eve.refused("message", Message{ID: "1", Text: "hello"}); got != "enter a room first" {
				t.Errorf("%q speaks: %s", name, got)
			}
			eve.enters("b")
			eve.Cut()
		}
		c.come(t, "Ada Byron", "eve").enters("a")
		c.come(t, "Ada Lovelace", "ada").enters("a") // in another window

		// What she has said keeps her name when she has gone.
		ada.says("1", "hello")
		ada.enters("c")
		if got := c.come(t, "Ada Lovelace", "eve").refused("enter", "a"); got != errTaken.Error() {
			t.Errorf("after her: %s", got)
		}
		c.come(t, "Ada Lovelace", "ada").enters("a")
	})
}

func TestWhoLeavesARoomGivesItsNameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		ada := c.come(t, "Ada", "ada")
		ada.enters("a")
		ada.enters("b")
		c.come(t, "Ada", "eve").enters("a")
	})
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
	for taken := range 2 {
		synctest.Test(t, func(t *testing.T) {
			c := start(t)
			ada := c.come(t, "Ada", "ada")
			ada.enters("a")
			ada.Cut()
			if eve := c.come(t, "Ada", "eve"); taken == 1 {
				eve.enters("a")
			}
			if !ada.Back() {
				t.Fatal("not recovered")
			}
			if taken == 0 {
				ada.says("1", "here")
				ada.enters("a")
				return
			}
			if got := ada.refused("message", Message{ID: "1", Text: "here"}); got != "enter a room first" {
				t.Errorf("she says: %s", got)
			}
			if got := ada.refused("enter", "a"); got != errTaken.Error() {
				t.Errorf("she enters: %s", got)
			}
		})
	}
}

func TestKeyIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		for _, auth := range []map[string]any{{"name": "Ada"}, {"name": "Ada", "key": "short"}, {"name": "Ada", "key": 7}} {
			if got := servertest.Refused(t, c.io, "/", client.Config{Auth: auth}).Message; !strings.HasPrefix(got, "a ") {
				t.Errorf("%v: %s", auth, got)
			}
		}
	})
}

func TestEnteringWhereOneIsTellsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ada := start(t).come(t, "Ada", "ada")
		ada.enters("a")
		ada.ExpectArgs("people")
		for _, same := range []string{"a", "A", " a "} {
			ada.enters(same)
		}
		time.Sleep(2 * newsInterval)
		ada.ExpectNothing("people")
	})
}

func TestEnteringIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		c.io.Of("/beside")
		ada := c.come(t, "Ada", "ada")
		for i := range 10 {
			ada.enters(fmt.Sprint("room ", i))
		}
		if got := ada.refused("enter", "one more"); got != "not so fast" {
			t.Error(got)
		}
		ada.Of("/beside") // keeps the session
		ada.Disconnect()
		if err := ada.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := ada.refused("enter", "one more"); got != "not so fast" {
			t.Errorf("by another socket: %s", got)
		}
		time.Sleep(time.Second)
		ada.enters("one more")
	})
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
