package main

import "github.com/beanpole/beanpole/server"

// register says what clients can do. It returns at once: events are handled behind it.
func register(io *server.Server) {
	io.OnConnection(func(s *server.Socket) {
		s.Join("everybody")
		s.On("say", func(text string) (int, error) { // the result acknowledges
			return len(text), s.To("everybody").Emit("said", text)
		})
	})
}
