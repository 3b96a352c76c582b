// Command server is the fixture of the client tests: a small Socket.IO server with one behaviour for
// everything that the clients are tested for.
//
// It prints {"port":N} on its first line and ends in order on SIGTERM, or when its standard input
// closes. Its twin on Node's own server is ../reference.mjs, which lists what each path does; the two
// must stay alike.
//
// The files: main.go (the process and its servers), behaviour.go (what a socket does), watch.go (who
// wants to know how a socket ended).
package main
