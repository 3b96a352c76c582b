package main

import (
	"time"

	"github.com/beanpole/beanpole/test/bench/load"
)

// growSessions is idle sessions, a broadcast to all of them and echo over a hundred.
func growSessions(r *run) error {
	s, err := r.idle(r.n-200, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := r.broadcast(s, "all", load.BroadcastOptions{Size: 128, Duration: 2 * time.Second}); err != nil {
		return err
	}
	return r.echo(s, "w1", load.EchoOptions{Clients: 100, Size: 32, Duration: time.Second})
}

// growRooms is sockets that are in many rooms.
func growRooms(r *run) error {
	const n = 1000
	s, err := r.swarm(n, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := r.process.gc(); err != nil {
		return err
	}
	rss := r.process.rss()
	_, cpu, err := r.measured(func() (load.Result, error) { return s.Enter(n, r.n) })
	if err != nil {
		return err
	}
	r.values["join us"] = micros(cpu)
	if _, err := r.process.gc(); err != nil {
		return err
	}
	r.values["bytes"] = float64(r.process.rss()-rss) / float64(n*r.n)
	return r.echo(s, "w1", load.EchoOptions{Clients: 100, Size: 32, Duration: time.Second})
}

// growNamespaces is sessions spread over many namespaces.
func growNamespaces(r *run) error {
	s, err := r.idle(9800, load.Options{Namespaces: r.n})
	if err != nil {
		return err
	}
	s.Close()
	return nil
}

// growHandlers is sockets with many handlers.
func growHandlers(r *run) error {
	s, err := r.idle(1800, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	return r.echo(s, "w1", load.EchoOptions{Clients: 100, Size: 32, Duration: time.Second})
}
