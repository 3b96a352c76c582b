// Scores shows football as it happens. A client whose connection is lost for a while gets what it missed
// when it is back. The program admin beside it publishes what happens. See README.md.
package main

import (
	"embed"
	"os"

	"github.com/beanpole/beanpole/internal/look"
	"github.com/beanpole/beanpole/server/host"
)

//go:embed web
var web embed.FS

func main() {
	if os.Getenv("BEANPOLE_RECOVERY") == "" {
		_ = os.Setenv("BEANPOLE_RECOVERY", "2m") // this example is about it
	}
	host.Main(func(h *host.Host) error {
		page, err := look.Page(web)
		if err != nil {
			return err
		}
		h.Static(page)
		s, err := newScores(h.IO(), h.Config().Instance, os.Getenv("SCORES_TOKEN"))
		if err != nil {
			return err
		}
		h.Handle("POST", "/events", s)
		return nil
	})
}
