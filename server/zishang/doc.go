// Package zishang runs applications written for github.com/zishang520/socket.io/v2, version 2.5.0, on this
// project's transport and adapters. Their handlers stay as they are; the lines that make the server change:
//
//	io := socket.NewServer(nil, options)                   // before
//	http.Handle("/socket.io/", io.ServeHandler(nil))
//
//	io, handler, err := zishang.New(zishang.Config{Options: options}) // after
//	http.Handle("/socket.io/", handler)
//
// io is the library's own *socket.Server with the library's namespaces and sockets. A cluster is an
// adapter.Factory in Config, of package adapter/redis for instance, in which servers of this kind, native
// ones and Node's may be together. On and OnAck are typed handlers for those who write new ones; Ask is a
// broadcast that waits for answers.
//
// # Files
//
//	handler.go    New, Handler: serving and closing
//	config.go     Config; options.go: the library's options as the transport's, cors.go: Cors
//	session.go    one session: what it receives, whose turn it is; queue.go: the turn
//	turn.go       what a socket does in its turn: connect, events, disconnect
//	member.go     one socket of the library with what the guard keeps of it
//	namespace.go  the library's adapter on an adapter.Adapter; rooms.go: rooms and membership
//	broadcast.go  …: what goes to many; ask.go: with answers; recovery.go: connection state recovery
//	local.go      what an adapter.Adapter asks of the namespace on this server
//	conn.go       a session as the library's engine.Socket; engine.go: the transport as its engine
//	event.go      events between wire and listeners; codec.go: the library's parser on package packet
//	emitter.go    listeners; on.go: typed ones; internals.go: two fields of the library's Socket
//	request.go    the request that opened a session; stats.go: counters
//
// # Guarantees
//
// Those of package server: events of one socket reach its handlers in the order sent, one at a time, the
// first not before the connection handlers have returned; acknowledgements overtake events, so that a
// handler may wait for its own client; "disconnecting" and "disconnect" come last, once; a handler that
// blocks or panics harms nothing but its socket or its event.
//
// What an application may notice: in "disconnecting" the socket is out of its namespace already, though
// Rooms still tells where it was (Connected is false). Adapter().Rooms and Sids return copies. Socket ids
// have 20 characters, as Node's. FetchSockets, AllSockets and ServerCount wait for other servers.
// Compress(false) has no effect, as the library cannot tell it from not being called; whether to compress
// is Config.Transport's. Data of a socket must have a JSON form to be seen by other servers and to survive
// a recovery there. Adapter events (join-room and such) are of this server's own Join and Leave.
// Server.SetAdapter, Attach and ServeHandler are not to be called: sessions of another engine are refused.
//
// # Defects of the library
//
// E is engine.io, S socket.io/socket, A socket.io/adapter, R socket.io-go-redis 1.3. "Gone" means that an
// application on this package does not meet it; the test shows it. Tests without a package are here.
//
//	what is wrong in 2.5.0                                     here                 test
//	 1 the frame 42 or 43<id> ends the process                 gone: checked first  TestMalformedPacketsAreRefused
//	 2 a PONG before the first PING ends the process           gone: E not used     TestPongBeforePingIsHarmless
//	 3 emit with ack to a RemoteSocket panics                  gone                 TestNoRaceRemoteSocketAck
//	 4 connection state recovery panics at start               gone: S not used     TestRecoveryInMemory
//	 5 POST bodies without limit                               gone: E not used     TestPostBodyIsBounded
//	 6 inflated size without limit                             gone: E not used     transport.TestInflateStopsAtTheLimit
//	 7 attachments without limit                               gone: checked first  TestAttachmentsAreBounded
//	 8 the proxy's address as the client's, never secure       gone: E not used     TestAddressComesFromTheTransport
//	 9 an empty message in Redis ends all processes            gone: R not used     redis.TestGarbageIsCounted
//	10 broadcasts in one batch lost                            gone: E not used     TestEveryBroadcastArrives
//	11 packets above 64 KiB in a POST lost                     gone: E not used     TestLargePacketsInPolling
//	12 events out of order, a goroutine for each               gone: turns          TestEventsKeepTheirOrder
//	   events received just before the close dropped           gone: turns          TestEventsBeforeCloseAreHandled
//	13 the first event after CONNECT lost                      gone: turns          TestFirstEventIsNotLost
//	14 the last event before Disconnect(true) lost             gone: E not used     TestLastEventBeforeDisconnectArrives
//	15 an octet-stream POST hangs                              gone: E not used     TestBinaryPostIsAnswered
//	16 polls around an upgrade hang or close the session       gone: E not used     transport.TestUpgradeUnderLoad, TestRealClient
//	17 ghost sessions and sockets                              gone: late ones out  TestNoGhostSockets
//	18 no limit and no deadline for slow clients               gone: E not used     TestSlowConsumerIsClosed
//	19 membership lost in races of Join and Leave              gone: own index      TestRoomsSurviveJoinLeaveRace
//	   a Join that races with the end stays                    gone: own index      TestJoinAfterDisconnectLeavesNothing
//	20 acks of a broadcast kept for ever, called twice         gone                 TestAsk, TestEmitWaitsForAck
//	   an answer in the moment of Timeout calls back twice     remains (1)
//	21 timers that leak or block                               gone but for (2)     TestIdleConnectionIsSmall
//	   RemoveListener removes another; Once waits for itself   gone: own emitter    TestListenersAreTheirOwn
//	22 the request kept, two goroutines for a connection       gone                 TestIdleConnectionIsSmall
//	23 "disconnect" twice                                      gone                 TestDisconnectComesOnceAndLast
//	24 the cookie has no value and no SameSite                 gone: E not used     TestCookieCarriesSession
//	25 compression never applies                               gone: always may     TestCompressionApplies
//	26 error code 4 for the protocol version                   gone: E not used     TestErrorCodesAreNodes
//	27 Set-Cookie headers of others lost                       gone: E not used     TestHeadersOfOthersSurvive
//	28 handlers on the read path: pongs late, deadlocks        gone: turns          TestBlockedHandlersDelayNobody
//	   a panic in a handler ends the process                   gone but for (1)     TestPanicsEndNothing
//	29 Socket.Volatile, Timeout, To share flags                remains (3)
//	   races of a broadcast's acks: called twice               contained (4)        TestNoRaceBroadcastAckComesOnce, TestAsk
//	30 dynamic namespaces made twice                           gone: one at a time  TestDynamicNamespaceIsMadeOnce
//	31 offsets doubled, lost in a race with their cleaning     gone: S not used     TestRecoveryInMemory, TestClusterRecovery
//	32 Close leaves the engine open                            gone                 TestCloseRefusesHandshakes
//	   numeric event names refused                             gone                 TestNumericEventName
//	   the client bundle from beside the executable            not served here: package host has it
//	R1 io.Emit to all or two rooms stays on its node           gone: R not used     TestCluster/…/Broadcast
//	R2, R4, R9, R15 FetchSockets empty, local or timed out     gone: R, A not used  TestCluster/…/Fetch
//	R3 not Node's wire form                                    gone: R not used     redis.TestGolden, TestClusterWithNativeServer
//	R5 a frozen Redis holds up every emit                      gone: R not used     redis.TestRedisIsFrozen
//	R6 tight loops while Redis is down                         gone: R not used     redis.TestRedisStopsAndStarts
//	R7 connections and goroutines for each namespace           gone: R not used     redis.TestManyNamespacesShareConnections
//	R8 answers to a broadcast lost                             gone: R not used     TestCluster/…/Acks
//	R10 io.To(id) lost in sharded mode                         gone: ids as Node's  TestCluster/sharded/Broadcast
//	R11 binary becomes text                                    gone: A not used     TestCluster/…/Binary
//	R12 CROSSSLOT on a Redis Cluster                           gone: A not used     redis.TestRedisCluster
//	R13, R14, R17 streams: heartbeats, readers, namespaces     gone: R, A not used  redis.TestStreams
//	R16 recovery over streams                                  gone: R not used     TestClusterRecovery
//
// (1) Socket.Timeout(d).Emit and broadcasts with an acknowledgement call back from a timer of the library's
// when the time is over: out of turn, without recover, and in the moment of an answer possibly twice. Check
// err before the arguments there. Ask and OnAck have no such timer.
//
// (2) The library starts one goroutine for each session until that has joined a namespace.
//
// (3) socket.Volatile().Emit in two goroutines at once may mix their flags. Emit from the socket's own
// handlers, which run one at a time, or through its namespace.
//
// (4) The library writes expectedServerCount without a lock while its callbacks may read it. They are
// called late enough, and once, so that nothing comes of it; the race detector sees it all the same.
//
// # Decisions
//
// 2026-11-23: the library is asked for three things only: to connect a socket, to disconnect it, and for
// what the application registered. Events never enter Client.ondecoded, which starts a goroutine for each;
// they are decoded by package packet and handed to the listeners in the socket's turn. A seam that waits
// for those goroutines to end was tried before: it needs the same turns and cannot recover a panic in them.
//
// 2026-11-23: two fields of socket.Socket are reached by their offset (internals.go): the list of
// middlewares, which the library runs in such a goroutine only, and the id. Offsets and types are looked up
// in the type itself when New is called, which fails on any other version.
//
// 2026-11-23: emitters of sockets and namespaces are replaced through the library's exported fields. That is
// where connect, disconnect and new_namespace are met, without waiting for anything by time.
//
// 2026-11-23: a socket that is disconnected between the library's answer to CONNECT and the connection
// handlers is never told of: no connection, no disconnect.
package zishang
