// Package match is what the scores example and its admin program tell each other: matches and what
// happens in them.
package match

import (
	"errors"
	"slices"
	"unicode/utf8"
)

// Team is one side of a match.
type Team struct {
	Name string `json:"name"`
	Hue  int    `json:"hue"` // of its colour, in degrees
}

// Match is a match as it stands.
type Match struct {
	ID     string  `json:"id"`
	Teams  [2]Team `json:"teams"`
	Score  [2]int  `json:"score"`
	Minute int     `json:"minute"`
	Phase  string  `json:"phase"` // what is shown instead of the minute, if not empty
	Goals  []Goal  `json:"goals"`
	Cards  [2]int  `json:"cards"`
	Seq    int     `json:"seq"` // grows with every event
}

// Goal tells who scored.
type Goal struct {
	Side   int    `json:"side"`
	Player string `json:"player"`
	Minute int    `json:"minute"`
}

// The kinds of events.
const (
	KickOff  = "kick-off"
	GoalShot = "goal"
	Card     = "card"
	Chance   = "chance"
	Whistle  = "whistle"
	News     = "news"  // without a match
	Clock    = "clock" // a minute has passed; nothing is shown but the time
)

var kinds = []string{KickOff, GoalShot, Card, Chance, Whistle, News, Clock}

// Event is something that happened. It holds the whole match as it stands afterwards, so that one who
// missed the events before is right again.
type Event struct {
	ID    string  `json:"id"`
	Kind  string  `json:"kind"`
	Text  string  `json:"text"`
	Side  int     `json:"side"` // of the team it is about: 0 or 1
	At    int64   `json:"at"`   // milliseconds since 1970
	Match *Match  `json:"match,omitempty"`
	Clock []Match `json:"clock,omitempty"` // all matches, for a Clock
}

// Check reports what is wrong with an event that came from outside.
func (e *Event) Check() error {
	switch {
	case e.ID == "" || len(e.ID) > 64:
		return errors.New("an event needs an id of at most 64 bytes")
	case !slices.Contains(kinds, e.Kind):
		return errors.New("no such kind of event")
	case utf8.RuneCountInString(e.Text) > 200:
		return errors.New("a text has at most 200 characters")
	case e.Side != 0 && e.Side != 1:
		return errors.New("a side is 0 or 1")
	case len(e.Clock) > 20:
		return errors.New("at most 20 matches")
	}
	for i := range e.Clock {
		if err := e.Clock[i].check(); err != nil {
			return err
		}
	}
	if e.Match != nil {
		return e.Match.check()
	}
	return nil
}

func (m *Match) check() error {
	names := []string{m.ID, m.Phase, m.Teams[0].Name, m.Teams[1].Name}
	for _, g := range m.Goals {
		names = append(names, g.Player)
	}
	switch {
	case m.ID == "":
		return errors.New("a match needs an id")
	case len(m.Goals) > 50:
		return errors.New("a match has at most 50 goals")
	case slices.ContainsFunc(names, func(s string) bool { return utf8.RuneCountInString(s) > 64 }):
		return errors.New("a name has at most 64 characters")
	}
	return nil
}
