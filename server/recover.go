package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// recovery is how a socket can be recovered, and was.
type recovery struct {
	// Set while connecting, then read only.
	pid       string
	recovered bool
	err       error // why not

	identity string // the identity of the session it was recovered from
	place    string // whose place in the events it was recovered at, and which

	last    atomic.Pointer[string] // the offset of the last event that was sent to the client, if any
	version string                 // of the session it was recovered from
	session *adapter.Session       // nil once the middlewares have run; see Restored
	settled atomic.Bool            // saved is closed
	saved   chan struct{}          // closed when the state of a socket that has left is saved, or will not be
}

// identify gives the socket its ids: those it had, when the client asks for recovery and it is possible.
func (s *Socket) identify() *adapter.Session {
	s.settle() // what an attempt before this one was
	srv := s.client.server
	if srv.cfg.Recovery == nil || s.client.session.Protocol() == 3 { // a v2 client keeps no pid
		s.id = s.newID()
		return nil
	}
	session, place, err := s.restore()
	if err != nil {
		s.anew(err)
		return nil
	}
	if session == nil {
		s.anew(nil)
		return nil
	}
	s.id = session.SID
	s.recovery = &recovery{pid: session.PID, recovered: true, identity: session.Identity, place: place,
		version: session.Version, session: session, saved: make(chan struct{})}
	s.sent(&session.Last)
	s.Data.restore(session.Data)
	return session
}

// Restored returns what a recovered socket was restored from, to its middlewares. It is nil for others, and later.
func (s *Socket) Restored() *adapter.Session {
	if s.recovery == nil {
		return nil
	}
	return s.recovery.session
}

// sent notes the offset of an event that is sent to the client, or would be if it had not just gone. An event
// without one has "".
func (s *Socket) sent(offset *string) {
	if s.recovery != nil && *offset != "" {
		s.recovery.last.Store(offset)
	}
}

func (r *recovery) lastOffset() string {
	if p := r.last.Load(); p != nil {
		return *p
	}
	return ""
}

// anew makes the socket one that is not recovered, because of err if the client has asked for it.
func (s *Socket) anew(err error) {
	if err != nil {
		s.client.log().Debug("session not recovered", "namespace", s.name, "err", err)
	}
	s.settle()
	pid := newID()
	s.id, s.recovery = adapter.SocketID(pid), &recovery{pid: pid, err: err, saved: make(chan struct{})}
	s.Data.restore([]byte("{}"))
}

// newID returns the id of a new socket. A v2 client takes the session's id for the one of "/" and makes
// the others from it. Source: socket.io/lib/socket.ts, constructor.
func (s *Socket) newID() string {
	if s.client.session.Protocol() != 3 {
		return newID()
	}
	if s.name == "/" {
		return s.client.session.ID()
	}
	return s.name + "#" + s.client.session.ID()
}

// restore finds the saved session that the client names in its auth payload, if it names one. A client that
// has seen no event names no offset.
func (s *Socket) restore() (_ *adapter.Session, place string, _ error) {
	pid, offset := s.former()
	if pid == "" {
		return nil, "", nil
	}
	ctx, cancel := context.WithTimeout(s.Context(), closeTimeout)
	defer cancel()
	session, err := s.nsp.adapter.Restore(ctx, pid, offset)
	if err == nil && session.Namespace != "" && session.Owner != s.nsp.parent.key() {
		err = fmt.Errorf("%w: let in by another pattern or function", adapter.ErrNoRecovery)
	}
	place = pid + " " + offset
	if err == nil && s.client.server.bounds.vain.Count(place, time.Now()) >= maxVain {
		err = s.inVain()
	}
	if err != nil {
		return nil, "", err
	}
	return session, place, nil
}

// maxVain is how often, within ten minutes, a client is brought the same events that it missed.
const maxVain = 10

// inVain is the error of a recovery that would bring a client once more what it has lost its connection for each time: as
// it would for ever, if it is an event that the client does not take.
func (s *Socket) inVain() error {
	if s.client.server.bounds.notice.News("recoveries in vain", time.Now()) {
		s.client.log().Warn("a client is not recovered any more: it loses its connection each time that it is sent what it missed. It may be an "+
			"event that it does not take, as one of too many binaries", "namespace", s.name, "recoveries", maxVain)
	}
	return fmt.Errorf("%w: what was missed has been sent %d times, and none of it has come", adapter.ErrNoRecovery, maxVain)
}

// former returns the pid and the offset that the client names in its auth payload; the pid is "" when it asks for
// nothing, or for nothing that could be meant.
func (s *Socket) former() (pid, offset string) {
	var auth struct {
		PID    *string `json:"pid"`
		Offset *string `json:"offset"`
	}
	if packet.Decode(s.Handshake().RawAuth(), nil, &auth) != nil || auth.PID == nil {
		return "", ""
	}
	if auth.Offset != nil {
		offset = *auth.Offset
	}
	return *auth.PID, offset
}

// discardTimeout is how long a client that was put out while it came back waits for the answer: until nobody can come
// back to what it was.
const discardTimeout = time.Second

// discard sees to it that nobody comes back to what the client has asked for in the namespace.
func (s *Socket) discard(ctx context.Context, nsp *Namespace) {
	pid, _ := s.former()
	if pid == "" || s.client.server.cfg.Recovery == nil || s.client.session.Protocol() == 3 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, discardTimeout)
	defer cancel()
	if err := nsp.adapter.Discard(ctx, pid); err != nil {
		s.client.log().Debug("session that was put out not discarded", "namespace", s.name, "err", err)
	}
}

// enter makes the socket a member of its namespace; a recovered one gets its rooms and what it missed. What is
// sent to it from then on is held.
func (s *Socket) enter(session *adapter.Session) error {
	rooms := s.wanted()
	if session == nil {
		s.nsp.adapter.Join(s, rooms...)
		s.joinLate(len(rooms))
		return nil
	}
	s.recovery.session = nil
	session.Rooms = append(session.Rooms, rooms...)
	session.Reserve = s.reserve
	s.depart() // until it is a member
	defer s.arrive()
	// Not ended by the client's going: what has been taken is saved again then.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), closeTimeout)
	defer cancel()
	missed := false
	err := s.nsp.adapter.Resume(ctx, s, session, func(m adapter.Message) {
		missed = true
		s.sent(&m.Offset)
		s.keep(held{m: m})
	})
	if missed {
		s.client.server.bounds.vain.Add(s.recovery.place, time.Now())
	}
	if err == nil {
		s.joinLate(len(rooms))
	}
	return err
}

// part ends the membership of a socket that has left. Its state is kept for a client that may come back, one that
// has been told its pid, by this socket or one before; save does it when the last handler has run.
func (s *Socket) part(reason transport.CloseReason, told bool) {
	r := s.recovery
	keep := r != nil && recoverable(reason) && (told || r.recovered)
	if keep {
		s.nsp.keep() // or there would be nothing to come back to
		s.depart()
	}
	rooms, trail := s.nsp.adapter.Remove(s)
	s.mu.Lock()
	b := s.atBorder()
	b.rooms = rooms
	if keep = keep && !b.disowned; keep {
		b.trail = &trail
	}
	s.mu.Unlock()
	if !keep {
		s.settle()
	}
}

// afterwards has a handler that runs behind the end of the socket change the rooms that it comes back to. It does
// nothing when nobody can come back.
func (s *Socket) afterwards(change func(rooms []string, t *adapter.Trail) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.border; b != nil && b.trail != nil {
		b.rooms = change(b.rooms, b.trail)
	}
}

// save keeps the state of a socket whose handlers have run, if part has found that somebody may come back for it.
func (s *Socket) save() {
	s.mu.Lock()
	b := s.atBorder()
	trail, rooms, identity := b.trail, b.rooms, b.identity
	b.trail = nil
	s.mu.Unlock()
	if trail == nil {
		return
	}
	defer s.settle()
	data, live := s.data()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	// A server that stops need not know that the state is kept: Redis may be away, and its adapter has it.
	defer context.AfterFunc(s.client.server.hurry.ctx, func() { time.AfterFunc(time.Second, cancel) })()
	r := s.recovery
	err := s.nsp.adapter.Save(ctx, adapter.Session{
		SID: s.id, PID: r.pid, Version: r.version, Owner: s.nsp.parent.key(), Identity: identity,
		Rooms: rooms, Data: data, Live: live, Last: r.lastOffset(), Trail: *trail,
	})
	if err != nil {
		s.client.log().Debug("session not saved for recovery", "namespace", s.name, "err", err)
	}
}
