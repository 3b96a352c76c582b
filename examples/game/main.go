// Game is a garden in which people and a few bots run after beans: binary states of the world twenty
// times a second, prediction on the page, and the delay shown. It needs no service. See README.md.
package main

import (
	"context"
	"embed"
	"sync"

	"github.com/beanpole/beanpole/internal/look"
	"github.com/beanpole/beanpole/server/host"
)

//go:embed web
var web embed.FS

func main() {
	ctx, stop := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	host.Main(func(h *host.Host) error {
		page, err := look.Page(web)
		if err != nil {
			return err
		}
		h.Static(page)
		g := newGame(h.IO(), h.Config().Instance)
		loop.Go(func() { g.run(ctx) })
		return nil
	})
	stop()
	loop.Wait()
}
