package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beanpole/beanpole/examples/scores/match"
	"github.com/beanpole/beanpole/server"
)

// askTimeout bounds the question how things stand to the other servers.
const askTimeout = 2 * time.Second

// maxBody bounds an event that comes by HTTP, in bytes.
const maxBody = 64 << 10

// What the page is sent, which is in events.ts.
var (
	live     = server.DeclareFunc[func()]("live") // what was missed has come
	standing = server.Declare[Board]("board")
	happened = server.Declare[match.Event]("event")
)

// scores answers those who connect, and takes events from the admin program.
type scores struct {
	io    *server.Server
	node  string
	token string // for events from other machines; "" allows none
	board board
	asked sync.Once
}

// minToken is how long a token is at least, so that nobody guesses it.
const minToken = 16

func newScores(io *server.Server, node, token string) (*scores, error) {
	if token != "" && len(token) < minToken {
		return nil, fmt.Errorf("SCORES_TOKEN has %d letters, and needs %d", len(token), minToken)
	}
	s := &scores{io: io, node: node, token: token}
	io.Sends(live, standing, happened)
	io.OnConnection(s.connected)
	// The emitter tells the clients itself; the servers keep what it says for those who come late.
	io.OnServerSide("event", func(e match.Event) { s.board.add(e) })
	io.OnServerSide("board", func() Board { return s.board.look() })
	return s, nil
}

// connected tells a new client how things stand. A recovered one has just been sent what it missed,
// before this handler runs, and is told that this was all.
func (s *scores) connected(c *server.Socket) {
	if c.Recovered() {
		_ = c.Emit(live.Event()) // it is gone again otherwise
		return
	}
	s.asked.Do(s.ask)
	b := s.board.look()
	b.Node = s.node
	_ = standing.Emit(c, b)
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
	return errors.Join(s.io.ServerSideEmit("event", e), happened.Emit(s.io, e))
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

// allowed reports whether r may publish: with the token from anywhere, without one only a program on this
// machine that speaks to this server itself.
func (s *scores) allowed(r *http.Request) bool {
	if r.Header.Get("Content-Type") != "application/json" {
		return false // a page of another site can send the rest without asking first
	}
	if s.token != "" {
		want := "Bearer " + s.token
		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) == 1
	}
	return direct(r)
}

// usual are the headers that a program sends by itself. A browser sends more (Origin, Sec-Fetch-Site), and
// a proxy that says so too, under one of many names (X-Forwarded-For, Forwarded, Via, X-Real-Ip).
var usual = []string{"Accept", "Accept-Encoding", "Content-Length", "Content-Type", "Traceparent", "User-Agent"}

// direct reports whether r comes from this machine and was sent to it by name: a page whose site's name
// leads here has another one. What a proxy passes on is from nobody knows where. A proxy that says nothing of
// itself cannot be told from a program: behind one, set the token.
func direct(r *http.Request) bool {
	for name := range r.Header {
		if !slices.Contains(usual, name) {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() || !r.ProtoAtLeast(1, 1) {
		return false
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return strings.EqualFold(name, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
