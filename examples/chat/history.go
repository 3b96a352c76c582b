package main

import (
	"slices"
	"strings"
	"sync"
)

// The bounds of a history. Beyond maxRooms the room that has been silent longest is forgotten.
const (
	maxMessages = 50
	maxRooms    = 500
)

// history keeps the last messages of each room. The zero value is empty. Safe for concurrent use.
type history struct {
	mu    sync.Mutex
	rooms map[string][]Message // guarded by mu; by room in lower case
}

// of returns the messages of a room, the oldest first.
func (h *history) of(room string) []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	if got := slices.Clone(h.rooms[strings.ToLower(room)]); got != nil {
		return got
	}
	return []Message{}
}

// add keeps m and returns it, or the message that already has its id and author.
func (h *history) add(room string, m Message) (kept Message, isNew bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	room = strings.ToLower(room)
	list := h.rooms[room]
	for _, old := range list {
		if old.ID == m.ID && old.Name == m.Name {
			return old, false
		}
	}
	if h.rooms == nil {
		h.rooms = make(map[string][]Message)
	}
	if list == nil && len(h.rooms) >= maxRooms {
		h.forgetOldest()
	}
	if len(list) == maxMessages {
		list = list[:copy(list, list[1:])]
	}
	h.rooms[room] = append(list, m)
	return m, true
}

// forgetOldest drops the room that has been silent longest. The caller holds mu.
func (h *history) forgetOldest() {
	var oldest string
	for room, list := range h.rooms {
		if oldest == "" || list[len(list)-1].Time.Before(h.rooms[oldest][len(h.rooms[oldest])-1].Time) {
			oldest = room
		}
	}
	delete(h.rooms, oldest)
}
