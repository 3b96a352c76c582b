package adapter

import (
	"bytes"
	"container/list"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Defaults of Recovery; the first is Node's maxDisconnectionDuration.
const (
	DefaultMaxDisconnection = 2 * time.Minute
	DefaultMaxSilence       = 95 * time.Second // with the default heartbeat, extended once, and a send that is given up
	DefaultMaxEvents        = 10_000
	DefaultMaxBytes         = 64 << 20
	DefaultMaxSessions      = 100_000
	DefaultMaxSessionBytes  = 64 << 20
)

// withDefaults returns r with zero fields replaced by their defaults, or an error.
func (r Recovery) withDefaults() (Recovery, error) {
	if min(r.MaxDisconnection, r.MaxSilence) < 0 || min(r.MaxEvents, r.MaxBytes, r.MaxSessions, r.MaxSessionBytes) < 0 {
		return r, fmt.Errorf("recovery: negative limit in %+v", r)
	}
	if r.MaxDisconnection == 0 {
		r.MaxDisconnection = DefaultMaxDisconnection
	}
	if r.MaxSilence == 0 {
		r.MaxSilence = DefaultMaxSilence
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
// An offset is the log's own random name and the number of an event, from 1, so that an offset of an
// earlier process is never taken for one of this. It gives away nothing: what a client may see is
// decided by its pid.
type log struct {
	namespace string
	prefix    string
	vault     *vault
	shelf     *shelf

	// order is held while an event gets its number and is delivered, so that who has seen one has seen
	// all before it. It is taken before every other lock.
	order sync.Mutex

	// Guarded by shelf.mu.
	entries []entry // entries[head:] are held
	head    int
	last    uint64 // number of the last event
}

// entry is one event of the log.
type entry struct {
	m  Message // with its offset
	t  Target
	at time.Time
	on *list.Element // of shelf.order
}

// Cost returns what keeping the event, for t, costs in bytes: more than its size where texts are short or rooms
// are many.
func (m *Message) Cost(t *Target) int {
	n := int(unsafe.Sizeof(entry{})+unsafe.Sizeof(list.Element{})) + m.Size() + len(m.Offset)
	for _, rooms := range [][]string{t.Rooms, t.Except} {
		for _, room := range rooms {
			n += len(room) + int(unsafe.Sizeof(room))
		}
	}
	return n
}

func (e *entry) cost() int { return e.m.Cost(&e.t) }

// shelf is what the logs of all namespaces of one Memory have together: their lock, and one budget of bytes.
type shelf struct {
	limits Recovery

	mu    sync.Mutex
	bytes int       // guarded by mu, as are the entries of all logs
	order list.List // guarded by mu: of *log, one for each entry, the oldest first
}

// newLog returns an empty log with a place on s, for the sessions in v.
func newLog(namespace string, v *vault, s *shelf) *log {
	b := make([]byte, 6)
	rand.Read(b)
	return &log{namespace: namespace, vault: v, shelf: s, prefix: base64.RawURLEncoding.EncodeToString(b) + "."}
}

// WithOffset returns m, an event, with offset as one more argument at the end.
func WithOffset(m Message, offset string) Message {
	data := make([]byte, 0, len(m.Data)+len(offset)+3)
	data = append(data, bytes.TrimRight(m.Data, " \t\r\n")...)
	data = append(data[:len(data)-1], ',')
	data = strconv.AppendQuote(data, offset) // offsets are plain ASCII: JSON and Go quote alike
	return Message{Data: append(data, ']'), Attachments: m.Attachments, Offset: offset}
}

// Misleads reports whether a client would take the last argument of the event m, which is not kept, for an
// offset: socket.io-client does so with any string. Such an event gets the offset of the one before it.
func (m Message) Misleads() bool {
	data := bytes.TrimRight(m.Data, " \t\r\n")
	data = bytes.TrimRight(data[:max(0, len(data)-1)], " \t\r\n")
	return len(data) > 0 && data[len(data)-1] == '"'
}

// Size returns the bytes of the event and its attachments.
func (m Message) Size() int {
	n := len(m.Data)
	for _, a := range m.Attachments {
		n += len(a)
	}
	return n
}

// offset is that of the event with a number.
func (l *log) offset(n uint64) string { return l.prefix + strconv.FormatUint(n, 36) }

// number returns the number that offset is of.
func (l *log) number(offset string) (uint64, bool) {
	text, ok := strings.CutPrefix(offset, l.prefix)
	n, err := strconv.ParseUint(text, 36, 64)
	return n, ok && err == nil
}

// position is the offset of the last event.
func (l *log) position() string {
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	return l.offset(l.last)
}

// deliver adds the event m to the log, unless it is volatile, and calls to, which delivers it.
func (l *log) deliver(m Message, t Target, to func(Message) (after func())) {
	l.order.Lock()
	after := func() func() {
		defer l.order.Unlock()
		if !t.Volatile {
			m = l.append(m, t)
		} else if m.Misleads() {
			m = WithOffset(m, l.position())
		}
		return to(m)
	}()
	after()
}

// append adds the event m and returns it with its offset. Called with order held.
func (l *log) append(m Message, t Target) Message {
	now := time.Now()
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	l.last++
	m = WithOffset(m, l.offset(l.last))
	t.Rooms, t.Except = slices.Clone(t.Rooms), slices.Clone(t.Except)
	e := entry{m, t, now, l.shelf.order.PushBack(l)}
	l.entries = append(l.entries, e)
	l.shelf.bytes += e.cost()
	l.trim(now)
	return m
}

// trim drops what is beyond the limits: of this log, and the oldest of all. Called with mu held.
func (l *log) trim(now time.Time) {
	s := l.shelf
	for len(l.entries)-l.head > s.limits.MaxEvents {
		l.drop()
	}
	old := now.Add(-s.limits.MaxDisconnection - s.limits.MaxSilence)
	for s.order.Len() > 0 {
		oldest := s.order.Front().Value.(*log)
		if s.bytes <= s.limits.MaxBytes && !oldest.entries[oldest.head].at.Before(old) {
			break
		}
		oldest.drop()
	}
}

// drop drops the first entry. Called with mu held.
func (l *log) drop() {
	e := &l.entries[l.head]
	l.shelf.bytes -= e.cost()
	l.shelf.order.Remove(e.on)
	*e = entry{}
	l.head++
	// Half of the slice is free: move the rest down, which costs one move per event on average.
	if l.head > 64 && l.head > len(l.entries)/2 {
		n := copy(l.entries, l.entries[l.head:])
		clear(l.entries[n:])
		l.entries, l.head = l.entries[:n], 0
	}
}

func (l *log) save(s Session) error {
	s.Namespace = l.namespace
	return l.vault.save(l, s)
}

// restore returns the session pid for a client whose last event is the one with offset.
func (l *log) restore(pid, offset string) (*Session, error) {
	s, err := l.vault.find(l, pid)
	if err != nil {
		return nil, err
	}
	var ok bool
	if s.After, ok = s.Start(offset, l.before); !ok {
		return nil, fmt.Errorf("%w: unknown offset", ErrNoRecovery)
	}
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	if _, err := l.after(s.After); err != nil {
		return nil, err
	}
	return s, nil
}

func (l *log) before(a, b string) bool {
	x, ok := l.number(a)
	y, _ := l.number(b)
	return !ok || x < y
}

// after returns the index in entries of the first event after offset. Called with mu held.
func (l *log) after(offset string) (int, error) {
	n, ok := l.number(offset)
	if !ok || n > l.last {
		return 0, fmt.Errorf("%w: unknown offset", ErrNoRecovery)
	}
	first := l.last + 1 - uint64(len(l.entries)-l.head)
	if n+1 < first {
		return 0, fmt.Errorf("%w: events trimmed", ErrNoRecovery)
	}
	return l.head + int(n+1-first), nil
}

// resume takes the session out of the log, calls join and replays what the session missed.
func (l *log) resume(s *Session, replay func(Message), join func()) error {
	s.stays() // which takes its time in many rooms
	l.order.Lock()
	defer l.order.Unlock()
	missed, err := l.missed(s)
	if err != nil {
		return err
	}
	if err := l.vault.take(l, s); err != nil {
		return err
	}
	join()
	for _, m := range missed {
		replay(m)
	}
	return nil
}

// missed returns what the session missed. Called with order held.
func (l *log) missed(s *Session) (missed []Message, err error) {
	l.shelf.mu.Lock()
	i, err := l.after(s.After)
	held := slices.Clone(l.entries[min(i, len(l.entries)):])
	n := l.last - uint64(len(held))
	l.shelf.mu.Unlock()
	if err != nil {
		return nil, err
	}
	bytes := 0
	for _, e := range held {
		n++
		isAfter := func(offset string) bool {
			x, _ := l.number(offset)
			return n > x
		}
		if s.Missed(&e.t, isAfter) {
			missed = append(missed, e.m)
			bytes += e.cost()
		}
	}
	if s.Reserve != nil && !s.Reserve(bytes) {
		return nil, fmt.Errorf("%w: %w: %d bytes", ErrNoRecovery, ErrReplayFull, bytes)
	}
	return missed, nil
}

func (l *log) clear() {
	l.shelf.mu.Lock()
	for l.head < len(l.entries) {
		l.drop()
	}
	l.shelf.mu.Unlock()
	l.vault.forget(l)
}
