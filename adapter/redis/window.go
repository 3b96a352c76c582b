package redis

import "time"

// window knows which entries of a stream a source has had there, by their numbers. They rise, but for those that
// Redis refused at first and their source has sent again behind later ones.
type window struct {
	max     uint64
	missing map[uint64]struct{} // below max
	deaf    time.Time           // when it has not answered
}

// maxMissing bounds how many missing numbers are remembered of a source: more than its outbox holds do not come.
const maxMissing = DefaultMaxOutboxMessages

// take notes a number and reports whether it is new.
func (w *window) take(seq uint64) (fresh bool) {
	if seq <= w.max {
		_, fresh = w.missing[seq]
		delete(w.missing, seq)
		return fresh
	}
	if w.max > 0 && seq > w.max+1 {
		if len(w.missing) > maxMissing || w.missing == nil {
			w.missing = map[uint64]struct{}{}
		}
		for n := max(w.max+1, seq-min(seq, maxMissing)); n < seq; n++ {
			w.missing[n] = struct{}{}
		}
	}
	w.max = seq
	return true
}
