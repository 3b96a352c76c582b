package server

import (
	"context"
	"sync"
)

// group counts what has to end before a server has. It is no sync.WaitGroup, as goroutines of the application begin something
// whenever they like, also while somebody waits: a timer that disconnects a client, during a Shutdown. The zero value counts
// nothing. Methods may be called from any goroutine.
type group struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n is 0; nil if nobody waits for it
}

// Go runs fn on a goroutine that is counted.
func (g *group) Go(fn func()) {
	g.Add()
	go func() {
		defer g.Done()
		fn()
	}()
}

// Add counts one more, for which Done is called when it has ended.
func (g *group) Add() {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
}

// Done says that one has ended.
func (g *group) Done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.none != nil {
		close(g.none)
		g.none = nil
	}
}

// Wait returns when nothing is left at one moment, or with the error of ctx when that ends first.
func (g *group) Wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.none == nil {
		g.none = make(chan struct{})
	}
	none := g.none
	g.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
