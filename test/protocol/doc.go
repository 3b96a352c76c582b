// Package protocol tests a Socket.IO server from outside, over raw HTTP and raw WebSocket, against the
// four documents it must follow: Engine.IO 4 and 3, Socket.IO 5 and 4 (the latter pair as spoken by
// Socket.IO v2 clients). Each test names the section it takes its rule from. The rest is bad input: the
// server must live, answer as Node's server does, and give its memory back.
//
// Way in: main_test.go has the server under test and its application, polling_test.go and
// websocket_test.go the two raw clients, clients_test.go what the tests of published clients share.
//
// By default the tests start Beanpole in the test's own process. With BEANPOLE_TARGET=http://host:port
// they run against a server that is already there; reference/server.mjs is the application on Node's
// Socket.IO (the npm package socket.io, which it imports), by which every expectation has been checked.
// In a folder of its own that has a copy of server.mjs:
//
//	npm install socket.io@4.8 && node --stack-size=16000 --expose-gc server.mjs 3000
//
// and here:
//
//	BEANPOLE_TARGET=http://127.0.0.1:3000 go test ./test/protocol
//
// Clients for which there is no program here have files of their own, clients_*_test.go: what their
// sources say that they send is sent byte by byte, and what their parsers need is asked of the answers.
//
// # Decisions
//
// 2026-11-23. Where Beanpole differs from Node on purpose, the test says so with onNode, and holds each
// of the two to its own behaviour.
package protocol
