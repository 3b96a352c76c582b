package transport

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rs/cors"

	"github.com/beanpole/beanpole/internal/origin"
)

// Check reports what is wrong with c, on one line.
func (c *CORS) Check() error {
	_, err := c.patterns()
	return err
}

// patterns returns what Origins allows.
func (c *CORS) patterns() ([]origin.Pattern, error) {
	if c.AllowOrigin != nil {
		return nil, nil
	}
	if len(c.Origins) == 0 && c.Credentials {
		return nil, errors.New("credentials need Origins or AllowOrigin: without either every origin is allowed, " +
			"and browsers refuse credentials then")
	}
	var all []origin.Pattern
	for _, o := range c.Origins {
		var p origin.Pattern
		var err error
		switch {
		case o != "*":
			p, err = origin.ParsePattern(o)
			if err == nil && c.Credentials {
				p, err = p.Guard()
			}
		case c.Credentials:
			err = origin.ErrAnybodys
		}
		if err != nil {
			return nil, fmt.Errorf("origin %q: %w", o, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// list returns who is allowed, or nil if everybody is. c has been checked.
func (c *CORS) list() func(r *http.Request, origin string) bool {
	switch {
	case c == nil || c.AllowOrigin == nil && len(c.Origins) == 0:
		return nil
	case c.AllowOrigin != nil:
		return c.AllowOrigin
	case slices.Contains(c.Origins, "*"):
		return nil
	}
	patterns, _ := c.patterns()
	return func(_ *http.Request, page string) bool {
		o := origin.Parse(page)
		return slices.ContainsFunc(patterns, func(p origin.Pattern) bool { return p.Matches(o) })
	}
}

// newCORS returns what adds the CORS headers to an answer. It reports handled for every OPTIONS request,
// which it has then answered with 204 itself, as npm cors does: a preflight carries no session. A nil c
// handles nothing.
func newCORS(c *CORS) (func(http.ResponseWriter, *http.Request) (handled bool), error) {
	if c == nil {
		return func(http.ResponseWriter, *http.Request) bool { return false }, nil
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("cors: %w", err)
	}
	o := cors.Options{
		AllowedMethods:   c.Methods,
		AllowedHeaders:   c.Headers,
		ExposedHeaders:   c.Exposed,
		AllowCredentials: c.Credentials,
		MaxAge:           int(c.MaxAge / time.Second),
	}
	if len(o.AllowedMethods) == 0 {
		o.AllowedMethods = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch,
			http.MethodPost, http.MethodDelete}
	}
	if len(o.AllowedHeaders) == 0 {
		o.AllowedHeaders = []string{"*"} // rs/cors then answers with the headers asked for
	}
	if listed := c.list(); listed != nil {
		o.AllowOriginVaryRequestFunc = func(r *http.Request, origin string) (bool, []string) { return listed(r, origin), nil }
	}
	h := cors.New(o)
	return func(w http.ResponseWriter, r *http.Request) bool {
		two := len(r.Header["Origin"]) > 1 // rs/cors would allow both
		if !two {
			h.HandlerFunc(w, r)
		}
		if r.Method != http.MethodOptions {
			return false
		}
		// rs/cors has written the status if this is a preflight, and leaves other OPTIONS to us.
		if two || r.Header.Get("Access-Control-Request-Method") == "" {
			w.WriteHeader(http.StatusNoContent)
		}
		return true
	}, nil
}
