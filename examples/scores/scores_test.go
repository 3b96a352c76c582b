package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/examples/scores/match"
	"github.com/beanpole/beanpole/server"
)

func TestBoardKeepsTheLatestOfEachMatch(t *testing.T) {
	var b board
	at := func(seq, minute int) *match.Match { return &match.Match{ID: "m", Seq: seq, Minute: minute} }
	b.add(match.Event{ID: "2", Kind: match.GoalShot, At: 2, Match: at(5, 10)})
	b.add(match.Event{ID: "1", Kind: match.Chance, At: 1, Match: at(4, 9)}) // overtaken on its way
	if b.add(match.Event{ID: "2", Kind: match.GoalShot, At: 2, Match: at(5, 10)}) {
		t.Error("an event is new a second time")
	}
	got := b.look()
	if len(got.Matches) != 1 || got.Matches[0].Minute != 10 || len(got.Events) != 2 || got.Events[0].ID != "1" {
		t.Errorf("board is %+v", got)
	}
	b.add(match.Event{Kind: match.Clock, Clock: []match.Match{*at(6, 11)}})
	if got := b.look(); got.Matches[0].Minute != 11 || len(got.Events) != 2 {
		t.Errorf("after a minute the board is %+v", got)
	}
	b.add(match.Event{ID: "3", Kind: match.KickOff, At: 3, Match: at(1, 0)})
	if got := b.look(); got.Matches[0].Minute != 0 {
		t.Errorf("a match that begins anew is in minute %d", got.Matches[0].Minute)
	}
}

func TestBoardIsBounded(t *testing.T) {
	var b board
	for i := range 100 {
		id := fmt.Sprint(i)
		b.add(match.Event{ID: id, Kind: match.Chance, At: int64(i), Match: &match.Match{ID: id, Seq: 1}})
	}
	got := b.look()
	if len(got.Events) != maxEvents || got.Events[0].ID != "60" || len(got.Matches) != maxMatches {
		t.Errorf("%d events from %s, %d matches", len(got.Events), got.Events[0].ID, len(got.Matches))
	}
}

func TestBoardLearnsFromAnotherServer(t *testing.T) {
	var a, b board
	a.add(match.Event{ID: "1", Kind: match.GoalShot, Match: &match.Match{ID: "m", Seq: 7, Phase: "Half-time"}})
	b.merge(a.look())
	if got := b.look(); len(got.Events) != 1 || len(got.Matches) != 1 || got.Matches[0].Phase != "Half-time" {
		t.Errorf("board is %+v", got)
	}
}

func TestEventsAreTakenFromThisMachineOrWithTheToken(t *testing.T) {
	const (
		event  = `{"id":"1","kind":"news","text":"hello"}`
		secret = "a secret of 25 characters"
	)
	usual := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"x"}, "Accept": {"*/*"}, "Content-Length": {"1"}}
	with := func(k, v string) http.Header {
		h := usual.Clone()
		h.Set(k, v)
		return h
	}
	type request struct {
		token, addr, host, body string
		header                  http.Header
		want                    int
	}
	requests := map[string]request{
		"this machine":         {"", "127.0.0.1:1", "localhost:5000", event, usual, 204},
		"this machine, IPv6":   {"", "[::1]:1", "[::1]:5000", event, usual, 204},
		"this machine, mapped": {"", "[::ffff:127.0.0.1]:1", "127.0.0.1", event, usual, 204},
		"another machine":      {"", "192.0.2.1:1", "localhost:5000", event, usual, 403},
		"another name":         {"", "127.0.0.1:1", "rebound.example:5000", event, usual, 403},
		"another address":      {"", "127.0.0.1:1", "192.0.2.1:5000", event, usual, 403},
		"no name":              {"", "127.0.0.1:1", "", event, usual, 403},
		"a form of a page":     {"", "127.0.0.1:1", "localhost", event, with("Content-Type", "text/plain"), 403},
		"the token":            {secret, "192.0.2.1:1", "scores.example", event, with("Authorization", "Bearer "+secret), 204},
		"the token by a proxy": {secret, "127.0.0.1:1", "scores.example", event, http.Header{
			"Content-Type": {"application/json"}, "Authorization": {"Bearer " + secret}, "X-Forwarded-For": {"192.0.2.1"}}, 204},
		"a wrong token":      {secret, "127.0.0.1:1", "localhost", event, with("Authorization", "Bearer "+secret[1:]), 403},
		"no token":           {secret, "127.0.0.1:1", "localhost", event, usual, 403},
		"not JSON":           {"", "127.0.0.1:1", "localhost", "hello", usual, 400},
		"an unknown kind":    {"", "127.0.0.1:1", "localhost", `{"id":"1","kind":"x"}`, usual, 400},
		"more than it takes": {"", "127.0.0.1:1", "localhost", `{"id":"` + strings.Repeat("x", maxBody) + `"}`, usual, 400},
		"a long name": {"", "127.0.0.1:1", "localhost",
			`{"id":"1","kind":"goal","match":{"id":"m","teams":[{"name":"` + strings.Repeat("x", 99) + `"},{}]}}`, usual, 400},
		"a match without id": {"", "127.0.0.1:1", "localhost", `{"id":"1","kind":"clock","clock":[{}]}`, usual, 400},
	}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-Ip",
		"Cf-Connecting-Ip", "True-Client-Ip", "X-Amzn-Trace-Id", "X-Envoy-External-Address", "Origin", "Sec-Fetch-Site", "Cookie"} {
		requests[name] = request{"", "127.0.0.1:1", "localhost", event, with(name, "x"), 403}
	}
	for name, c := range requests {
		t.Run(name, func(t *testing.T) {
			io, err := server.New(server.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer io.Close()
			s, err := newScores(io, "", c.token)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("POST", "/events", strings.NewReader(c.body))
			r.RemoteAddr, r.Host, r.Header = c.addr, c.host, c.header
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if taken := len(s.board.look().Events) == 1; w.Code != c.want || taken != (c.want == 204) {
				t.Errorf("answer is %d, taken %v, want %d", w.Code, taken, c.want)
			}
		})
	}
}

func TestShortTokenStopsTheStart(t *testing.T) {
	io, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	if _, err := newScores(io, "", "secret"); err == nil {
		t.Error("a token of six letters is taken")
	}
}
