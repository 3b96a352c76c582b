package transport

import "time"

// A turn is what one read brings: the receiver gets its messages, then its Work runs the application's
// handlers. What is sent on the session during a turn is gathered and leaves in one write at its end;
// answers to sixteen messages of one segment cost one write instead of sixteen, which is most of what
// they cost (measured: 0.7 against 5.7 microseconds a message).
//
// Work runs on the goroutine that reads the WebSocket, since a hand-over to another costs more than most
// handlers do. But a handler may block, for ever if it likes, and meanwhile pongs must be read, the
// client's close noticed, and what was gathered must leave. So a turn whose Work lasts longer than
// takeoverAfter, or that says it will with Yield, loses the reader: another goroutine takes over the
// reading, and the one in Work ends when Work returns.
//
// Who reads is decided under Session.mu and only there: a turn has a number, taking over moves the number
// on, and a goroutine that comes back from Work goes on reading only if the number is still its own. A
// timer that fires late so takes over too early a turn, if one is in Work, or nothing; either is right.
// An upgrade takes over too, from the Work of a POST: the turns that follow are the WebSocket's, but the connection
// of the POST, which may be a proxy's, has others to serve.
// A Work that ends its goroutine never returns, and has the reader replaced likewise.
// The reader's own fields (wsConn) are not touched during Work, so the hand-over needs no more than the
// lock. The goroutine that takes over is added to Server.wg while the other is still counted.

// takeoverAfter is how long Work may keep the reader. A heartbeat or a close frame waits no longer than
// that, and a goroutine is started no more than 200 times a second for a session with slow handlers.
const takeoverAfter = 5 * time.Millisecond

// beginTurn makes what is sent be gathered. No turn is in Work. Called with mu held.
func (s *Session) beginTurn() {
	s.turn++
	s.gathering = true
}

// turnReader is what a turn's goroutine reads, a WebSocket or the connection of a POST.
type turnReader interface {
	// readLoop goes on reading, on a goroutine that is counted in Server.wg when it begins.
	readLoop()
}

// beginWork says that Work is about to be called in the turn begun last, for what c read, or nil if that is read no
// more, or by another. It returns the turn's number for endWork. Called with mu held.
func (s *Session) beginWork(c turnReader) (turn uint64) {
	s.working = true
	s.takeover = startTakeover(s, c)
	return s.turn
}

// workDone forgets the Work in progress. Called with mu held.
func (s *Session) workDone() {
	s.working = false
	s.takeover.stop()
	s.takeover = nil
}

// takeover is the timer of one Work. It is pooled: a session needs it for microseconds, and it would be
// 130 bytes of every idle one.
type takeover struct {
	timer   *time.Timer
	session *Session
	c       turnReader // what is to be read, or nil
}

// startTakeover takes the reader of s, of c, away after takeoverAfter.
func startTakeover(s *Session, c turnReader) *takeover {
	t, ok := s.srv.takeovers.Get().(*takeover)
	if !ok {
		t = &takeover{session: s, c: c}
		t.timer = time.AfterFunc(takeoverAfter, t.fire)
		return t
	}
	t.session, t.c = s, c
	t.timer.Reset(takeoverAfter)
	return t
}

func (t *takeover) fire() {
	if c := t.session.yield(0); c != nil {
		c.readLoop()
	}
}

// stop gives t back, unless it has fired.
func (t *takeover) stop() {
	if t.timer.Stop() {
		srv := t.session.srv
		t.session, t.c = nil, nil
		srv.takeovers.Put(t)
	}
}

// endWork ends the turn and reports true, unless it has lost the reader.
func (s *Session) endWork(turn uint64) bool {
	s.mu.Lock()
	if s.turn != turn {
		s.unlock()
		return false
	}
	s.workDone()
	s.gathering = false
	var answer *poll
	if s.ws != nil {
		s.ws.flushGathered()
	} else {
		answer = s.claimPoll()
	}
	s.unlock()
	if answer != nil {
		answer.answerLeft(s) // here: a goroutine for it cost a tenth of a polling echo
	}
	if s.srv.flusher.some.Load() {
		s.srv.flusher.flush(false)
	}
	return true
}

// endGather lets what was gathered leave. Called with mu held.
func (s *Session) endGather() {
	s.gathering = false
	if s.ws != nil {
		s.ws.flushGathered()
	} else {
		s.wakePoll()
	}
}

// yield ends the gathering of the turn that is in Work, if one is, and takes its reader away; of that turn
// alone, if it is not zero. If the turn has a reader, it returns the connection, which the caller must have read.
func (s *Session) yield(turn uint64) turnReader {
	s.mu.Lock()
	defer s.unlock()
	if turn != 0 && s.turn != turn {
		return nil
	}
	return s.cutTurn()
}

// cutTurn is yield, of any turn. Called with mu held.
func (s *Session) cutTurn() turnReader {
	if !s.working {
		return nil
	}
	c := s.takeover.c
	s.turn++
	s.workDone()
	s.endGather()
	if c != nil {
		s.srv.wg.Add(1) // for readLoop; the goroutine in Work is still counted
	}
	return c
}

// Yield tells the session that the goroutine inside Work is about to wait for something: what has
// been gathered leaves now and another goroutine takes over reading. Harmless elsewhere.
func (s *Session) Yield() { s.handOver(0) }

// handOver is yield, with a goroutine that reads.
func (s *Session) handOver(turn uint64) {
	if c := s.yield(turn); c != nil {
		go c.readLoop()
	}
}
