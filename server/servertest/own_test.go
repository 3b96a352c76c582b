package servertest_test

import (
	"testing"
	"testing/synctest"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// A server that the application has made, and nobody shuts down, leaves nothing behind in the bubble when its clients
// have gone.
func TestServerOfTheApplication(t *testing.T) {
	for _, transport := range []client.Transport{client.Polling, client.WebSocket} {
		synctest.Test(t, func(t *testing.T) {
			io, err := server.New(server.Config{Recovery: &server.Recovery{}})
			if err != nil {
				t.Fatal(err)
			}
			shop(io)
			c := servertest.ConnectTo(t, io, "/", client.Config{Transports: []client.Transport{transport}})
			servertest.Ask[int](c, "say", "beans")
		})
	}
}
