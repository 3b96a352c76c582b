package redis

import "time"

// rings are those of a node: one for each stream, by its name, and one for all channels, without.
type rings map[string]*ring

func (r rings) of(key laneKey) *ring {
	if key.nsp == "" {
		return r[key.lane]
	}
	return r[""]
}

func (r rings) stamp(c *command) { r.of(laneKey{c.nsp, c.lane}).stamp(c) }

// handed notes that c has been handed to Redis, whatever became of it there.
func (r rings) handed(c *command) {
	if c.number > 0 {
		r.of(laneKey{c.nsp, c.lane}).handed(c)
	}
}

// drop notes that c is lost, and counted as such: nobody need ask for it.
func (r rings) drop(c *command) {
	if c.number > 0 {
		r.of(laneKey{c.nsp, c.lane}).drop(c)
	}
}

// tick forgets what is too old.
func (r rings) tick(now time.Time) {
	for _, x := range r {
		x.tick(now)
	}
}

// ends returns the ends of lanes that are to be said now, some n of each, and whether there will be more.
func (r rings) ends(now time.Time, rooms bool, n int) (list []ending, more bool) {
	for _, x := range r {
		l, m := x.ends(now, rooms, n)
		list, more = append(list, l...), more || m
	}
	return list, more
}

// out reports whether all that has a number has been handed to Redis, or given up.
func (r rings) out() bool {
	for _, x := range r {
		if n, done := x.progress(); done < n {
			return false
		}
	}
	return true
}

// ending is the end of a lane as others are told of it.
type ending struct {
	key      laneKey
	n, count uint64
	base     uint64 // the last number that does not concern who asked; 0 if nobody did
	bases    uint64 // how many the lane had had by then
}

// sayAfter is how long nothing more has been published in a lane when its end is said: what comes behind says
// it, too. It is said again after twice the time, and so on, sayTimes in all, as it may be lost as well.
const (
	sayAfter = 500 * time.Millisecond
	sayTimes = 6
)
