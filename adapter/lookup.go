package adapter

// RoomsOf returns the rooms of m, its own id first unless it has left that; nil if m is no member.
func (r *Rooms) RoomsOf(m Member) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	i, ok := r.slot(m)
	if !ok {
		return nil
	}
	names := make([]string, 0, 1+len(r.joined[i]))
	if !r.out[m] {
		names = append(names, m.ID())
	}
	for _, x := range r.joined[i] {
		names = append(names, x.name)
	}
	return names
}

// Has reports whether any member is in the room name, which may be a member's id.
func (r *Rooms) Has(name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.own(name) != nil || r.rooms[name] != nil
}

// own returns the member with that id, unless it has left the room named by it, or nil. Called with mu held.
func (r *Rooms) own(id string) Member {
	if i, ok := r.members[id]; ok && !r.out[r.list[i]] {
		return r.list[i]
	}
	return nil
}

// Member returns the member with that id, whatever rooms it is in, or nil.
func (r *Rooms) Member(id string) Member {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if i, ok := r.members[id]; ok {
		return r.list[i]
	}
	return nil
}

// Selectable reports whether the member with that id is in the room named by it.
func (r *Rooms) Selectable(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.own(id) != nil
}

// Joined reports whether any member joined the room name; a member's own id does not count.
func (r *Rooms) Joined(name string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.rooms[name] != nil
}

// IsMember reports whether id is the id of a member.
func (r *Rooms) IsMember(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.members[id]
	return ok
}

// Len returns the number of members.
func (r *Rooms) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.list)
}

// Names returns the names of the rooms that have been joined, in no order. The members' own ids are
// among them if ids is true.
func (r *Rooms) Names(ids bool) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.rooms))
	for name := range r.rooms {
		names = append(names, name)
	}
	if ids {
		for id := range r.members {
			if r.rooms[id] == nil && r.own(id) != nil {
				names = append(names, id)
			}
		}
	}
	return names
}
