package server

import "reflect"

// Keep returns the T of the session of s: what make returned the first time. All sockets of the session have the
// same one, in whatever namespace they are and one after the other. It is where a limit of what a client may do
// belongs: a client leaves a namespace and comes back, as another socket, for three bytes, and has a limiter that
// was made for a socket new each time.
//
//	type limits struct{ events *rate.Limiter }
//
//	io.OnConnection(func(s *server.Socket) {
//		l := server.Keep(s, func() *limits { return &limits{rate.NewLimiter(10, 100)} })
//		s.Use(func(_ context.Context, e *server.Event) error { … l.events.Allow() … })
//	})
//
// A session has one of each type, so let T be a type of the application's own. It ends with the session and is never
// saved: a client that reconnects, or recovers, has a new one. make is called under no lock, perhaps in vain, and may return nil. Keep
// may be called from any goroutine; two sockets of a session may use what it returns at the same time.
func Keep[T any](s *Socket, make func() T) T {
	c, key := s.client, reflect.TypeFor[T]()
	v := c.kept(key, nil)
	if v == nil {
		fresh := make()
		v = c.kept(key, &fresh)
	}
	return *v.(*T)
}

// kept returns what is kept for key, or what is to be from now on, unless that is nil: a pointer, as a T may be nil.
func (c *client) kept(key reflect.Type, fresh any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.inLobby()
	if v, ok := l.kept[key]; ok || fresh == nil {
		return v
	}
	if l.kept == nil {
		l.kept = make(map[reflect.Type]any, 1)
	}
	l.kept[key] = fresh
	return fresh
}
