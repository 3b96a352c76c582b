package main

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/beanpole/beanpole/server"
)

// Runner tells who a player is; where it is stands in the states.
type Runner struct {
	ID   uint32 `json:"id"`
	Name string `json:"name"`
	Hue  int    `json:"hue"`
}

// Welcome answers who joins.
type Welcome struct {
	ID      uint32             `json:"id"`
	Node    string             `json:"node,omitempty"` // the server that answers, in a cluster
	Rules   map[string]float64 `json:"rules"`
	Runners []Runner           `json:"runners"`
}

var rules = map[string]float64{
	"width": width, "height": height, "radius": radius, "speed": speed, "dt": dt, "grip": grip, "scale": scale,
}

// playing is the room of those who get the states.
const playing = "playing"

// game answers the events of the page and moves the world.
type game struct {
	io     *server.Server
	node   string // shown
	name   string // of this server among others
	garden *garden

	// Owned by run.
	number  uint32
	runners []Runner
}

func newGame(io *server.Server, node string) *game {
	g := &game{io: io, node: node, name: node, garden: newGarden(rand.Uint32() &^ 7)}
	if g.name == "" {
		g.name = crand.Text()
	}
	io.On("join", g.join)
	io.On("input", g.input)
	io.On("latency", func() error { return nil }) // the acknowledgement is all
	io.OnServerSide("report", func(r Report) { g.garden.hear(r, time.Now()) })
	io.OnConnection(func(s *server.Socket) {
		s.OnDisconnect(func(string) { g.garden.remove(id(s)) })
	})
	return g
}

// join lets a socket play.
func (g *game) join(s *server.Socket, name string) (Welcome, error) {
	name = strings.Join(strings.Fields(name), " ")
	if n := utf8.RuneCountInString(name); n < 1 || n > 16 {
		return Welcome{}, errors.New("a name has 1 to 16 characters")
	}
	p := &Player{
		ID: id(s), Name: name, Hue: rand.IntN(360),
		X: width * (0.3 + 0.4*rand.Float64()), Y: height * (0.3 + 0.4*rand.Float64()),
	}
	if p.ID == 0 {
		p.ID = rand.Uint32() | 7 // never one of a bot
		s.Data.Set("id", p.ID)
	}
	g.garden.add(p)
	s.Join(playing)
	_, all, _ := g.garden.look()
	return Welcome{ID: p.ID, Node: g.node, Rules: rules, Runners: runners(all)}, nil
}

// input takes where a player wants to go.
func (g *game) input(s *server.Socket, raw []byte) error {
	in, ok := parseInput(raw)
	if !ok {
		return errors.New("an input has 4 bytes")
	}
	g.garden.push(id(s), in)
	return nil
}

// run moves the world twenty times a second until ctx is done.
func (g *game) run(ctx context.Context) {
	clock := time.NewTicker(time.Second / 20)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-clock.C:
			g.step(now)
		}
	}
}

// step sends the world to the players of this server, and the players of this server to the others. A
// state is worth nothing once the next one is there, so it is volatile.
func (g *game) step(now time.Time) {
	own, all, taken := g.garden.step(now)
	_ = g.io.ServerSideEmit("report", Report{Node: g.name, Players: own, Taken: taken}) // again in 50 ms
	here := g.io.Local().To(playing)
	if r := runners(all); !slices.Equal(r, g.runners) {
		g.runners = r
		_ = here.Emit("runners", r)
	}
	g.number++
	_ = here.Volatile().Emit("state", appendState(nil, g.number, taken, all))
}

func runners(players []*Player) []Runner {
	out := make([]Runner, len(players))
	for i, p := range players {
		out[i] = Runner{ID: p.ID, Name: p.Name, Hue: p.Hue}
	}
	slices.SortFunc(out, func(a, b Runner) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// id is the player of a socket, or 0.
func id(s *server.Socket) uint32 {
	v, _ := server.Value[uint32](&s.Data, "id")
	return v
}
