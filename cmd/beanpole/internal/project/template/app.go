package main

import "github.com/beanpole/beanpole/server"

// Said is what clients are sent.
var Said = server.Declare[string]("said")

// register says what clients can do. It returns at once: events are handled behind it.
func register(io *server.Server) {
	io.Sends(Said)
	io.OnConnection(func(s *server.Socket) { s.Join("everybody") })
	io.On("say", func(s *server.Socket, text string) (int, error) { // the result acknowledges
		return len(text), Said.Emit(s.To("everybody"), text)
	})
}
