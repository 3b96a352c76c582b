package main

import (
	"slices"
	"strings"
	"sync"
)

// The bounds of a history. Beyond maxRooms or maxBytes the room that has been silent longest is forgotten.
const (
	maxMessages = 50
	maxRooms    = 500
	maxBytes    = 16 << 20
)

// history keeps the last messages of each room. The zero value is empty. Safe for concurrent use.
type history struct {
	mu    sync.Mutex
	rooms map[string][]Message // guarded by mu; by room in lower case, each by time
	whole map[string]bool      // guarded by mu; rooms of which all that other servers know is here
	bytes int                  // guarded by mu; of all messages
}

// complete reports whether completed has been called for a room.
func (h *history) complete(room string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.whole[strings.ToLower(room)]
}

// completed says that what other servers know of a room has been added.
func (h *history) completed(room string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.whole == nil || len(h.whole) >= maxRooms {
		h.whole = make(map[string]bool) // asking again does no harm
	}
	h.whole[strings.ToLower(room)] = true
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
		if old.ID == m.ID && old.By == m.By {
			return old, false
		}
	}
	if h.rooms == nil {
		h.rooms = make(map[string][]Message)
	}
	h.bytes += size(m)
	for (list == nil && len(h.rooms) >= maxRooms || h.bytes > maxBytes) && h.forgetOldest(room) {
	}
	list = append(list, m)
	if n := len(list); n > 1 && list[n-2].Time.After(m.Time) { // from another server, or overtaken
		slices.SortStableFunc(list, func(a, b Message) int { return a.Time.Compare(b.Time) })
	}
	if len(list) > maxMessages {
		h.bytes -= size(list[0])
		list = list[:copy(list, list[1:])]
	}
	h.rooms[room] = list
	return m, true
}

// forgetOldest drops the room that has been silent longest, but for one, and reports whether there was any.
// The caller holds mu.
func (h *history) forgetOldest(but string) bool {
	oldest, found := "", false
	for room, list := range h.rooms {
		if room != but && (!found || list[len(list)-1].Time.Before(h.rooms[oldest][len(h.rooms[oldest])-1].Time)) {
			oldest, found = room, true
		}
	}
	for _, m := range h.rooms[oldest] {
		h.bytes -= size(m)
	}
	delete(h.rooms, oldest)
	delete(h.whole, oldest)
	return found
}

// size is about what a message takes, in bytes.
func size(m Message) int { return 100 + len(m.By) + len(m.ID) + len(m.Name) + len(m.Text) }
