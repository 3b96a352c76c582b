// Chat is a chat with rooms: who is there, who is typing, what was said before, and a tick when a message
// has arrived. It needs no service; with REDIS_URL several of it are one chat. See README.md.
package main

import (
	"embed"

	"github.com/beanpole/beanpole/internal/look"
	"github.com/beanpole/beanpole/server/host"
)

//go:embed web
var web embed.FS

func main() {
	host.Main(func(h *host.Host) error {
		page, err := look.Page(web)
		if err != nil {
			return err
		}
		h.Static(page)
		newChat(h.IO(), h.Config().Instance)
		return nil
	})
}
