package main

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
)

func TestPlayerMovesOneStepForEachInput(t *testing.T) {
	p := &Player{X: 800, Y: 500}
	p.step()
	if p.X != 800 {
		t.Errorf("x = %v without an input", p.X)
	}
	for seq := range uint16(20) {
		p.push(input{seq: seq + 1, x: 1})
		p.step()
	}
	if p.Ack != 20 || len(p.waiting) != 0 {
		t.Errorf("ack %d, %d waiting, want 20 and none", p.Ack, len(p.waiting))
	}
	if p.X < 800+speed*0.7 || p.X > 800+speed || p.Y != 500 {
		t.Errorf("at %v, %v after a second", p.X, p.Y)
	}
}

func TestPlayerCannotRunFasterByMoreOrLongerInputs(t *testing.T) {
	p := &Player{X: 100, Y: 500}
	for range 100 {
		p.push(input{x: 100, y: 0})
	}
	if len(p.waiting) != maxWaiting {
		t.Errorf("%d inputs wait, want %d", len(p.waiting), maxWaiting)
	}
	for range 20 {
		p.step()
	}
	if p.X > 100+speed*dt*maxWaiting {
		t.Errorf("x = %v", p.X)
	}
}

func TestGardenHasWalls(t *testing.T) {
	p := &Player{X: width - 50, Y: 50}
	for range 100 {
		p.push(input{x: 1, y: -1})
		p.step()
	}
	if p.X != width-radius || p.Y != radius {
		t.Errorf("at %v, %v", p.X, p.Y)
	}
}

func TestGardenAgreesWithOtherServers(t *testing.T) {
	now := time.Now()
	a, b := newGarden(8), newGarden(16)
	p := &Player{ID: 7, Name: "Ada"}
	p.X, p.Y = place(5, 0)
	a.add(p)
	own, _, taken := a.step(now)
	if own[0].Score < 1 || taken[5] != 1 {
		t.Fatalf("score %d, bean 5 taken %d times, want 1 and 1", own[0].Score, taken[5])
	}
	b.hear(Report{Node: "a", Players: own, Taken: taken}, now)
	_, all, taken := b.step(now)
	if len(all) != 1+2*botsEach || all[0].Name != "Ada" || taken[5] != 1 {
		t.Errorf("%d players, first %q, bean 5 taken %d times", len(all), all[0].Name, taken[5])
	}
	if _, all, _ = b.step(now.Add(2 * silence)); len(all) != botsEach {
		t.Errorf("%d players after the other server fell silent, want %d", len(all), botsEach)
	}
}

func TestStateHasTheFormThePageReads(t *testing.T) {
	p := &Player{ID: 0x01020304, X: 10, Y: 20.5, VX: -2, VY: 3, Score: 9, Ack: 65535}
	b := appendState(nil, 7, []uint16{0, 3}, []*Player{p})
	le := binary.LittleEndian
	if len(b) != 4+1+2*4+2+16 || le.Uint32(b) != 7 || b[4] != 2 || le.Uint16(b[13:]) != 1 {
		t.Fatalf("state is % x", b)
	}
	x, y := place(1, 3)
	if got := float64(le.Uint16(b[9:])) / scale; math.Abs(got-x) > 0.1 {
		t.Errorf("bean at x = %v, want %v, %v", got, x, y)
	}
	q := b[15:]
	if le.Uint32(q) != p.ID || le.Uint16(q[4:]) != 160 || le.Uint16(q[6:]) != 328 ||
		int16(le.Uint16(q[8:])) != -32 || int16(le.Uint16(q[10:])) != 48 || le.Uint16(q[12:]) != 9 || le.Uint16(q[14:]) != 65535 {
		t.Errorf("player is % x", q)
	}
}

func TestParseInputTakesFourBytesOnly(t *testing.T) {
	if in, ok := parseInput([]byte{2, 1, 127, 128}); !ok || in != (input{seq: 258, x: 1, y: -1}) {
		t.Errorf("input is %+v, %v", in, ok)
	}
	for _, b := range [][]byte{nil, {1}, {1, 2, 3, 4, 5}} {
		if _, ok := parseInput(b); ok {
			t.Errorf("% x is an input", b)
		}
	}
}

func TestBotsCatchBeans(t *testing.T) {
	io, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	g := newGame(io, "")
	for range 20 * 20 { // twenty seconds
		g.step(time.Now())
	}
	for _, p := range g.garden.bots {
		if p.Score == 0 {
			t.Errorf("%s has caught nothing", p.Name)
		}
	}
}

func TestGardenTakesSoManyPlayers(t *testing.T) {
	g := newGarden(8)
	for i := range maxPlayers {
		if !g.add(&Player{ID: uint32(i+1)<<3 | 7, Name: "Ada", Score: 1}) {
			t.Fatalf("full with %d players", i)
		}
	}
	if g.add(&Player{ID: 5}) {
		t.Error("one more is let in")
	}
	if !g.add(&Player{ID: 1<<3 | 7, Name: "Eve"}) || g.own[1<<3|7].Name != "Ada" {
		t.Error("who plays already does not go on as it was")
	}
	g.remove(1<<3 | 7)
	if !g.add(&Player{ID: 5}) {
		t.Error("nobody is let in after one has gone")
	}
}

func TestNamesAreTidied(t *testing.T) {
	for in, want := range map[string]string{
		" Ada \t Lovelace\n": "Ada Lovelace", "A\u202eda": "A da", "\u200b": "", "": "", "\u00a0": "", "12345678901234567": "", "ü": "ü",
	} {
		if got, ok := tidy(in); ok != (want != "") || ok && got != want {
			t.Errorf("tidy(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}
