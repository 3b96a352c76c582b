package main

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

func TestPlayersSeeTheGarden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGame(servertest.Server(t, server.Config{}), "a")
		ada, guest := servertest.Connect(t, g.io), servertest.Connect(t, g.io)
		w := servertest.Ask[Welcome](ada, "join", "Ada")
		if len(w.Runners) != 1+botsEach || w.Node != "a" || w.Rules.Width != width {
			t.Errorf("welcome is %+v", w)
		}
		if got := servertest.AskFails(guest, "join", "\u200b"); got != "a name has 1 to 16 characters" {
			t.Error(got)
		}
		if got := servertest.AskFails(ada, "input", []byte{1}); got != "an input has 4 bytes" {
			t.Error(got)
		}
		if err := ada.Emit("input", []byte{1, 0, 127, 0}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := g.garden.own[w.ID].X
		g.step(time.Now())
		if g.garden.own[w.ID].X <= before {
			t.Error("she has not moved")
		}
		if got := servertest.Expect[[]Runner](ada, "runners"); len(got) != 1+botsEach {
			t.Errorf("runners are %+v", got)
		}
		if state := servertest.Expect[[]byte](ada, "state"); binary.LittleEndian.Uint32(state) != 1 {
			t.Errorf("state is % x", state)
		}
		guest.ExpectNothing()
		ada.Cut()
		if _, all, _ := g.garden.look(); len(all) != botsEach {
			t.Errorf("%d play when she has gone", len(all))
		}
	})
}

// Two players with one name are two.
func TestNamesakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGame(servertest.Server(t, server.Config{}), "a")
		one := servertest.Ask[Welcome](servertest.Connect(t, g.io), "join", "Ada")
		two := servertest.Ask[Welcome](servertest.Connect(t, g.io), "join", "Ada")
		found := map[uint32]string{}
		for _, r := range two.Runners {
			found[r.ID] = r.Name
		}
		if one.ID == two.ID || found[one.ID] != "Ada" || found[two.ID] != "Ada" {
			t.Errorf("%d and %d of %v", one.ID, two.ID, found)
		}
	})
}

func TestServersShareTheGarden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var games []*game
		for _, io := range servertest.Cluster(t, 2, server.Config{}) {
			games = append(games, newGame(io, ""))
		}
		servertest.Ask[Welcome](servertest.Connect(t, games[0].io), "join", "Ada")
		games[0].step(time.Now()) // tells the others
		synctest.Wait()
		ben := servertest.Connect(t, games[1].io)
		if w := servertest.Ask[Welcome](ben, "join", "Ben"); len(w.Runners) != 2+2*botsEach {
			t.Errorf("he sees %d runners", len(w.Runners))
		}
	})
}

func TestJoiningAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGame(servertest.Server(t, server.Config{}), "")
		g.io.Of("/beside")
		c := servertest.Connect(t, g.io)
		c.Of("/beside") // keeps the session
		for i := range 5 {
			servertest.Ask[Welcome](c, "join", fmt.Sprint("Ada ", i))
		}
		for range 2 {
			if got := servertest.AskFails(c, "join", "Ada"); got != "not so fast" {
				t.Error(got)
			}
			c.Disconnect() // another socket is no way round
			if err := c.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if _, all, _ := g.garden.look(); len(all) != botsEach {
			t.Errorf("%d play", len(all))
		}
	})
}
