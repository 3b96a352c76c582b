package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// validate reports a configuration that clients would refuse.
func (c *Cookie) validate() error {
	if c == nil {
		return nil
	}
	k := c.cookie("x")
	if err := k.Valid(); err != nil {
		return fmt.Errorf("cookie: %w", err)
	}
	if k.SameSite == http.SameSiteNoneMode && !k.Secure {
		return errors.New("cookie: SameSite=None needs Secure, without it browsers drop the cookie")
	}
	return nil
}

// header returns the Set-Cookie value that tells the client its session id, for load balancers that
// route by cookie. As Node: "io=<sid>; Path=/; HttpOnly; SameSite=Lax" by default.
func (c *Cookie) header(sid string) string { return c.cookie(sid).String() }

func (c *Cookie) cookie(sid string) *http.Cookie {
	k := &http.Cookie{
		Name:     c.Name,
		Value:    strings.ReplaceAll(url.QueryEscape(sid), "+", "%20"),
		Path:     c.Path,
		Domain:   c.Domain,
		MaxAge:   c.MaxAge,
		HttpOnly: !c.NotHTTPOnly,
		Secure:   c.Secure,
		SameSite: c.SameSite,
	}
	if k.Name == "" {
		k.Name = "io"
	}
	if k.Path == "" {
		k.Path = "/"
	}
	if k.SameSite == 0 {
		k.SameSite = http.SameSiteLaxMode
	}
	return k
}
