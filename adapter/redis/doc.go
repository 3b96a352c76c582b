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
//	status.go     Status, Stats: up or degraded, since when, what was lost
//	outbox.go     the bounded queue of what is to be published
//	publisher.go  the one goroutine that empties it
//	details.go    a socket as nodes describe it
//	errors.go     errors, and what to do about those of Redis
//	bus.go        the subscriptions the process wants
//	link.go       one connection with subscriptions
//	members.go    which nodes are alive
//	roster.go     the list of them in Redis
//	heartbeat.go  what they say to each other
//	namespace.go  the adapter of one namespace: what goes out
//	receive.go    what comes in
//	requests.go   questions to other nodes and their answers
//	pieces.go     answers that come in pieces
//	message.go    one message between nodes, whatever the mode
//	pubsub.go     the wire form of @socket.io/redis-adapter
//	sharded.go    the wire form of its sharded adapter
//	streams.go    the wire form of @socket.io/redis-streams-adapter
//	envelope.go   what sharded and streams have in common
//	msgpack.go    walking MessagePack without decoding it
//	reader.go     the reader of a stream
//	line.go       the order of events with recovery
//	recovery.go   connection state recovery over streams
//	emitter.go    Emitter, for processes that serve no clients
//	registry.go   which node holds a session, and where that node is
//	forward.go    requests of sessions that live on another node
//
// # Decisions
//
//   - 2026-11: Every goroutine belongs to the Cluster and not to a namespace: a process has one
//     publisher and one subscription connection (one per shard on Redis Cluster in sharded mode, and
//     one blocking reader per stream), however many namespaces it has.
//   - 2026-11: A Node peer counts by PUBSUB NUMSUB, as it counts us; a Beanpole peer by its name. Every Beanpole
//     node also subscribes to a channel that only Beanpole knows, so that the difference of the two counts is the
//     number of Node peers, half-dead connections included.
//   - 2026-11: A heartbeat that comes back to its sender proves publishing and subscription both.
//   - 2026-11-29: Who lives is a list in Redis that each node renews (roster.go), by a clock that stands still when
//     Redis does: then nobody dies. It was a heartbeat of everyone to everyone: 100 nodes that started together
//     took 20 s and 591 MB for it, and of 200 some never knew all. Who of them has a namespace, Redis knows: each
//     listens to a channel of its own there, and whoever asks a question counts the subscribers of these.
//   - 2026-11: A command whose answer was lost is not sent again in pub/sub modes, because Redis may
//     have done it and clients would get the event twice. In streams mode the stream itself says
//     whether it was done.
//   - 2026-11-29: A connection that is new to the publisher takes heartbeats only, until all known nodes have
//     answered over it: the client library reconnects in silence, after a failover to a server where nobody
//     listens yet.
//   - 2026-11-29: With recovery, clients of this node get its events at once, and the offset says up to
//     which of them (offset.go). They waited for the stream before, and acknowledgements and the end of a
//     socket overtook them. The price: Node's servers do not know such an offset.
package redis
