package adapter

import "slices"

// maxLeft is how many rooms that a member has left its trail still holds: enough for what can be on its way
// to a client when its connection ends.
const maxLeft = 64

// Trail says in which rooms a member was and when, in offsets: what it should have got, whatever it joined
// and left while events were on their way to it, and nothing that was sent before it was let into a room.
type Trail struct {
	Stays  []Stay // the first in the member's own id is its membership; others in that are when it was out of that room
	End    string // of the last event delivered before the member was removed
	Forgot string // before it the trail says not all; "" for nothing
	// Ahead is an offset of which the part of other nodes counts: what the member had had of these before it came, and has not been
	// told again since. It is in End, too, but in no offset that an event had meanwhile.
	Ahead string
}

// Stay is one stay in a room: a member gets the events after From, up to To.
type Stay struct {
	Room string
	From string
	To   string // "" while it lasts, which it does while the client is away
}

// Join puts a member that has been removed into rooms, from its end on, and returns list with them.
func (t *Trail) Join(list, rooms []string) []string {
	for _, room := range rooms {
		if !slices.Contains(list, room) {
			list = append(slices.Clip(list), room)
			t.Stays = append(t.Stays, Stay{Room: room, From: t.End})
		}
	}
	return list
}

// Leave takes a member that has been removed out of rooms, but for its own, at its end, and returns list without them.
func (t *Trail) Leave(list, rooms []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(room string) bool {
		if room == list[0] || !slices.Contains(rooms, room) {
			return false
		}
		for i := range t.Stays {
			if s := &t.Stays[i]; s.Room == room && s.To == "" {
				s.To = t.End
			}
		}
		return true
	})
}

// stays is the trail of a member while it is one.
type stays struct {
	own    string   // since when it is a member
	out    string   // since when it is out of the room named by its id, "" for not at all
	since  []string // since when it is in the rooms of Rooms.joined, in their order
	left   []Stay   // the last that have ended
	forgot string   // the end of the last that was dropped
}

// leave ends the stay in a room, the k-th of those joined. One that ended nobody knows when is forgotten.
func (t *stays) leave(k int, room, at string) {
	if at != "" {
		t.note(Stay{Room: room, From: t.since[k], To: at})
	}
	t.since = slices.Delete(t.since, k, k+1)
}

// back says that the member with that id is in the room named by it again.
func (t *stays) back(id, at string) {
	if t.out != "" && at != "" {
		t.note(Stay{Room: id, From: t.out, To: at})
	}
	t.out = ""
}

// note takes down a stay that has ended.
func (t *stays) note(s Stay) {
	if t.left = append(t.left, s); len(t.left) > maxLeft {
		t.forgot = t.left[0].To
		t.left = slices.Delete(t.left, 0, 1)
	}
}

// trail returns the Trail of a member with that id and these rooms.
func (t *stays) trail(id string, joined []*room, end string) Trail {
	list := make([]Stay, 0, len(t.left)+2+len(joined))
	list = append(append(list, Stay{Room: id, From: t.own}), t.left...)
	if t.out != "" {
		list = append(list, Stay{Room: id, From: t.out})
	}
	for k, x := range joined {
		list = append(list, Stay{Room: x.name, From: t.since[k]})
	}
	return Trail{Stays: list, End: end, Forgot: t.forgot}
}

// since returns since when the trail is in the rooms that it is in, by name, and the stays that have ended by at, as
// has that out of the room named by id: who comes back is in it.
func (t *Trail) since(id, at string) (in map[string]string, left []Stay) {
	for _, s := range t.Stays {
		if _, member := in[id]; member && s.Room == id && s.To == "" {
			if s.To = at; at == "" {
				continue
			}
		}
		if s.To != "" {
			left = append(left, s)
			continue
		}
		if in == nil {
			in = make(map[string]string, len(t.Stays))
		}
		in[s.Room] = s.From
	}
	return in, left
}

// position is Position, or "".
func (r *Rooms) position() string {
	if r.Position == nil {
		return ""
	}
	return r.Position()
}

// Start returns the offset after which to replay for a client whose last event has the offset last, "" when
// it has none: where the session ended if nothing was lost on the way, however long ago that last event
// was. A client that has got nothing of this session, and so shows the offset of an earlier one, gets all of
// this one and nothing of before. It reports false when nothing can be said. before reports whether the offset a is
// before b, or none that is known.
func (s *Session) Start(last string, before func(a, b string) bool) (after string, ok bool) {
	defer func() {
		if ok && s.Trail.Forgot != "" && before(after, s.Trail.Forgot) {
			ok = false
		}
	}()
	switch began := s.began(); {
	case s.Trail.End != "" && (last == s.Last || s.Last == ""):
		return s.Trail.End, true
	case last == "" || began != "" && before(last, began):
		return began, began != ""
	}
	return last, true
}

// began returns the offset after which the session can have got events, "" when that is not known.
func (s *Session) began() string {
	for _, stay := range s.Trail.Stays {
		if stay.Room == s.SID {
			return stay.From
		}
	}
	return ""
}

// Missed reports whether the session should have got an event for t. after reports whether the event comes
// after an offset. Not for concurrent use.
func (s *Session) Missed(t *Target, after func(offset string) bool) bool {
	s.stays()
	during := func(x Stay) bool { return after(x.From) && (x.To == "" || !after(x.To)) }
	in := func(room string) bool {
		return slices.ContainsFunc(s.index[room], during)
	}
	selected := func(room string) bool {
		return in(room) && (room != s.SID || !slices.ContainsFunc(s.out, during))
	}
	return in(s.SID) && !slices.ContainsFunc(t.Except, in) && (len(t.Rooms) == 0 || slices.ContainsFunc(t.Rooms, selected))
}

// stays makes the index.
func (s *Session) stays() {
	if s.index == nil {
		s.index = make(map[string][]Stay, len(s.Trail.Stays))
		for _, stay := range s.Trail.Stays {
			if stay.Room == s.SID && s.index[s.SID] != nil {
				s.out = append(s.out, stay)
				continue
			}
			s.index[stay.Room] = append(s.index[stay.Room], stay)
		}
		if len(s.Trail.Stays) == 0 { // saved by a server that keeps none
			for _, room := range append(s.Rooms, s.SID) {
				s.index[room] = []Stay{{}}
			}
		}
	}
}
