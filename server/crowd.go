package server

import (
	"slices"
	"time"
)

// crowd is how many functions of one kind, in one place, are taken for a mistake: they are registered for each
// connection, or for each event, stay, and all run. Node warns of 11 listeners of one event.
const crowd = 32

// added returns the list with fn behind it, another one. method is what has been called. It may be called under locks.
func added[F any](s *Server, method string, list []F, fn F) []F {
	list = append(slices.Clip(list), fn)
	s.crowded(len(list), method, "")
	return list
}

// crowded says once that n functions are too many.
func (s *Server) crowded(n int, method, event string) {
	if n != crowd || !s.bounds.notice.News(method, time.Now()) {
		return
	}
	s.apart.Warn("handlers pile up: register those of a namespace once, where the program starts, and those of a socket in "+
		"OnConnection, where s.On is a socket's own; never in a handler of events",
		"method", method, "event", event, "registered", n)
}
