package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Some bots run in every garden, so that one is not alone: botsEach of these names on each server.
var bots = []string{"Clod", "Turnip", "Snail", "Thistle", "Barrow", "Radish", "Dibber", "Nettle", "Mulch"}

const botsEach = 3

// maxPlayers is how many people there can be on one server: each gets a state that holds all of them.
const maxPlayers = 100

// silence is after how long the players of another server are gone.
const silence = time.Second

// Report is what servers tell each other of their players, each step.
type Report struct {
	Node    string    `json:"node"`
	Players []*Player `json:"players"`
	Taken   []uint16  `json:"taken"` // how often each bean has been taken
}

// garden is the state of the world on one server: its own players, and what others say of theirs. The
// server that a player is on decides where it is and what it has caught. Safe for concurrent use.
type garden struct {
	mu     sync.Mutex
	own    map[uint32]*Player // guarded by mu
	bots   []bot              // guarded by mu
	others map[string]heard   // guarded by mu; by node
	taken  [beans]uint16      // guarded by mu
}

// bot is a player that the server moves. Each likes other beans, or they would all run together.
type bot struct {
	*Player
	likes int
}

type heard struct {
	players []*Player
	at      time.Time
}

// newGarden returns a garden with bots whose ids follow after first.
func newGarden(first uint32) *garden {
	g := &garden{own: make(map[uint32]*Player), others: make(map[string]heard)}
	for i, n := range rand.Perm(len(bots))[:botsEach] {
		p := &Player{ID: first + uint32(i), Name: bots[n], Hue: 20 + 6*n, X: 300 + 500*float64(i), Y: 500}
		g.bots = append(g.bots, bot{p, n})
		g.own[p.ID] = p
	}
	return g
}

// add lets a player in, unless it is in already, and reports whether there is room.
func (g *garden) add(p *Player) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.own[p.ID] != nil {
		return true
	}
	if len(g.own) >= maxPlayers+len(g.bots) {
		return false
	}
	g.own[p.ID] = p
	return true
}

func (g *garden) remove(id uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.own, id)
}

func (g *garden) push(id uint32, in input) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.own[id]; p != nil {
		p.push(in)
	}
}

// hear takes what another server says. Of the counts of a bean the higher is right.
func (g *garden) hear(r Report, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.others[r.Node] = heard{r.Players, now}
	for i := range min(len(r.Taken), beans) {
		g.taken[i] = max(g.taken[i], r.Taken[i])
	}
}

// step moves everybody on by one step and returns what look does.
func (g *garden) step(now time.Time) (own, all []*Player, taken []uint16) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.bots {
		b.push(g.want(b))
	}
	for _, p := range g.own {
		p.step()
		g.catch(p)
	}
	for node, h := range g.others {
		if now.Sub(h.at) > silence {
			delete(g.others, node)
		}
	}
	return g.copies()
}

// look returns copies of the own players and of all, by id, and how often each bean has been taken.
func (g *garden) look() (own, all []*Player, taken []uint16) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.copies()
}

// copies is look. The caller holds mu.
func (g *garden) copies() (own, all []*Player, taken []uint16) {
	for _, p := range g.own {
		c := *p
		c.waiting = nil
		own = append(own, &c)
	}
	all = slices.Clone(own)
	for _, h := range g.others {
		all = append(all, h.players...)
	}
	byID := func(a, b *Player) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(own, byID)
	slices.SortFunc(all, byID)
	return own, all, slices.Clone(g.taken[:])
}

// catch gives p the beans in its reach.
func (g *garden) catch(p *Player) {
	for i, n := range g.taken {
		if x, y := place(i, n); math.Hypot(x-p.X, y-p.Y) < reach {
			g.taken[i]++
			p.Score = min(p.Score+1, maxScore)
		}
	}
}

// want is where a bot wants to go: to the nearest of the beans it likes, in no hurry.
func (g *garden) want(b bot) input {
	nearest, dx, dy := math.Inf(1), 0.0, 0.0
	for i := b.likes; i < beans; i += len(bots) {
		x, y := place(i, g.taken[i])
		if far := math.Hypot(x-b.X, y-b.Y); far < nearest {
			nearest, dx, dy = far, x-b.X, y-b.Y
		}
	}
	return input{x: dx / nearest * 0.4, y: dy / nearest * 0.4}
}
