// Auth lets people in with a password and their sockets with a token (JWT) that ends: a socket whose
// token has expired is disconnected. It needs no service. See README.md.
package main

import (
	"embed"
	"net/http"
	"os"
	"time"

	"golang.org/x/crypto/bcrypt"

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
		ttl, err := time.ParseDuration(os.Getenv("AUTH_TTL"))
		if err != nil || ttl <= 0 {
			ttl = time.Minute
		}
		// The people of an application are in its database.
		people := map[string]string{"ada": "bean", "grace": "pole"}
		g, err := newGate(h.IO(), newTokens(os.Getenv("AUTH_KEY"), ttl), people, bcrypt.DefaultCost)
		if err != nil {
			return err
		}
		h.Handle("POST", "/login", http.HandlerFunc(g.login))
		return nil
	})
}
