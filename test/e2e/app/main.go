// App is the application of the end-to-end tests: rooms, an echo, and a way for the tests to emit.
package main

import (
	"net/http"
	"strconv"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
)

func main() {
	host.Main(func(h *host.Host) error {
		io := h.IO()
		io.OnConnection(func(s *server.Socket) {
			s.On("join", func(room string) string {
				s.Join(room)
				return h.Config().Instance
			})
			s.On("echo", func(text string) string { return text })
			s.On("address", func() string { return s.Handshake().Addr() })
		})
		// For the tests, straight to the application: sends the number n to a room of all instances.
		h.Handle(http.MethodPost, "/say", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := strconv.Atoi(r.URL.Query().Get("n"))
			if err == nil {
				err = io.To(r.URL.Query().Get("room")).Emit("said", n)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		}))
		return nil
	})
}
