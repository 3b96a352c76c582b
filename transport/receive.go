package transport

// onPacket does what a packet of the client asks for and reports whether it was a message. It is called
// with rx held, without mu. Packets to a session that is not open are
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
		s.receive(Message{Data: p.data, Binary: p.binary})
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
