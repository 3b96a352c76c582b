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
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"

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
	ID      uint32   `json:"id"`
	Node    string   `json:"node,omitempty"` // the server that answers, in a cluster
	Rules   Rules    `json:"rules"`
	Runners []Runner `json:"runners"`
}

// Rules are what the page needs to know of the world, by which it predicts.
type Rules struct {
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
	Radius float64 `json:"radius"`
	Speed  float64 `json:"speed"` // a second
	DT     float64 `json:"dt"`    // seconds of a step
	Grip   float64 `json:"grip"`
	Scale  float64 `json:"scale"` // of what travels in bytes
}

var rules = Rules{Width: width, Height: height, Radius: radius, Speed: speed, DT: dt, Grip: grip, Scale: scale}

const (
	maxName      = 16 // characters
	runnersEvery = 10 // steps: who comes and goes meanwhile is told together
)

// What the page is sent, which is in events.ts with what it may send.
var (
	whoRuns = server.Declare[[]Runner]("runners")
	state   = server.Declare[[]byte]("state") // see appendState
)

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
	io.Sends(whoRuns, state)
	io.On("join", g.join)
	io.On("input", g.input)
	io.On("latency", func() error { return nil }) // the acknowledgement is all
	io.OnServerSide("report", func(r Report) { g.garden.hear(r, time.Now()) })
	io.OnConnection(func(s *server.Socket) {
		s.Use(server.Keep(s, newLimits).pass)
		s.OnDisconnect(func(server.Disconnection) { g.garden.remove(id(s)) })
	})
	return g
}

// limits bound what one session may have done: the page sends an input twenty times a second, and joins once.
// They are the session's, since a client makes itself another socket for three bytes.
type limits struct{ events, joins *rate.Limiter }

func newLimits() *limits { return &limits{rate.NewLimiter(40, 200), rate.NewLimiter(1, 5)} }

// pass is a middleware.
func (l *limits) pass(_ context.Context, e *server.Event) error {
	if !l.events.Allow() || e.Name == "join" && !l.joins.Allow() {
		return errors.New("not so fast")
	}
	return nil
}

// join lets a socket play. Who plays already goes on as it was.
func (g *game) join(s *server.Socket, name string) (Welcome, error) {
	name, ok := tidy(name)
	if !ok {
		return Welcome{}, errors.New("a name has 1 to 16 characters")
	}
	p := &Player{
		ID: id(s), Name: name, Hue: rand.IntN(360),
		X: width * (0.3 + 0.4*rand.Float64()), Y: height * (0.3 + 0.4*rand.Float64()),
	}
	if p.ID == 0 {
		p.ID = rand.Uint32() | 7 // never one of a bot
	}
	if !g.garden.add(p) {
		return Welcome{}, errors.New("the garden is full")
	}
	s.Data.Set("id", p.ID)
	s.Join(playing)
	_, all, _ := g.garden.look()
	return Welcome{ID: p.ID, Node: g.node, Rules: rules, Runners: runners(all)}, nil
}

// tidy returns a name without what does not print, which could turn others' names around, if it has 1 to 16
// characters.
func tidy(name string) (string, bool) {
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }), " ")
	n := utf8.RuneCountInString(name)
	return name, n >= 1 && n <= maxName
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
	if r := runners(all); g.number%runnersEvery == 0 && !slices.Equal(r, g.runners) {
		g.runners = r
		_ = whoRuns.Emit(here, r)
	}
	g.number++
	_ = state.Emit(here.Volatile(), appendState(nil, g.number, taken, all))
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
