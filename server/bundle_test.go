package server_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/internal/version"
	"github.com/beanpole/beanpole/server"
)

// Who loads the client from a server by itself, as from Node's, is told where it is.
func TestClientBundleIsElsewhere(t *testing.T) {
	var said remarks
	_, url := start(t, server.Config{Logger: said.log(slog.LevelWarn)}, func(*server.Server) {})
	for path, want := range map[string]int{
		"/socket.io/socket.io.js":         http.StatusNotFound,
		"/socket.io/socket.io.min.js.map": http.StatusNotFound,
		"/socket.io/other.js":             http.StatusBadRequest,
		"/socket.io/":                     http.StatusBadRequest,
	} {
		r, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil || r.StatusCode != want {
			t.Errorf("%s: status %d, want %d, %v", path, r.StatusCode, want, err)
		}
		if _, file, ok := strings.Cut(path, "/socket.io/socket"); ok && !strings.Contains(string(body), version.OfClient("socket"+file)) {
			t.Errorf("%s: %s", path, body)
		}
	}
	said.once(t, "a page asks for the client bundle", "cdn="+version.OfClient(""))
}
