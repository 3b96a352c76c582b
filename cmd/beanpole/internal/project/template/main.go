// Command hello is a Socket.IO application: a page, and the events that it knows.
package main

import (
	"embed"
	"io/fs"

	"github.com/beanpole/beanpole/server/host"
)

//go:embed public
var public embed.FS

func main() {
	host.Main(func(h *host.Host) error { // PORT, health checks, logs, graceful stop
		page, err := fs.Sub(public, "public")
		if err != nil {
			return err
		}
		h.Static(page)
		register(h.IO())
		return nil
	})
}
