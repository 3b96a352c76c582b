// Zishang is a small chat written for github.com/zishang520/socket.io/v2, on Beanpole's transport. chat.go
// is what such an application has; this file is what changes for it. See README.md.
package main

import (
	"embed"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/internal/look"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/server/zishang"
)

//go:embed web
var web embed.FS

func main() {
	host.MainWith(configure, func(h *host.Host) error {
		page, err := look.Page(web)
		if err != nil {
			return err
		}
		h.Static(page)
		return nil
	})
}

// configure has the host carry the chat. Ports, Redis, health checks, metrics and drain are the host's.
func configure(c *host.Config) error {
	c.Server = newServer
	return nil
}

// newServer makes the library's server as the application wants it.
func newServer(sc server.Config) (host.Application, error) {
	options := socket.DefaultServerOptions()
	if sc.Adapter == nil { // with Redis it is BEANPOLE_RECOVERY that says so
		options.SetConnectionStateRecovery(&socket.ConnectionStateRecovery{})
	}
	io, handler, err := zishang.New(zishang.FromServer(sc, options)) // was socket.NewServer(nil, options)
	if err != nil {
		return nil, err
	}
	setup(io)
	return handler, nil
}
