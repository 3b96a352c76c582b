package main

import (
	"sync"

	"github.com/beanpole/beanpole/server"
)

// end is the server's account of how a socket ended.
type end struct {
	Reason     string `json:"reason"`
	RoomsAtEnd int    `json:"roomsAtEnd"`
}

// watch remembers how sockets ended, and who waits to be told.
type watch struct {
	mu      sync.Mutex
	ended   map[string]end
	waiting map[string][]server.Ack
}

func newWatch() *watch {
	return &watch{ended: make(map[string]end), waiting: make(map[string][]server.Ack)}
}

// tell answers ack with the end of the socket, now or when it comes.
func (w *watch) tell(id string, ack server.Ack) {
	w.mu.Lock()
	e, over := w.ended[id]
	if !over {
		w.waiting[id] = append(w.waiting[id], ack)
	}
	w.mu.Unlock()
	if over {
		_ = ack(e) // whoever asked may have gone
	}
}

// end records the end of the socket.
func (w *watch) end(id string, e end) {
	w.mu.Lock()
	w.ended[id] = e
	acks := w.waiting[id]
	delete(w.waiting, id)
	w.mu.Unlock()
	for _, ack := range acks {
		_ = ack(e)
	}
}

// forget drops the end of a socket that was recovered since.
func (w *watch) forget(id string) {
	w.mu.Lock()
	delete(w.ended, id)
	w.mu.Unlock()
}
