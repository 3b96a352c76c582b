package adapter

import "slices"

// maxLeft is how many rooms that a member has left its trail still holds: enough for what can be on its way
// to a client when its connection ends.
const maxLeft = 64

// Trail says in which rooms a member was and when, in offsets: what it should have got, whatever it joined
// and left while events were on their way to it, and nothing that was sent before it was let into a room.
type Trail struct {
	Stays []Stay
	End   string // of the last event delivered before the member was removed
}

// Stay is one stay in a room: a member gets the events after From, up to To.
type Stay struct {
	Room string
	From string
	To   string // "" while it lasts, which it does while the client is away
}

// in reports whether the trail is in the room now.
func (t *Trail) in(room string) bool {
	return slices.ContainsFunc(t.Stays, func(s Stay) bool { return s.Room == room && s.To == "" })
}

// leave ends the stay in a room.
func (t *Trail) leave(room, at string) {
	left, oldest := 0, 0
	for i := range t.Stays {
		s := &t.Stays[i]
		if s.To == "" && s.Room == room {
			s.To = at
		}
		if s.To != "" {
			if left++; left == 1 {
				oldest = i
			}
		}
	}
	if left > maxLeft {
		t.Stays = slices.Delete(t.Stays, oldest, oldest+1)
	}
}

// position is Position, or "".
func (r *Rooms) position() string {
	if r.Position == nil {
		return ""
	}
	return r.Position()
}

// begin makes m, a new member, go on with t. Called with mu held.
func (r *Rooms) begin(m Member, t Trail) {
	if r.trails == nil {
		r.trails = make(map[Member]*Trail)
	}
	r.trails[m] = &Trail{Stays: slices.Clone(t.Stays)}
}

// enter begins a stay of m, unless its trail has it. Called with mu held.
func (r *Rooms) enter(m Member, room, at string) {
	if t := r.trails[m]; t != nil && !t.in(room) {
		t.Stays = append(t.Stays, Stay{Room: room, From: at})
	}
}

// Start returns the offset after which to replay for a client whose last event has the offset last, "" when
// it has none: where the session ended if nothing was lost on the way, however long ago that last event
// was. A client that has got nothing of this session, and so shows the offset of an earlier one, gets all of
// this one and nothing of before. It reports false when nothing can be said. before reports whether the offset a is
// before b, or none that is known.
func (s *Session) Start(last string, before func(a, b string) bool) (after string, ok bool) {
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
// after an offset.
func (s *Session) Missed(t *Target, after func(offset string) bool) bool {
	if len(s.Trail.Stays) == 0 { // saved by a server that keeps none
		return t.selects(s.Rooms)
	}
	in, member := len(t.Rooms) == 0, false
	for _, stay := range s.Trail.Stays {
		own, wanted := stay.Room == s.SID, slices.Contains(t.Rooms, stay.Room)
		unwanted := slices.Contains(t.Except, stay.Room)
		if !own && !wanted && !unwanted || !after(stay.From) || stay.To != "" && after(stay.To) {
			continue
		}
		if unwanted {
			return false
		}
		in, member = in || wanted, member || own
	}
	return in && member
}

// selects reports whether t selects a socket that is in rooms, its own id among them.
func (t *Target) selects(rooms []string) bool {
	in := len(t.Rooms) == 0
	for _, name := range rooms {
		if slices.Contains(t.Except, name) {
			return false
		}
		in = in || slices.Contains(t.Rooms, name)
	}
	return in
}
