package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/beanpole/beanpole/examples/scores/match"
)

// The minutes of a match.
const (
	half = 45
	full = 90
)

var teams = []match.Team{
	{Name: "Northgate", Hue: 212}, {Name: "Harbour City", Hue: 12},
	{Name: "Old Mill", Hue: 46}, {Name: "Riverside", Hue: 150},
	{Name: "Castle Hill", Hue: 276}, {Name: "Westwood", Hue: 96},
	{Name: "Saltmarsh", Hue: 186}, {Name: "Kingsbridge", Hue: 336},
}

var players = []string{
	"Abara", "Bell", "Castell", "Dunne", "Eriksen", "Fane", "Gallo", "Hart", "Ito", "Jansen", "Kovac",
	"Lind", "Moreau", "Novak", "Okoye", "Pires", "Quint", "Rossi", "Silva", "Tamm", "Varga", "Weir",
}

// afternoon is four matches that are played at the same time.
type afternoon struct {
	random  *rand.Rand
	matches []*match.Match
	now     int // the minute
}

func newAfternoon(random *rand.Rand) *afternoon {
	a := &afternoon{random: random}
	for i := 0; i+1 < len(teams); i += 2 {
		a.matches = append(a.matches, &match.Match{
			ID: fmt.Sprintf("match-%d", i/2+1), Teams: [2]match.Team{teams[i], teams[i+1]}, Goals: []match.Goal{},
		})
	}
	return a
}

func (a *afternoon) over() bool { return a.now > full }

// minute plays one minute and returns what happened in it.
func (a *afternoon) minute() []match.Event {
	var out []match.Event
	for _, m := range a.matches {
		m.Minute, m.Phase = a.now, ""
		m.Seq++
		if e, ok := a.happens(m); ok {
			now := *m
			e.Match = &now
			out = append(out, e)
		}
	}
	if len(out) < len(a.matches) {
		clock := match.Event{Kind: match.Clock}
		for _, m := range a.matches {
			clock.Clock = append(clock.Clock, *m)
		}
		out = append(out, clock)
	}
	a.now++
	return out
}

// happens is what happens in a match this minute, if anything.
func (a *afternoon) happens(m *match.Match) (match.Event, bool) {
	between := m.Teams[0].Name + " – " + m.Teams[1].Name
	switch a.now {
	case 0:
		return match.Event{Kind: match.KickOff, Text: "Kick-off: " + between}, true
	case half:
		m.Phase = "Half-time"
		return match.Event{Kind: match.Whistle, Text: "Half-time: " + between}, true
	case full:
		m.Phase = "Full time"
		return match.Event{Kind: match.Whistle, Text: "Full time: " + between}, true
	}
	side := a.random.IntN(2)
	team, player := m.Teams[side].Name, players[a.random.IntN(len(players))]
	e := match.Event{Side: side}
	switch dice := a.random.Float64(); {
	case dice < 0.035:
		m.Score[side]++
		m.Goals = append(m.Goals[:len(m.Goals):len(m.Goals)], match.Goal{Side: side, Player: player, Minute: a.now})
		e.Kind, e.Text = match.GoalShot, fmt.Sprintf("Goal for %s! %s makes it %d–%d", team, player, m.Score[0], m.Score[1])
	case dice < 0.055:
		m.Cards[side]++
		e.Kind, e.Text = match.Card, fmt.Sprintf("Yellow card for %s of %s", player, team)
	case dice < 0.11:
		e.Kind, e.Text = match.Chance, fmt.Sprintf("%s of %s hits the post", player, team)
	default:
		return match.Event{}, false
	}
	return e, true
}
