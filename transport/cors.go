package transport

import (
	"fmt"
	"net/http"
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
