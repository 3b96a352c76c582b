package server

import (
	"reflect"
	"time"
	"unsafe"

	"github.com/beanpole/beanpole/server/packet"
)

// What an event makes the server hold is counted here: its text, with the attachments and what is around them, from
// when it is received until its handlers are done (size), and what is made of it for them, from when it is their turn
// (cost).

// What an event costs beside its text.
const (
	itemCost  = int(unsafe.Sizeof(item{})) + 16 // with the allocator's rounding
	eventCost = int(unsafe.Sizeof(Event{})) + itemCost

	attachmentCost = int(unsafe.Sizeof([]byte{})) + 16
)

// size is what the item makes the server hold, in bytes.
func (it *item) size() int {
	if it.event == nil {
		return len(it.packed) + itemCost
	}
	return it.event.size() + eventCost
}

// size is what the arguments hold beside the event, in bytes.
func (a *Args) size() int {
	n := cap(a.data) // which may be that of a larger event before
	for _, b := range a.attachments {
		n += len(b) + attachmentCost
	}
	return n
}

// anything is what an event weighs whose arguments may be decoded into any variable.
var anything = packet.WeightOf(reflect.TypeFor[[]any]()) //nolint:gochecknoglobals // It does not change.

// lightEvent is the cost, in bytes, below which what is made of an event is not counted.
const lightEvent = 64 << 10

// cost is what arguments of that weight take, in bytes. What is light is not looked through when its length says so.
func (e *Event) cost(w packet.Weight) int {
	found := int(unsafe.Sizeof(e.at[0])) * cap(e.at)
	if most := w.AtMost(len(e.data)) + found; most < lightEvent {
		return most
	}
	return w.Of(e.data) + found
}

// open finds so many of e's arguments, and counts what variables of that weight take for them; it returns what takes
// that back. While those that are open in the session have more than MaxQueuedBytes together it waits for their
// handlers, for a while; then the session is closed. One alone may be of any size. It returns nil when e is to be
// dropped.
func (s *Socket) open(e *Event, wanted int, w packet.Weight) (done func()) {
	if !e.find(wanted) {
		return nil
	}
	cost := e.cost(w)
	if cost < lightEvent {
		return func() {}
	}
	if !s.waitForRoom(cost) {
		return nil
	}
	return func() { s.client.leaveRoom(cost) }
}

// waitForRoom takes so many bytes of what may be open, as open does. It reports false when the event is to be dropped.
func (s *Socket) waitForRoom(cost int) bool {
	c := s.client
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		less := c.enterRoom(cost)
		if less == nil {
			return true
		}
		select {
		case <-less:
			continue
		case <-c.server.hurry.ctx.Done():
		case <-timeout.C:
			if c.session.Open() {
				c.server.stats.queueFull.Add(1)
				c.refusedPacket(ReasonQueueFull, ErrQueueFull)
			}
		}
		c.server.stats.eventsDropped.Add(1)
		return false
	}
}

// enterRoom takes so many bytes of what may be open, or returns what is closed when there are fewer.
func (c *client) enterRoom(cost int) (wait <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.inLobby()
	if l.open <= c.server.cfg.Limits.MaxQueuedBytes {
		l.open += cost
		return nil
	}
	if l.less == nil {
		l.less = make(chan struct{})
	}
	return l.less
}

// leaveRoom gives them back.
func (c *client) leaveRoom(cost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lobby
	l.open -= cost
	if l.less != nil {
		close(l.less)
		l.less = nil
	}
}
