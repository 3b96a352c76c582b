package redis

import "time"

// regained is a subscription that was lost for a while and is there again.
type regained struct {
	sub   subscription
	to    []receiver
	since time.Time // everything published before has come
}

// late is when a subscription that is new comes too late to be taken for one that was there at once.
const late = 250 * time.Millisecond

// confirm notes that Redis has taken s from l, or that it has ended it on its own.
func (b *bus) confirm(l *link, s subscription, on bool) {
	list := b.confirmed(l, s, on)
	if len(list) == 0 {
		return
	}
	if b.regained != nil {
		b.regained(list)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range list {
		if w := b.wants[x.sub]; w != nil && w.confirmed && w.broken.Equal(x.since) {
			w.broken = time.Time{}
		}
	}
}

// confirmed is confirm, and returns what has been regained if nothing of l is missing any more.
func (b *bus) confirmed(l *link, s subscription, on bool) (list []regained) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.wants[s]
	if w == nil || w.link != l {
		return nil
	}
	if !on { // the slot has moved
		l.breaks(w)
		b.broken.Store(time.Now().UnixNano())
		w.link = nil
		b.home(s, w)
		return nil
	}
	switch {
	case w.confirmed:
	case !w.broken.IsZero():
		l.left--
		l.back = append(l.back, s)
	case time.Since(w.at) > late:
		w.broken = w.at.Add(-slack)
		l.back = append(l.back, s)
	}
	w.confirmed = true
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	if l.left > 0 {
		return nil
	}
	for _, s := range l.back {
		if w := b.wants[s]; w != nil && w.link == l && w.confirmed {
			list = append(list, regained{s, w.to, w.broken})
		}
	}
	l.back = nil
	return list
}

// brokenSince returns since when one of list may have brought nothing, if that has not been reported yet.
func (b *bus) brokenSince(list []subscription) (since time.Time, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range list {
		if w := b.wants[s]; w != nil && !w.broken.IsZero() && (!ok || w.broken.Before(since)) {
			since, ok = w.broken, true
		}
	}
	return since, ok
}

// beside reports whether two subscriptions are on one connection: what comes on one of them comes behind what was published
// before it on the other.
func (b *bus) beside(s, other subscription) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	x, y := b.wants[s], b.wants[other]
	return x != nil && y != nil && x.link != nil && x.link == y.link
}

// unconfirmed returns the subscriptions of l that Redis has not taken.
func (b *bus) unconfirmed(l *link) (list []subscription) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for s, w := range b.wants {
		if w.link == l && !w.confirmed {
			list = append(list, s)
		}
	}
	return list
}

// since returns since when someone here gets s.
func (b *bus) since(s subscription) (at time.Time) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if w := b.wants[s]; w != nil {
		at = w.at
	}
	return at
}
