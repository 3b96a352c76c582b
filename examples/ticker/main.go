// Ticker sends stock prices, 50 a second for each symbol, to those who follow it; the page draws them.
// It needs no service. See README.md.
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
	var feed sync.WaitGroup
	host.Main(func(h *host.Host) error {
		page, err := look.Page(web)
		if err != nil {
			return err
		}
		h.Static(page)
		t := newTicker(h.IO(), h.Config().Instance)
		feed.Go(func() { t.run(ctx) })
		return nil
	})
	stop()
	feed.Wait()
}
