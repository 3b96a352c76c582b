package main

import (
	"cmp"
	"slices"
	"sync"

	"github.com/beanpole/beanpole/examples/scores/match"
)

// maxEvents is how many events somebody who comes late gets to see, maxMatches how many matches there
// can be.
const (
	maxEvents  = 40
	maxMatches = 50
)

// Board is how all matches stand and what happened last, the oldest first.
type Board struct {
	Node    string        `json:"node,omitempty"` // the server that answers, in a cluster
	Matches []match.Match `json:"matches"`
	Events  []match.Event `json:"events"`
}

// board keeps a Board up to date. The zero value is empty. Safe for concurrent use.
type board struct {
	mu      sync.Mutex
	matches map[string]match.Match // guarded by mu
	events  []match.Event          // guarded by mu; by time
}

// add keeps what e says, unless it is known already.
func (b *board) add(e match.Event) (isNew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range e.Clock {
		b.update(m)
	}
	if e.Match != nil {
		b.update(*e.Match)
	}
	return e.Kind == match.Clock || b.keep(e)
}

// keep puts e among the events, unless it is there. The caller holds mu.
func (b *board) keep(e match.Event) (isNew bool) {
	if slices.ContainsFunc(b.events, func(old match.Event) bool { return old.ID == e.ID }) {
		return false
	}
	e.Match = only(e.Match)
	b.events = append(b.events, e)
	slices.SortStableFunc(b.events, func(a, b match.Event) int { return cmp.Compare(a.At, b.At) })
	b.events = slices.Delete(b.events, 0, max(0, len(b.events)-maxEvents))
	return true
}

// only is what the list of events needs of a match.
func only(m *match.Match) *match.Match {
	if m == nil {
		return nil
	}
	return &match.Match{ID: m.ID, Teams: m.Teams, Score: m.Score, Minute: m.Minute}
}

// update keeps m if it is later than what is known. A match that begins anew replaces the one before.
// The caller holds mu.
func (b *board) update(m match.Match) {
	if b.matches == nil {
		b.matches = make(map[string]match.Match)
	}
	old, known := b.matches[m.ID]
	if (known && m.Seq < old.Seq && m.Seq != 1) || (!known && len(b.matches) >= maxMatches) {
		return
	}
	b.matches[m.ID] = m
}

// merge takes what another server knows.
func (b *board) merge(other Board) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range other.Events {
		b.keep(e)
	}
	for _, m := range other.Matches {
		b.update(m)
	}
}

// look returns how things stand.
func (b *board) look() Board {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := Board{Matches: []match.Match{}, Events: append([]match.Event{}, b.events...)}
	for _, m := range b.matches {
		out.Matches = append(out.Matches, m)
	}
	slices.SortFunc(out.Matches, func(a, b match.Match) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
