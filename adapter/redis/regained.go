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

// late is when a subscription that is new comes too late to be taken for one that was there at once.
const late = 250 * time.Millisecond

// confirm notes that Redis has taken s from l, or that it has ended it on its own.
func (b *bus) confirm(l *link, s subscription, on bool) {
	if list := b.confirmed(l, s, on); len(list) > 0 && b.regained != nil {
		b.regained(list)
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
	if !w.confirmed && !w.broken.IsZero() {
		l.left--
		l.back = append(l.back, regained{s, w.to, w.broken})
		w.broken = time.Time{}
	} else if !w.confirmed && time.Since(w.at) > late {
		l.back = append(l.back, regained{s, w.to, w.at.Add(-slack)})
	}
	w.confirmed = true
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	if l.left > 0 {
		return nil
	}
	list, l.back = l.back, nil
	return list
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

// since returns since when someone here gets s.
func (b *bus) since(s subscription) (at time.Time) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if w := b.wants[s]; w != nil {
		at = w.at
	}
	return at
}
