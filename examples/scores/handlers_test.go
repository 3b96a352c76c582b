package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/examples/scores/match"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

const secret = "a secret of 25 characters"

// open makes n servers of the scores.
func open(t *testing.T, n int) (list []*scores) {
	t.Helper()
	for _, io := range servertest.Cluster(t, n, server.Config{Recovery: &server.Recovery{}}) {
		s, err := newScores(io, "", secret)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// tell posts an event as the admin program does.
func (s *scores) tell(t *testing.T, event string) {
	t.Helper()
	r := httptest.NewRequest("POST", "/events", strings.NewReader(event))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 204 {
		t.Fatalf("%s: %d %s", event, w.Code, w.Body)
	}
}

func TestEventsReachEverybodyOnEveryServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := open(t, 2)
		clients := []*servertest.Client{servertest.Connect(t, all[0].io), servertest.Connect(t, all[1].io)}
		for _, c := range clients {
			if b := servertest.Expect[Board](c, "board"); len(b.Events) != 0 {
				t.Errorf("board is %+v", b)
			}
		}
		for range 2 { // sent again it is the same
			all[0].tell(t, `{"id":"1","kind":"news","text":"hello"}`)
		}
		for _, c := range clients {
			if e := servertest.Expect[match.Event](c, "event"); e.Text != "hello" {
				t.Errorf("event is %+v", e)
			}
			c.ExpectNothing("event")
		}
		late := servertest.Connect(t, all[1].io)
		if b := servertest.Expect[Board](late, "board"); len(b.Events) != 1 {
			t.Errorf("who comes late gets %+v", b)
		}
	})
}

// Who has lost the connection gets what it has missed, and is told that this was all.
func TestRecoveredClientIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := open(t, 2)
		c := servertest.ConnectTo(t, all[0].io, "/", client.Config{})
		c.ExpectArgs("board")
		c.Cut()
		all[1].tell(t, `{"id":"1","kind":"news","text":"missed"}`)
		if !c.Move(all[1].io) {
			t.Fatal("not recovered")
		}
		if e := servertest.Expect[match.Event](c, "event"); e.Text != "missed" {
			t.Errorf("event is %+v", e)
		}
		c.ExpectArgs("live")
		c.ExpectNothing("board")
	})
}
