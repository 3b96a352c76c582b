package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHistoryKeepsTheLastMessages(t *testing.T) {
	var h history
	for i := range maxMessages + 3 {
		if _, isNew := h.add("Lobby", Message{ID: fmt.Sprint(i), By: "ada"}); !isNew {
			t.Fatalf("message %d is known already", i)
		}
	}
	got := h.of("lobby")
	if len(got) != maxMessages || got[0].ID != "3" || got[maxMessages-1].ID != "52" {
		t.Errorf("%d messages, %v to %v", len(got), got[0], got[len(got)-1])
	}
	if got := h.of("nowhere"); got == nil || len(got) != 0 {
		t.Errorf("an empty room's history is %v, want an empty list", got)
	}
}

func TestHistoryKnowsAMessageSentAgain(t *testing.T) {
	var h history
	first, _ := h.add("a", Message{ID: "1", By: "ada", Text: "once"})
	again, isNew := h.add("a", Message{ID: "1", By: "ada", Text: "twice"})
	if isNew || again != first {
		t.Errorf("sent again: %v, %v", again, isNew)
	}
	if _, isNew := h.add("a", Message{ID: "1", By: "eve"}); !isNew {
		t.Error("Eve cannot use an id that Ada has used")
	}
	if n := len(h.of("a")); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

func TestHistoryForgetsTheRoomSilentLongest(t *testing.T) {
	var h history
	start := time.Unix(0, 0)
	for i := range maxRooms {
		h.add(fmt.Sprint("room ", i), Message{ID: "1", Time: start.Add(time.Duration(i) * time.Second)})
	}
	h.add("room 0", Message{ID: "2", Time: start.Add(time.Hour)})
	h.add("one more", Message{ID: "1", Time: start.Add(time.Hour)})
	if len(h.of("room 0")) != 2 || len(h.of("room 1")) != 0 || len(h.of("one more")) != 1 || len(h.rooms) != maxRooms {
		t.Errorf("room 0: %d, room 1: %d, one more: %d, rooms: %d",
			len(h.of("room 0")), len(h.of("room 1")), len(h.of("one more")), len(h.rooms))
	}
}

func TestHistoryIsBoundedInBytes(t *testing.T) {
	var h history
	text := strings.Repeat("x", 4*maxText)
	for i := range maxRooms {
		for j := range maxMessages {
			h.add(fmt.Sprint("room ", i), Message{ID: fmt.Sprint(j), Text: text, Time: time.Unix(int64(i), int64(j))})
		}
	}
	sum := 0
	for _, list := range h.rooms {
		for _, m := range list {
			sum += size(m)
		}
	}
	if sum != h.bytes || sum > maxBytes || sum < maxBytes/2 || len(h.of(fmt.Sprint("room ", maxRooms-1))) != maxMessages {
		t.Errorf("%d bytes, counted as %d", sum, h.bytes)
	}
}

func TestHistoryOfAnotherServerComesInOrder(t *testing.T) {
	var h history
	for i := range 4 {
		h.add("a", Message{ID: fmt.Sprint(2*i + 1), Time: time.Unix(int64(2*i+1), 0)})
	}
	for i := range 4 {
		h.add("a", Message{ID: fmt.Sprint(2 * i), Time: time.Unix(int64(2*i), 0)})
	}
	for i, m := range h.of("A") {
		if m.ID != fmt.Sprint(i) {
			t.Errorf("message %d is %s", i, m.ID)
		}
	}
	if h.complete("a") {
		t.Error("a room is complete before anybody said so")
	}
	if h.completed("a"); !h.complete("A") {
		t.Error("a room is not complete")
	}
}

func TestTidy(t *testing.T) {
	for in, want := range map[string]string{
		"Ada": "Ada", "  Ada \t Lovelace\n": "Ada Lovelace", "A\u0000d\u202Ea": "Ada", "👩‍🚀": "👩‍🚀",
		"": "", " \n ": "", "\u200B": "", "\u200D\u200D": "", "\uFE0F": "", "\u3164": "", "\u2800": "", "\u0301": "", "A\u034Fda\uFFA0": "Ada",
		strings.Repeat("x", 25): "", strings.Repeat("ü", 24): strings.Repeat("ü", 24),
	} {
		got, ok := tidy(in, maxName)
		if !ok {
			got = ""
		}
		if got != want || ok != (want != "") {
			t.Errorf("tidy(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}
