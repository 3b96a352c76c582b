package server

import (
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"time"
)

// crowd is how many functions of one kind, in one place, are taken for a mistake: they are registered for each
// connection, or for each event, stay, and all run. Node warns of 11 listeners of one event.
const crowd = 32

// crowded says once that n functions are too many, and in development mode that so many of them are one and the same.
func (s *Server) crowded(n, same int, method, event string) {
	s.advice.registered(same, method, event)
	if n != crowd || !s.bounds.notice.News(method, time.Now()) {
		return
	}
	args := []any{"method", method, "registered", n}
	if event != "" {
		args = append(args, "event", event)
	}
	s.apart.Warn("handlers pile up: register those of a namespace once, where the program starts, and those of a socket in "+
		"OnConnection, where s.On is a socket's own; never in a handler of events", args...)
}

// stuck is how long an event waits for a connection handler before that is taken for one that does not return, and
// maxWatchers how many sockets are looked at for it at a time: a sample, as a program that does so does it with all.
const (
	stuck       = 5 * time.Second
	maxWatchers = 16
)

// watchConnection says once that connection handler n, counted from one, keeps an event waiting that has just come, if
// it still does when stuck is over: a loop in it works, and its client is never heard.
func (s *Socket) watchConnection(n uint32) {
	b := &s.client.server.bounds
	if b.watchers.Add(1) > maxWatchers {
		b.watchers.Add(-1)
		return
	}
	time.AfterFunc(stuck, func() {
		defer b.watchers.Add(-1)
		list := s.nsp.connectionHandlers()
		if s.queue.handler.Load() != n || s.gone() || int(n) > len(list) {
			return
		}
		name := funcName(*list[n-1])
		if b.notice.News("connection handler "+name, time.Now()) {
			s.client.server.cfg.Logger.Warn("events wait for a connection handler that does not return: its client's "+
				"events are handled behind it; start a goroutine for what goes on, until s.Context() is done",
				"handler", name, "namespace", s.name, "waiting", stuck)
		}
	})
}

// funcName says which function fn is, by name and line.
func funcName(fn any) string {
	f := runtime.FuncForPC(reflect.ValueOf(fn).Pointer())
	if f == nil {
		return "unknown"
	}
	file, line := f.FileLine(f.Entry())
	return fmt.Sprintf("%s (%s:%d)", f.Name(), filepath.Base(file), line)
}
