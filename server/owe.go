package server

import "unsafe"

// Hold has a, arguments of an event or an answer of the client's, count as an event that waits for the handlers of
// the session, until release is called, once: in its limits, and in the place that a session keeps which has ended. It
// is for packages that show this server to their applications in another form, and are not done with a when package
// server is.
//
// For an answer it is called by EmitFunc's function. With parked, a are those of an event that is being handled, and
// count also with what is made of them; that waits for room, as an event does. When there is none the session is closed,
// and ok is false.
func (s *Socket) Hold(a Args, parked bool) (release func(), ok bool) {
	c, size, cost := s.client, a.size()+eventCost, 0
	if parked {
		cost = anything.Of(a.data) + int(unsafe.Sizeof(a.at[:1][0]))*cap(a.at)
		c.load.events.Add(1) // its place is in the load already
		c.load.bytes.Add(int64(size))
	} else if !c.load.add(size, &c.server.cfg.Limits) {
		c.server.stats.queueFull.Add(1)
		c.refusedPacket(ReasonQueueFull, ErrQueueFull)
		return nil, false
	}
	switch {
	case cost >= lightEvent: // whoever handles it has waited for as much room
		c.mu.Lock()
		c.inLobby().open += cost
		c.mu.Unlock()
	case cost > 0 && !s.waitForRoom(cost):
		c.lighten(1, int64(size))
		return nil, false
	}
	return func() {
		if cost > 0 {
			c.leaveRoom(cost)
		}
		c.lighten(1, int64(size))
	}, true
}
