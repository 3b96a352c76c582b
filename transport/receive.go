package transport

// takeRX waits until nobody is inside the receiver's Receive (or the application's Accept) and takes the
// right to call it. Packets come from one goroutine at a time except around an upgrade, where a POST and
// the WebSocket may meet; and a session's end is reported only after the last Receive, so the end has to
// know of it. Called with mu held, which it gives up while waiting.
func (s *Session) takeRX() {
	for s.rxBusy {
		if s.rxFree == nil {
			s.rxFree = make(chan struct{})
		}
		free := s.rxFree
		s.mu.Unlock()
		<-free
		s.mu.Lock()
	}
	s.rxBusy = true
}

// giveRX gives the right back. Called with mu held, which must be released with unlock.
func (s *Session) giveRX() {
	s.rxBusy = false
	if s.rxFree != nil {
		close(s.rxFree)
		s.rxFree = nil
	}
}

// onPacket does what a packet of the client asks for and reports whether it was a message. It is called
// by who has the right to call the receiver, without mu. Packets to a session that is not open are
// dropped. An error ends the session; errClientClosed is a CLOSE packet. Node, engine.io/lib/socket.ts, onPacket.
func (s *Session) onPacket(p enginePacket) (message bool, err error) {
	if p.kind == kindClose {
		// Node ignores it on a WebSocket and keeps the session until the ping timeout; a client that says
		// it is closing is believed here.
		return false, errClientClosed
	}
	if !s.receiving.Load() {
		return false, nil
	}
	switch p.kind {
	case kindMessage:
		s.recv.Receive(Message{Data: p.data, Binary: p.binary})
		return true, nil
	case kindPing:
		if s.proto != 3 {
			return false, errHeartbeat
		}
		s.onPing()
	case kindPong:
		if s.proto == 3 {
			return false, errHeartbeat
		}
		s.onPong()
	}
	// The others mean nothing here, and Node ignores them.
	return false, nil
}
