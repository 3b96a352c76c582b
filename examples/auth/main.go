// Auth lets people in with a password and their sockets with a token (JWT) that ends: a socket whose
// token has expired is disconnected. It needs no service. See README.md.
package main

import (
	"embed"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/internal/look"
	"github.com/beanpole/beanpole/server/host"
)

//go:embed web
var web embed.FS

// minKey is how long a key is at least: a shorter one can be found from any token.
const minKey = 32

func main() {
	configure := func(c *host.Config) error {
		c.Adjust = adjust
		return nil
	}
	host.MainWith(configure, func(h *host.Host) error {
		page, err := look.Page(web)
		if err != nil {
			return err
		}
		h.Static(page)
		ttl, err := time.ParseDuration(os.Getenv("AUTH_TTL"))
		if err != nil || ttl <= 0 {
			ttl = time.Minute
		}
		key := os.Getenv("AUTH_KEY")
		if key != "" && len(key) < minKey {
			return fmt.Errorf("AUTH_KEY has %d letters, and needs %d", len(key), minKey)
		}
		from := func(r *http.Request) string { // behind proxies, BEANPOLE_TRUSTED_HOPS makes it the client's
			addr, _ := h.ClientAddr(r)
			return host.AddrKey(addr)
		}
		// The people of an application are in its database.
		people := map[string]string{"ada": "bean", "grace": "pole"}
		g, err := newGate(h.IO(), from, newTokens(key, ttl), people, bcrypt.DefaultCost)
		if err != nil {
			return err
		}
		h.Handle("POST", "/login", http.HandlerFunc(g.login))
		return nil
	})
}
