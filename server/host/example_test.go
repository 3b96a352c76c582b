package host_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
)

// Most programs are a call of Main: configuration, routes and the graceful stop are done.
func ExampleMain() {
	host.Main(func(h *host.Host) error {
		h.IO().OnConnection(func(s *server.Socket) {
			s.On("sum", func(a, b float64) float64 { return a + b })
		})
		h.Handle("GET", "/hello", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
		}))
		return nil
	})
}

func sessionOf(r *http.Request) (user string, ok bool) {
	user, _, ok = r.BasicAuth()
	return user, ok
}

type userKey struct{}

// The values of the context that a middleware gives a request reach the sockets of its session.
func ExampleMainWith() {
	host.MainWith(func(c *host.Config) error {
		c.Adjust = func(s *server.Config) { s.Transport.KeepContext = true }
		return nil
	}, func(h *host.Host) error {
		h.Router().Use(func(c *gin.Context) {
			if user, ok := sessionOf(c.Request); ok {
				c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), userKey{}, user))
			}
		})
		h.IO().OnConnection(func(s *server.Socket) {
			log.Print(s.Handshake().Context().Value(userKey{}))
		})
		return nil
	})
}

// Middlewares of requests are gin's. What one sets is in Handshake().Header() of the sockets; one that aborts refuses.
func ExampleHost_Router() {
	host.Main(func(h *host.Host) error {
		h.Router().Use(func(c *gin.Context) {
			c.Request.Header.Del("X-User") // a client's own
			user, ok := sessionOf(c.Request)
			if !ok {
				c.AbortWithStatus(http.StatusUnauthorized)
				return
			}
			c.Request.Header.Set("X-User", user)
		})
		return nil
	})
}

// Programs with a life of their own take the parts.
func ExampleNew() {
	h, err := host.New(host.Config{Port: host.AnyPort, Host: "127.0.0.1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stop() // Run stops gracefully when its context ends
	fmt.Println(h.Run(ctx))
	// Output: <nil>
}

// A setting that is not allowed is told in one line.
func ExampleValueError() {
	_, err := host.New(host.Config{TrustedHops: 99})
	fmt.Println(err)
	// Output: BEANPOLE_TRUSTED_HOPS="99" is not allowed: it must be a number from 0 to 16
}
