package server

// MaxReplaying is maxReplaying.
const MaxReplaying = maxReplaying

// Replaying has that much reserved as sockets that are being recovered have, until what it returns is called. It
// returns nil if others have something reserved.
func (s *Server) Replaying(bytes int64) (free func()) {
	if !s.replaying.CompareAndSwap(0, bytes) {
		return nil
	}
	return func() { s.replaying.Add(-bytes) }
}
