package adminui

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"sort"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/internal/limit"
)

// What the page is told. By the first it knows to ask for the password again.
var (
	errCredentials = errors.New("invalid credentials")
	errGuesses     = errors.New("too many failed logins, try again in a minute")
	errBusy        = errors.New("too many logins at once, try again")
	errPage        = errors.New("origin not allowed")
)

const (
	// maxFailures is how many wrong passwords one address may send in failureWindow.
	maxFailures   = 10
	failureWindow = time.Minute
	// maxAsked is how many comparisons of one network are counted. One is forgotten after askedWindow / maxAsked:
	// slowly, or who has many addresses would take them in turn.
	maxAsked    = 1000
	askedWindow = 10 * time.Hour
	// maxWaiting bounds those whose password waits to be compared.
	maxWaiting = 64
)

// logins decides on names and passwords, and bounds what guessing them costs. Only the address that has been
// wrong is refused for it. bcrypt is slow on purpose, and so one comparison runs at a time; of those who wait
// the one is next from whose networks least has been asked for of late, whether there was room for it or not: whoever
// guesses, from however many addresses of a network, waits behind who logs in from another. Among equals it is a
// lottery, which no number of strangers can win each time. Once the right login has been seen, others are known for
// what they are at once, and nobody waits.
type logins struct {
	// Set by newLogins, then read only.
	username, hash string
	compare        func(hash, password []byte) error
	key            []byte // of sum
	wrong          *limit.Tally
	asked          [3]*limit.Tally // comparisons, by limit.Networks

	mu      sync.Mutex
	right   []byte     // guarded by mu; the sum of the right login, once it has been seen
	busy    bool       // guarded by mu; a comparison runs
	waiting []*visitor // guarded by mu; the next one is the last
}

// visitor is one who waits for a comparison.
type visitor struct {
	asked [3]int    // from its networks, the widest first
	turn  chan bool // gets one value: false if there is no room
}

// compare compares what has been asked for by v and by o.
func (v *visitor) compare(o *visitor) int { return slices.Compare(v.asked[:], o.asked[:]) }

func newLogins(username, hash string) *logins {
	l := &logins{
		username: username, hash: hash, compare: bcrypt.CompareHashAndPassword, key: make([]byte, sha256.Size),
		wrong: limit.NewTally(maxFailures, failureWindow),
	}
	for i := range l.asked {
		l.asked[i] = limit.NewTally(maxAsked, askedWindow)
	}
	_, _ = rand.Read(l.key) // never fails (crypto/rand since Go 1.24)
	return l
}

// check returns nil for the right name and password, and else what to tell the client, or the error of ctx
// if that ends before there is an answer.
func (l *logins) check(ctx context.Context, addr string, c *credentials) error {
	networks := limit.Networks(addr)
	addr = limit.Address(addr)
	sum := l.sum(c)
	if decided, err := l.decide(addr, sum); decided {
		return err
	}
	if err := l.enter(ctx, networks); err != nil {
		return err
	}
	defer l.leave()
	if decided, err := l.decide(addr, sum); decided { // by those whose turn was before
		return err
	}
	// The password is compared for a wrong name too, so that the time does not tell which was wrong.
	right := l.compare([]byte(l.hash), []byte(c.Password)) == nil
	if subtle.ConstantTimeCompare([]byte(c.Username), []byte(l.username)) != 1 || !right {
		l.wrong.Add(addr, time.Now())
		return errCredentials
	}
	l.mu.Lock()
	l.right = sum
	l.mu.Unlock()
	return nil
}

// decide tells whether the login can be decided without a comparison, and how.
func (l *logins) decide(addr string, sum []byte) (decided bool, err error) {
	l.mu.Lock() // so that nobody guesses twice before the first is counted
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case l.wrong.Count(addr, now) >= maxFailures:
		return true, errGuesses
	case l.right == nil:
		return false, nil
	case !hmac.Equal(sum, l.right):
		l.wrong.Add(addr, now)
		return true, errCredentials
	}
	return true, nil
}

// knows reports whether c is the right login and has been seen to be.
func (l *logins) knows(c *credentials) bool {
	sum := l.sum(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.right != nil && hmac.Equal(sum, l.right)
}

// sum is what logins are recognised by.
func (l *logins) sum(c *credentials) []byte {
	name := sha256.Sum256([]byte(c.Username))
	h := hmac.New(sha256.New, l.key)
	_, _ = h.Write(name[:]) // never fails, here and below
	_, _ = h.Write([]byte(c.Password))
	return h.Sum(nil)
}

// enter waits for the turn of one comparison, which leave ends.
func (l *logins) enter(ctx context.Context, networks [3]string) error {
	now := time.Now()
	v := &visitor{turn: make(chan bool, 1)}
	for i, tally := range l.asked {
		v.asked[i] = tally.Count(networks[i], now)
		tally.Add(networks[i], now)
	}
	l.mu.Lock()
	if !l.busy {
		l.busy = true
		l.mu.Unlock()
		return nil
	}
	// Those who have asked more are first in the list, and last to be served.
	from := sort.Search(len(l.waiting), func(i int) bool { return v.compare(l.waiting[i]) >= 0 })
	to := sort.Search(len(l.waiting), func(i int) bool { return v.compare(l.waiting[i]) > 0 })
	behind := from + mathrand.IntN(to-from+1)
	l.waiting = slices.Insert(l.waiting, behind, v)
	if len(l.waiting) > maxWaiting {
		l.waiting[0].turn <- false
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
	l.mu.Unlock()
	select {
	case ok := <-v.turn:
		if !ok {
			return errBusy
		}
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	at := slices.Index(l.waiting, v)
	if at >= 0 {
		l.waiting = slices.Delete(l.waiting, at, at+1)
	}
	l.mu.Unlock()
	if at < 0 && <-v.turn {
		l.leave()
	}
	return ctx.Err()
}

// leave gives the turn to the next.
func (l *logins) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.waiting)
	if l.busy = n > 0; l.busy {
		l.waiting[n-1].turn <- true
		l.waiting = slices.Delete(l.waiting, n-1, n)
	}
}
