package redis

import (
	"slices"
	"time"
)

// regained is a subscription that was lost for a while and is there again.
type regained struct {
	sub   subscription
	to    []receiver
	since time.Time // everything published before has come
}

// confirm notes that Redis has taken s from l, or that it has ended it on its own.
func (b *bus) confirm(l *link, s subscription, on bool) {
	list, fresh := b.confirmed(l, s, on)
	if len(list) > 0 && b.regained != nil {
		b.regained(list)
	}
	if fresh != nil && b.fresh != nil {
		b.fresh(*fresh)
	}
}

// confirmed is confirm, and returns what has been regained if nothing of l is missing any more, and s if it is new,
// with since when it is wanted.
func (b *bus) confirmed(l *link, s subscription, on bool) (list []regained, fresh *regained) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.wants[s]
	if w == nil || w.link != l {
		return nil, nil
	}
	if !on { // the slot has moved
		l.breaks(w)
		w.link = nil
		b.home(s, w)
		return nil, nil
	}
	if !w.confirmed && !w.broken.IsZero() {
		l.left--
		l.back = append(l.back, regained{s, w.to, w.broken})
		w.broken = time.Time{}
	} else if !w.confirmed && len(w.to) > 0 {
		w.taken = time.Now()
		fresh = &regained{s, w.to, w.at}
	}
	w.confirmed = true
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	if l.left > 0 {
		return nil, fresh
	}
	list, l.back = l.back, nil
	return list, fresh
}

// brokenSince returns since when one of list may have brought nothing, if that has not been reported yet.
func (b *bus) brokenSince(list []subscription) (since time.Time, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range list {
		w := b.wants[s]
		if w == nil {
			continue
		}
		at := w.broken
		if w.link != nil && at.IsZero() {
			if i := slices.IndexFunc(w.link.back, func(x regained) bool { return x.sub == s }); i >= 0 {
				at = w.link.back[i].since
			}
		}
		if !at.IsZero() && (!ok || at.Before(since)) {
			since, ok = at, true
		}
	}
	return since, ok
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

// since returns since when someone here gets s, and whether Redis has taken it only later.
func (b *bus) since(s subscription) (at time.Time, later bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if w := b.wants[s]; w != nil {
		at, later = w.at, w.taken.After(w.at)
	}
	return at, later
}
