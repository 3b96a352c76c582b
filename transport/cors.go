package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/cors"
)

// newCORS returns what adds the CORS headers to an answer. It reports handled for every OPTIONS request,
// which it has then answered with 204 itself, as npm cors does: a preflight carries no session. A nil c
// handles nothing.
func newCORS(c *CORS) (func(http.ResponseWriter, *http.Request) (handled bool), error) {
	if c == nil {
		return func(http.ResponseWriter, *http.Request) bool { return false }, nil
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("cors: %w", err)
	}
	o := cors.Options{
		AllowedOrigins:   c.Origins,
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
	if c.AllowOrigin != nil {
		o.AllowOriginVaryRequestFunc = func(r *http.Request, origin string) (bool, []string) {
			return c.AllowOrigin(r, origin), nil
		}
	}
	h := cors.New(o)
	return func(w http.ResponseWriter, r *http.Request) bool {
		h.HandlerFunc(w, r)
		if r.Method != http.MethodOptions {
			return false
		}
		// rs/cors has written the status if this is a preflight, and leaves other OPTIONS to us.
		if r.Header.Get("Access-Control-Request-Method") == "" {
			w.WriteHeader(http.StatusNoContent)
		}
		return true
	}, nil
}

func (c *CORS) validate() error {
	if c.AllowOrigin != nil {
		return nil
	}
	if len(c.Origins) == 0 && c.Credentials {
		return errors.New("credentials need Origins or AllowOrigin: without either every origin is allowed, " +
			"and browsers refuse credentials then")
	}
	for _, o := range c.Origins {
		if err := checkOrigin(o, c.Credentials); err != nil {
			return fmt.Errorf("origin %q: %w", o, err)
		}
	}
	return nil
}

func checkOrigin(o string, credentials bool) error {
	switch {
	case o == "*" && credentials:
		return errors.New(`browsers refuse credentials from the origin "*": list the origins, ` +
			`use one "*" inside an origin, or set AllowOrigin`)
	case o == "*" || o == "null":
		return nil
	case strings.Count(o, "*") > 1:
		return errors.New(`more than one "*"`)
	case !strings.Contains(o, "://"):
		return errors.New("no scheme, as in https://app.example.com")
	}
	u, err := url.Parse(strings.ReplaceAll(o, "*", "0"))
	if err != nil {
		return err
	}
	if u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("an origin is scheme://host[:port], nothing after it")
	}
	return nil
}
