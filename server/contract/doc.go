// Package contract is what clients and a server say to each other, as data: the events of each namespace in both
// directions, with the types of their arguments and acknowledgements. server.Server's Contract makes it from the handlers
// that are registered and the events that are declared; here it becomes TypeScript and AsyncAPI, and is compared with an
// older one.
//
// # Files
//
//	contract.go    Contract, Namespace, Event, Answer
//	schema.go      Schema, and how Go's types become one
//	fields.go      the fields of structs, as encoding/json sees them
//	typescript.go  interfaces for socket.io-client
//	asyncapi.go    a document of AsyncAPI 3
//	diff.go        what breaks old clients
//
// # Decisions
//
//   - 2026-11: A nil slice and a nil map travel as null, so their types say so: pages that forget it fail when they are
//     compiled and not when they run.
//   - 2026-11: A struct has its name, and so has whatever else holds itself: its schema would have no end. Other slices and maps
//     are written out, as in TypeScript their names would say nothing.
//   - 2026-11: Arguments have no names in Go's reflection. They get those of their types.
package contract
