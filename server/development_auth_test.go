package server_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// What a client sends is held against the structs of the application, and not against what the server reads for itself.
func TestDevelopmentHoldsAuthAgainstTheApplicationAlone(t *testing.T) {
	for _, recovery := range []*server.Recovery{nil, {}} {
		synctest.Test(t, func(t *testing.T) {
			var said remarks
			io := servertest.Server(t, server.Config{Development: true, Recovery: recovery, Logger: said.log(slog.LevelWarn)})
			io.Use(func(s *server.Socket) error {
				var auth struct {
					Token string `json:"token"`
				}
				return s.Handshake().Auth(&auth)
			})
			servertest.ConnectTo(t, io, "/", client.Config{Auth: map[string]string{"token": "beans"}})
			synctest.Wait()
			if lines := said.find(); len(lines) > 0 {
				t.Errorf("recovery %v: %s", recovery != nil, strings.Join(lines, ""))
			}
			servertest.ConnectTo(t, io, "/", client.Config{Auth: map[string]string{"tokn": "beans"}})
			synctest.Wait()
			said.once(t, "has no place in the struct", "field=tokn", "perhaps_meant=token")
		})
	}
}
