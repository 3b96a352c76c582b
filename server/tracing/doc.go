// Package tracing makes OpenTelemetry spans of what the handlers of a server do. Nothing is traced unless a
// Tracer is among the server's Observers, and nothing is recorded unless its provider does so.
//
//	t := tracing.New(tracing.Config{Provider: provider}) // of go.opentelemetry.io/otel/sdk/trace
//	io, err := server.New(server.Config{Observers: []server.Observer{t}})
//
// A handler that takes a context.Context finds its span in it, so that what it asks of databases and other
// services becomes part of the trace.
//
// # Decisions
//
//   - 2026-11: This package knows OpenTelemetry's API alone; the SDK and its exporters are the program's choice.
//   - 2026-11: An event begins a trace of its own. One that spans the life of a socket would be hours long and
//     never be shown; the session's number, an attribute, finds all of one client. Connecting continues the
//     trace of the request that opened the session, if a header says which it is part of.
//   - 2026-11: The name of an event is on its span only if the event has a handler: names are the clients' to
//     make up. Session ids, auth payloads and arguments never are.
package tracing
