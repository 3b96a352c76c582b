package main

import "math"

// The garden, in steps of its own, and how fast one runs in it. The page has the same numbers, as it
// predicts what the server will do.
const (
	width, height = 1600, 1000
	radius        = 24
	speed         = 330.0       // a second
	dt            = 1 / 20.0    // seconds: one input, one step
	grip          = 0.35        // how much of the wanted speed is there after one step
	reach         = radius + 14 // how near a bean must be
	beans         = 24          // at any time
	maxWaiting    = 8           // inputs of one player
	maxScore      = math.MaxInt16
)

// Player is one who runs in the garden.
type Player struct {
	ID    uint32  `json:"id"`
	Name  string  `json:"name"`
	Hue   int     `json:"hue"`
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	VX    float64 `json:"vx"`
	VY    float64 `json:"vy"`
	Score int     `json:"score"`
	Ack   uint16  `json:"ack"` // the last input worked off

	waiting []input
}

// input is where a player wants to go in one step; each number is from -1 to 1.
type input struct {
	seq  uint16
	x, y float64
}

// push takes an input for a later step. Who sends more than there are steps loses the oldest.
func (p *Player) push(in input) {
	if len(p.waiting) == maxWaiting {
		p.waiting = append(p.waiting[:0], p.waiting[1:]...)
	}
	p.waiting = append(p.waiting, in)
}

// step works off one input, or two when more wait, so that a burst after a delay is caught up with. A
// player without an input stands still: the page has not moved it either.
func (p *Player) step() {
	for range min(len(p.waiting), 1+len(p.waiting)/3) {
		in := p.waiting[0]
		p.waiting = append(p.waiting[:0], p.waiting[1:]...)
		p.Ack = in.seq
		p.move(in.x, in.y)
	}
}

// move runs for one step towards a direction.
func (p *Player) move(x, y float64) {
	if far := math.Hypot(x, y); far > 1 {
		x, y = x/far, y/far
	}
	p.VX += (x*speed - p.VX) * grip
	p.VY += (y*speed - p.VY) * grip
	p.X = min(max(p.X+p.VX*dt, radius), width-radius)
	p.Y = min(max(p.Y+p.VY*dt, radius), height-radius)
}

// place is where a bean lies. It depends on the bean and on how often it has been taken alone, so that
// servers need only agree on that.
func place(bean int, taken uint16) (x, y float64) {
	return 60 + random(bean, taken, 1)*(width-120), 60 + random(bean, taken, 2)*(height-120)
}

// random returns a number from 0 to 1 that depends on its arguments alone.
func random(bean int, taken uint16, n uint64) float64 {
	x := uint64(bean)<<32 | uint64(taken)<<8 | n
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}
