package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// What guessing passwords may cost.
const (
	window        = time.Minute // in which tries are counted
	maxPerAddress = 10          // tries of one address that failed or are not decided
	maxPerName    = 30          // likewise of one name: from then on a stranger has one, and who has logged in all
	maxKeys       = 10_000      // of each map; a full one is emptied
	maxHashing    = 2           // passwords that are compared at a time, which is slow on purpose
	maxQueued     = 20          // tries that wait for their turn, but for those from where the name has logged in
	maxQueuedTime = 2 * time.Second
)

var (
	errTries = errors.New("too many tries")
	errBusy  = errors.New("too many logins at once")
)

// place is a name with the network that somebody gives it from.
type place struct{ name, network string }

// logins decides whether a password is compared, and when. Made by newLogins; safe for concurrent use.
type logins struct {
	hashing chan struct{} // has an element for each comparison that runs

	mu sync.Mutex
	// Guarded by mu.
	since     time.Time // when the tries were last forgotten
	byNetwork map[string]int
	byName    map[string]int
	known     map[place]bool // where names have logged in
	queued    int
}

func newLogins() *logins {
	return &logins{
		hashing:   make(chan struct{}, maxHashing),
		byNetwork: make(map[string]int), byName: make(map[string]int), known: make(map[place]bool),
	}
}

// try returns what compare does, which it calls when it is the turn of this try. It returns errTries when too
// many of the network or the name have failed, and errBusy when too many others wait or ctx ends: neither
// costs a comparison.
func (l *logins) try(ctx context.Context, network, name string, compare func() bool) (right bool, err error) {
	from := place{name, network}
	if err := l.begin(from, time.Now()); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxQueuedTime)
	defer cancel()
	select {
	case l.hashing <- struct{}{}:
		l.leaveQueue()
		right = compare()
		<-l.hashing
	case <-ctx.Done():
		l.leaveQueue()
		err = errBusy
	}
	if right || err != nil {
		l.takeBack(from, right)
	}
	return right, err
}

// begin counts a try as failed until it is known better.
func (l *logins) begin(from place, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := now.Sub(l.since) >= window
	if old {
		l.since = now
	}
	for _, m := range []map[string]int{l.byNetwork, l.byName} {
		if old || len(m) >= maxKeys {
			clear(m)
		}
	}
	// Those who guess elsewhere lock out nobody who has not failed, nor who has been here before.
	stranger, failed := !l.known[from], l.byNetwork[from.network]
	switch {
	case failed >= maxPerAddress || stranger && failed > 0 && l.byName[from.name] >= maxPerName:
		return errTries
	case stranger && l.queued >= maxQueued:
		return errBusy
	}
	l.byNetwork[from.network]++
	l.byName[from.name]++
	l.queued++
	return nil
}

func (l *logins) leaveQueue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queued--
}

// takeBack is called for a try that has not failed.
func (l *logins) takeBack(from place, right bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byNetwork[from.network] = max(0, l.byNetwork[from.network]-1) // it may have been forgotten meanwhile
	l.byName[from.name] = max(0, l.byName[from.name]-1)
	if !right {
		return
	}
	if len(l.known) >= maxKeys {
		clear(l.known)
	}
	l.known[from] = true
}
