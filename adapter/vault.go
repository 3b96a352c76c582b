package adapter

import (
	"container/list"
	"fmt"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

// vault keeps the sessions that may come back, of all namespaces of one Memory, within one budget of count
// and bytes: the oldest go first. Of those it notes for as long that they were here, so that who asks for one
// is told why it is not. It has no timer: what has expired goes when something is saved or asked for.
type vault struct {
	limits Recovery

	// Guarded by mu.
	mu       sync.Mutex
	sessions map[*log]map[string]*list.Element // by pid; of kept or givenUp
	kept     list.List                         // of *saved, in the order saved
	givenUp  list.List                         // of *saved without a session, in the order saved
	bytes    int                               // of kept
	saves    uint64                            // so far
}

// saved is one session that may come back.
type saved struct {
	Session
	of   *log
	at   time.Time
	size int // zero when it has been given up
}

// savedCost is what a session costs beside its texts: itself, and its places in a list and a map.
const savedCost = int(unsafe.Sizeof(saved{})+unsafe.Sizeof(list.Element{})) + 64

func newVault(r Recovery) *vault {
	return &vault{limits: r, sessions: make(map[*log]map[string]*list.Element)}
}

// cost is what the session makes the server hold, in bytes.
func (s *Session) cost() int {
	n := savedCost + len(s.SID) + len(s.PID) + len(s.Data) + len(s.Identity) + len(s.Owner)
	for _, stay := range s.Trail.Stays {
		n += int(unsafe.Sizeof(stay)) + len(stay.Room) + len(stay.From) + len(stay.To)
	}
	for _, room := range s.Rooms {
		n += len(room) + int(unsafe.Sizeof(room))
	}
	return n
}

// save keeps s, which may cost others their place. It returns ErrSessionsFull when s alone is too large.
func (v *vault) save(of *log, s Session) error {
	now := time.Now()
	e := &saved{Session: s, of: of, at: now, size: s.cost()}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.saves++
	e.Version = strconv.FormatUint(v.saves, 10)
	v.remove(of, s.PID)
	if e.size > v.limits.MaxSessionBytes {
		v.giveUp(e)
		v.trim(now)
		return fmt.Errorf("%w: %d bytes", ErrSessionsFull, e.cost())
	}
	v.note(e, v.kept.PushBack(e))
	v.bytes += e.size
	v.trim(now)
	return nil
}

// find returns the session of that pid.
func (v *vault) find(of *log, pid string) (*Session, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trim(time.Now())
	at, ok := v.sessions[of][pid]
	if !ok {
		return nil, fmt.Errorf("%w: unknown or expired session", ErrNoRecovery)
	}
	e := at.Value.(*saved)
	if e.size == 0 {
		return nil, fmt.Errorf("%w: %w", ErrNoRecovery, ErrSessionsFull)
	}
	s := e.Session
	return &s, nil
}

// take takes a session out that find has returned, unless another has.
func (v *vault) take(of *log, s *Session) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, ok := v.sessions[of][s.PID]
	if ok {
		e := at.Value.(*saved)
		ok = e.size > 0 && e.Version == s.Version
	}
	if !ok {
		return fmt.Errorf("%w: %w", ErrNoRecovery, ErrTaken)
	}
	v.remove(of, s.PID)
	return nil
}

// drop drops the session of that pid.
func (v *vault) drop(of *log, pid string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.remove(of, pid)
}

// forget drops all sessions of a namespace.
func (v *vault) forget(of *log) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for pid := range v.sessions[of] {
		v.remove(of, pid)
	}
}

// note puts e's element into the index. Called with mu held.
func (v *vault) note(e *saved, at *list.Element) {
	pids := v.sessions[e.of]
	if pids == nil {
		pids = make(map[string]*list.Element)
		v.sessions[e.of] = pids
	}
	pids[e.PID] = at
}

// remove takes what is known of a session out, and returns it, or nil. Called with mu held.
func (v *vault) remove(of *log, pid string) *saved {
	pids := v.sessions[of]
	at, ok := pids[pid]
	if !ok {
		return nil
	}
	if delete(pids, pid); len(pids) == 0 {
		delete(v.sessions, of)
	}
	e := at.Value.(*saved)
	if e.size == 0 {
		v.givenUp.Remove(at)
		return e
	}
	v.kept.Remove(at)
	v.bytes -= e.size
	return e
}

// removeFirst is remove for the oldest in the list. Called with mu held.
func (v *vault) removeFirst(l *list.List) *saved {
	e := l.Front().Value.(*saved)
	return v.remove(e.of, e.PID)
}

// giveUp notes that e, which is not in the vault, has been here. Called with mu held.
func (v *vault) giveUp(e *saved) {
	rest := &saved{Session: Session{PID: e.PID}, of: e.of, at: e.at}
	v.note(rest, v.givenUp.PushBack(rest))
}

// trim drops what is beyond the limits. Called with mu held.
func (v *vault) trim(now time.Time) {
	old := now.Add(-v.limits.MaxDisconnection)
	for _, l := range []*list.List{&v.kept, &v.givenUp} {
		for l.Len() > 0 && l.Front().Value.(*saved).at.Before(old) {
			v.removeFirst(l)
		}
	}
	for v.kept.Len() > v.limits.MaxSessions || v.bytes > v.limits.MaxSessionBytes {
		v.giveUp(v.removeFirst(&v.kept))
	}
	for v.givenUp.Len() > v.limits.MaxSessions {
		v.removeFirst(&v.givenUp)
	}
}
