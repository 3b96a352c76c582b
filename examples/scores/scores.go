package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/beanpole/beanpole/examples/scores/match"
	"github.com/beanpole/beanpole/server"
)

// askTimeout bounds the question how things stand to the other servers.
const askTimeout = 2 * time.Second

// maxBody bounds an event that comes by HTTP, in bytes.
const maxBody = 64 << 10

// scores answers those who connect, and takes events from the admin program.
type scores struct {
	io    *server.Server
	node  string
	token string // for events from other machines; "" allows none
	board board
	asked sync.Once
}

func newScores(io *server.Server, node, token string) *scores {
	s := &scores{io: io, node: node, token: token}
	io.OnConnection(s.connected)
	// The emitter tells the clients itself; the servers keep what it says for those who come late.
	io.OnServerSide("event", func(e match.Event) { s.board.add(e) })
	io.OnServerSide("board", func() Board { return s.board.look() })
	return s
}

// connected tells a new client how things stand. A recovered one has just been sent what it missed,
// before this handler runs, and is told that this was all.
func (s *scores) connected(c *server.Socket) {
	if c.Recovered() {
		_ = c.Emit("live") // it is gone again otherwise
		return
	}
	s.asked.Do(s.ask)
	b := s.board.look()
	b.Node = s.node
	_ = c.Emit("board", b)
}

// ask learns from the other servers what happened before this one began.
func (s *scores) ask() {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	answers, _ := s.io.ServerSideEmitWithAck(ctx, "board") // those that did not answer are not needed
	for _, a := range answers {
		var b Board
		if a.Decode(0, &b) == nil {
			s.board.merge(b)
		}
	}
}

// publish sends an event to everybody, here and on the other servers.
func (s *scores) publish(e match.Event) error {
	if !s.board.add(e) {
		return nil // sent again
	}
	return errors.Join(s.io.ServerSideEmit("event", e), s.io.Emit("event", e))
}

// ServeHTTP takes an event by POST, from this machine or with the token.
func (s *scores) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(r) {
		http.Error(w, "not allowed", http.StatusForbidden)
		return
	}
	var e match.Event
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&e); err != nil {
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	if err := e.Check(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.publish(e); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// allowed reports whether r may publish. Pages of other sites cannot send JSON without asking first,
// which nobody here answers; a request through a proxy is from nobody knows where.
func (s *scores) allowed(r *http.Request) bool {
	if r.Header.Get("Content-Type") != "application/json" {
		return false
	}
	if s.token != "" {
		want := "Bearer " + s.token
		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) == 1
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() && r.Header.Get("X-Forwarded-For") == ""
}
