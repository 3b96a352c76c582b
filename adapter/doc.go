// Package adapter says what a namespace asks of its cluster.
//
// An Adapter knows which sockets of one namespace are in which rooms on this node, and carries
// events and questions to the other nodes. Memory serves one node alone; package adapter/redis
// makes many nodes one cluster. The server gives an adapter its Namespace, the adapter gives the
// server its Adapter, and neither knows more of the other.
//
// # Files
//
//	adapter.go  Adapter, Namespace, Message, Target, Session: the seam between server and cluster
//	rooms.go    Rooms, the index of rooms of one namespace on this node
//	watch.go    what happens to rooms, for those who watch
//	lookup.go   what Rooms knows of a member or a room
//	select.go   which members a Target selects
//	local.go    Local, the part of every adapter that concerns this node
//	acks.go     Answers, which gathers the answers of many to one question
//	memory.go   Memory, the adapter of a single node
//	bus.go      Bus, the adapters of a cluster in one process, for tests
//	link.go     Link, by which a node of it is cut off from the others
//	trail.go    Trail, what a member should have got: in which rooms it was when
//	log.go      the events Memory keeps for recovery
//	vault.go    the sessions Memory keeps for recovery
//
// Package adapter/adaptertest is one suite of tests for every adapter.
//
// # Decisions
//
//   - 2026-11: A member's own room, named by its id, is implied, and who has left it is noted. An idle socket
//     costs no room, no map entry beside that of its id, and no slice. Except knows a member that has left it by its
//     id all the same, where Node's does not: a socket's own broadcasts would come back to it.
//   - 2026-11: A target is turned into a pooled list of members under the lock of the index, and
//     messages are sent without it. Walking a list is also cheaper than walking a map.
//   - 2026-11: With recovery, clients get events in the order of their offsets. Otherwise the offset
//     of a client that saw the second of two events, but not yet the first, would lose the first.
//     This is a lock, held while an event gets its number and is delivered: what waits is who emits,
//     so nothing piles up. What the application has to be told of it, whose listeners may emit, is
//     called without the lock (2026-11-29; a queue that one emitter worked off for all grew without
//     end, and what others sent meanwhile overtook it).
//   - 2026-11-29: A session stays where it is saved until Resume takes it, so that a middleware that
//     refuses its client, or a client that goes, costs nothing.
//   - 2026-11: Rooms tells of rooms that came or went after its lock is released and out of order;
//     the callee looks at the state of now. So no callback runs under the lock.
package adapter
