// Package redis makes many nodes one Socket.IO cluster over Redis (or Valkey): events, rooms, queries
// and recovery across nodes, in the wire formats of Node's adapters, so that nodes of both kinds may
// share one cluster.
//
//	cluster, err := redis.New(redis.Config{URL: "redis://localhost:6379"})
//	...
//	server, err := server.New(server.Config{Adapter: cluster.Adapter()})
//	...
//	defer cluster.Close(ctx)
//
// # Files
//
//	config.go     Config, Mode and their defaults
//	cluster.go    Cluster: one per process, shared by all namespaces
//	client.go     the Redis client: single, TLS, Sentinel, Cluster
//	dial.go       its connections
//	auto.go       the mode that fits
//	status.go     Status, Stats: how the cluster does, and what was lost
//	state.go      its parts: which work, since when, and what is said about it
//	outbox.go     the bounded queue of what is to be published
//	publisher.go  what divides it among the masters of Redis
//	sender.go     what sends to one of them, in order
//	batch.go      one pipeline of it
//	refusals.go   what Redis refuses it
//	again.go      what is asked again when a connection breaks
//	doubt.go      what became of commands whose answers were lost
//	details.go    a socket as nodes describe it
//	errors.go     errors
//	advice.go     what to do about those of Redis, one table
//	bus.go        the subscriptions the process wants
//	regained.go   those that were lost for a while
//	link.go       one connection with subscriptions
//	orders.go     what is asked of Redis on it
//	place.go      that it is to a master, and who else has subscriptions
//	members.go    which nodes are alive
//	roster.go     the list of them in Redis
//	agreement.go  whether they are configured alike
//	heartbeat.go  what they say to each other
//	namespace.go  the adapter of one namespace: what goes out
//	receive.go    what comes in
//	number.go     the number of a message
//	keeper.go     what numbers it, and answers those that miss it, at a server or an emitter
//	ring.go       what this node has published, kept for those that miss it
//	rings.go      one for the channels, and one for each stream
//	gap.go        what is missing of a lane of another node
//	inbox.go      the numbered messages of others: in order, once, asked for when missing
//	sweep.go      asking again, by and by
//	record.go     where the messages of a node end, in Redis
//	ends.go       what is lost of nodes that have ended
//	linger.go     staying until others miss nothing
//	letters.go    what they ask and answer each other about it
//	resend.go     the form of that
//	requests.go   questions to other nodes and their answers
//	questions.go  those to clients, of which many may be open
//	rounds.go     who is there, and who is missing of those that were asked
//	asked.go      who has the namespace, and was not asked
//	pieces.go     answers that are given in pieces
//	replies.go    those of clients and handlers
//	fetching.go   how the pieces are fetched
//	inflow.go     how much of them is on its way to this node, for all its questions together
//	message.go    one message between nodes, whatever the mode
//	patterns.go   what is done where patterns are refused
//	pubsub.go     the wire form of @socket.io/redis-adapter
//	sharded.go    the wire form of its sharded adapter
//	streams.go    the wire form of @socket.io/redis-streams-adapter
//	envelope.go   what sharded and streams have in common
//	msgpack.go    walking MessagePack without decoding it
//	wanted.go     finding out without decoding that nobody here wants an event
//	reader.go     the reader of a stream
//	feed.go       its connection
//	entries.go    the entries that come on it
//	load.go       how many entries it may have, for their bytes
//	refetch.go    which entries of a source it has had, and what is missing, asked of who added it
//	places.go     whether the stream has all that was had of it, and what it repeats, for recoveries
//	line.go       the order of events with recovery
//	recovery.go   connection state recovery over streams
//	former.go     the session of a client that is back, of any node
//	reads.go      how much of them recoveries read at a time
//	takeover.go   the socket of a client that is back before its server has noticed
//	emitter.go    Emitter, for processes that serve no clients
//	registry.go   which node holds a session, and where that node is
//	forward.go    requests of sessions that live on another node
//	mark.go       what says of them, signed, whose they are
//	visits.go     whether addresses lead to their nodes
//	witnesses.go  whose fault it is when they do not
//	findings.go   one visit, and what it finds
//
// # The way out
//
// What is published waits in the outbox. There is one sender for each master of Redis, so that one that is dead
// holds up nothing but what is for it. A sender is in one of three states:
//
//	        a command                 an error
//	idle -------------> sending ---------------------> waiting
//	  ^                  |   ^                            |
//	  |  all answered    |   |  the pause is over; what is for another
//	  +------------------+   +-- master by now goes back to the outbox
//
// A command that was answered is done; one that was refused for good is dropped and counted; one that was not
// sent, or refused for a while, is sent again; of one whose answer was lost doubt.go decides. What was refused is so
// until it is taken, however much else is taken meanwhile. MOVED is no error
// of a master: what goes that way waits until it is known where to, and the rest goes on.
//
// # Decisions
//
//   - 2026-11: Every goroutine belongs to the Cluster and not to a namespace: a process has one
//     publisher and one subscription connection (one per shard on Redis Cluster in sharded mode, and
//     one blocking reader per stream), however many namespaces it has.
//   - 2026-11: A Node peer counts by PUBSUB NUMSUB, as it counts us; a Beanpole peer by its name. Every Beanpole
//     node also subscribes to a channel that only Beanpole knows, so that the difference of the two counts is the
//     number of Node peers, half-dead connections included.
//   - 2026-11-29: Who lives and has no connection at a moment may be making it again. So a connection subscribes to the
//     channel of its node's beats last: who has that and not a namespace's does not have the namespace. Who has neither
//     is waited for.
//   - 2026-11: A heartbeat that comes back to its sender proves publishing and subscription both.
//   - 2026-11-29: Who lives is a list in Redis that each node renews (roster.go), by a clock that stands still when
//     Redis does: then nobody dies. It was a heartbeat of everyone to everyone: 100 nodes that started together
//     took 20 s and 591 MB for it, and of 200 some never knew all. Who of them has a namespace, Redis knows: each
//     listens to a channel of its own there, and whoever asks a question counts the subscribers of these.
//   - 2026-11-29: Who lives the roster says alone. A count says of a server without a connection that it may be dead: then its
//     entry has to be renewed within the time in which everyone renews it (roster.go, judge), and a question waits for
//     what comes of that. A count took servers out before, and gave up their answers without an error: but a connection
//     may be where nobody counts, as at a master that has handed over to its replica.
//   - 2026-11: A command whose answer was lost is not sent again in pub/sub modes, because Redis may
//     have done it and clients would get the event twice. In streams mode the stream itself says
//     whether it was done.
//   - 2026-11-29: Loss is counted and not guessed. A message has a number (number.go), its
//     sender keeps it for a while (ring.go), and who misses it asks (gap.go, inbox.go). So nothing waits for
//     others to be there, and no error decides what was lost. Numbers go by lanes, as a node that listens to
//     the channels of some rooms does not get the others.
//   - 2026-11-29: Where its lanes end a node keeps in Redis, too (record.go): who was away until it had ended knows what it
//     missed. Four small transactions a second at most, and none while it publishes nothing.
//   - 2026-11-29: What is missing of a stream is asked of who added it, too (refetch.go). A reader stands still meanwhile:
//     what is behind belongs to the same order, and an offset must not promise what has not come.
//   - 2026-11-29: What a pipeline brings to one stream is a transaction (batch.go), as a stream is read in the order
//     in which it was written. It costs nothing that could be measured: 2.3 us of Redis an entry against 2.8 without,
//     512 entries at a time; one alone is sent without.
//   - 2026-11-29: With recovery, clients of this node get its events at once, and the offset says up to
//     which of them (offset.go). They waited for the stream before, and acknowledgements and the end of a
//     socket overtook them. The price: Node's servers do not know such an offset.
//   - 2026-11-30: Answers are bounded for all questions of a server together (inflow.go), and by who asks: it alone knows what
//     it has not read yet. Bounds of each question let 200 of them cut its subscription off. What clients and handlers answer waits at
//     their node, too: such a question says how much may come unasked, and does not wait itself, as they may take long.
//   - 2026-11-30: An emitter numbers and keeps what it publishes, and is asked for it, as a server (keeper.go). Without numbers
//     it looked before it published on a new connection whether servers listened: but the library makes connections within a
//     command, subscriptions break and move while others hold, and what went through masters that were well waited, too. It
//     costs a connection with one subscription. An emitter is in no list: it is given up as a server is that lives and does not answer. The uid in its
//     messages is that of all emitters, as Node's servers take any other for a server's; its name stands behind their numbers.
//   - 2026-11-30: Whether an address leads to its node the others say (visits.go): a node may not reach its own, as behind
//     a load balancer or in a container, and what it reaches of it proves nothing. One small request in five heartbeats, to
//     one other; none to a node that is not in the list of those that take visits, as those of versions before it. Who was not met is told
//     so when most of some others do not meet it either, who are asked in a visit to them; else it is the fault of who asks (witnesses.go).
//   - 2026-11-30: An offset says what a client has only if its server had had all of the stream up to there. So a server that may not have,
//     or has had more, takes part in no recovery for a while, on either side (places.go). Ids alone do not tell that a stream was
//     emptied: each read asks besides, in one go with it, whether an entry is there that was read before. What each sender
//     had numbered last, in each saved state, would tell as well, and would be kilobytes a client in a large cluster.
//   - 2026-11-29: A stream is read on a connection that the library makes and greets, and that is read here: as strings
//     in maps an entry costs 1.9 us before anybody has looked at it, from one buffer 0.4. Buckets of rooms, each a
//     stream, were thought through and not made: docs/scale.md has the figures.
package redis
