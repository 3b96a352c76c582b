package adapter

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Defaults of Recovery; the first is Node's maxDisconnectionDuration.
const (
	DefaultMaxDisconnection = 2 * time.Minute
	DefaultMaxEvents        = 10_000
	DefaultMaxBytes         = 64 << 20
	DefaultMaxSessions      = 100_000
	DefaultMaxSessionBytes  = 64 << 20
)

// withDefaults returns r with zero fields replaced by their defaults, or an error.
func (r Recovery) withDefaults() (Recovery, error) {
	if r.MaxDisconnection < 0 || min(r.MaxEvents, r.MaxBytes, r.MaxSessions, r.MaxSessionBytes) < 0 {
		return r, fmt.Errorf("recovery: negative limit in %+v", r)
	}
	if r.MaxDisconnection == 0 {
		r.MaxDisconnection = DefaultMaxDisconnection
	}
	if r.MaxEvents == 0 {
		r.MaxEvents = DefaultMaxEvents
	}
	if r.MaxBytes == 0 {
		r.MaxBytes = DefaultMaxBytes
	}
	if r.MaxSessions == 0 {
		r.MaxSessions = DefaultMaxSessions
	}
	if r.MaxSessionBytes == 0 {
		r.MaxSessionBytes = DefaultMaxSessionBytes
	}
	return r, nil
}

// log holds the last events of a namespace, and knows the vault with the sessions that may come back for
// them. It has no timer: what has expired goes when something is added or asked for.
//
// An offset is the log's own random name and the number of the event, so that an offset of an
// earlier process is never taken for one of this. It gives away nothing: what a client may see is
// decided by its pid.
type log struct {
	limits Recovery
	prefix string
	vault  *vault

	// order delivers events in the order of their offsets and resumes sessions between two of them.
	order Sequence

	// Guarded by mu.
	mu      sync.Mutex
	entries []entry // entries[head:] are held
	head    int
	next    uint64 // number of the next event
	bytes   int
}

// entry is one event of the log.
type entry struct {
	m  Message // with its offset
	t  Target
	at time.Time
}

// newLog returns an empty log within the limits of v.
func newLog(v *vault) *log {
	b := make([]byte, 6)
	rand.Read(b)
	return &log{limits: v.limits, vault: v, prefix: base64.RawURLEncoding.EncodeToString(b) + "."}
}

// WithOffset returns m, an event, with offset as one more argument at the end.
func WithOffset(m Message, offset string) Message {
	data := make([]byte, 0, len(m.Data)+len(offset)+3)
	data = append(data, strings.TrimRight(string(m.Data), " \t\r\n")...)
	data = append(data[:len(data)-1], ',')
	data = strconv.AppendQuote(data, offset) // offsets are plain ASCII: JSON and Go quote alike
	return Message{Data: append(data, ']'), Attachments: m.Attachments}
}

func (m Message) size() int {
	n := len(m.Data)
	for _, a := range m.Attachments {
		n += len(a)
	}
	return n
}

// append adds the event m to the log and has deliver called with it, in the order of the log.
func (l *log) append(m Message, t Target, deliver func(Message, Target)) {
	now := time.Now()
	l.mu.Lock()
	m = WithOffset(m, l.prefix+strconv.FormatUint(l.next, 36))
	l.next++
	t.Rooms, t.Except = slices.Clone(t.Rooms), slices.Clone(t.Except)
	l.entries = append(l.entries, entry{m: m, t: t, at: now})
	l.bytes += m.size()
	l.trim(now)
	l.order.Put(func() { deliver(m, t) })
	l.mu.Unlock()
	l.order.Run()
}

// trim drops what is beyond the limits. Called with mu held.
func (l *log) trim(now time.Time) {
	old := now.Add(-l.limits.MaxDisconnection)
	for l.head < len(l.entries) {
		e := &l.entries[l.head]
		if len(l.entries)-l.head <= l.limits.MaxEvents && l.bytes <= l.limits.MaxBytes && !e.at.Before(old) {
			break
		}
		l.bytes -= e.m.size()
		*e = entry{}
		l.head++
	}
	// Half of the slice is free: move the rest down, which costs one move per event on average.
	if l.head > 64 && l.head > len(l.entries)/2 {
		n := copy(l.entries, l.entries[l.head:])
		clear(l.entries[n:])
		l.entries, l.head = l.entries[:n], 0
	}
}

func (l *log) save(s Session) error {
	l.mu.Lock()
	next := l.next
	l.mu.Unlock()
	return l.vault.save(l, s, next)
}

// restore takes the session pid out of the vault.
func (l *log) restore(pid, offset string) (*Session, error) {
	s, err := l.vault.take(l, pid)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Offset = offset
	if _, err := l.after(offset); err != nil {
		return nil, err
	}
	return &s.Session, nil
}

// after returns the index in entries of the first event after offset. Called with mu held.
func (l *log) after(offset string) (int, error) {
	text, ok := strings.CutPrefix(offset, l.prefix)
	n, err := strconv.ParseUint(text, 36, 64)
	if !ok || err != nil || n >= l.next {
		return 0, fmt.Errorf("%w: unknown offset", ErrNoRecovery)
	}
	first := l.next - uint64(len(l.entries)-l.head)
	if n+1 < first {
		return 0, fmt.Errorf("%w: events trimmed", ErrNoRecovery)
	}
	return l.head + int(n+1-first), nil
}

// resume replays what a session missed and calls join, between two events.
func (l *log) resume(s *Session, replay func(Message), join func()) error {
	done := make(chan struct{})
	l.mu.Lock()
	// Later events are delivered after this, and are not among those missed.
	i, err := l.after(s.Offset)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	var missed []Message
	for _, e := range l.entries[i:] {
		if e.t.Selects(s.Rooms) {
			missed = append(missed, e.m)
		}
	}
	l.order.Put(func() {
		defer close(done)
		for _, m := range missed {
			replay(m)
		}
		join()
	})
	l.mu.Unlock()
	l.order.Run()
	<-done
	return nil
}

func (l *log) clear() {
	l.mu.Lock()
	l.entries, l.head, l.bytes = nil, 0, 0
	l.mu.Unlock()
	l.vault.forget(l)
}

// Selects reports whether t selects a socket that is in rooms, its own id among them.
func (t *Target) Selects(rooms []string) bool {
	in := len(t.Rooms) == 0
	for _, name := range rooms {
		for _, x := range t.Except {
			if x == name {
				return false
			}
		}
		for _, x := range t.Rooms {
			in = in || x == name
		}
	}
	return in
}
