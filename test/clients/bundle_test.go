package clients

import (
	"bytes"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/beanpole/beanpole/server/host"
)

// The client that server/host has in itself is npm's, to the last byte.
func TestBundleIsThatOfNPM(t *testing.T) {
	install(t)
	h, err := host.New(host.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.IO().Close()
	for _, name := range []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"} {
		want, err := os.ReadFile(filepath.Join("node_modules", "sioc48", "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/socket.io/"+name, nil))
		if got, err := io.ReadAll(w.Body); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d, %v: is it that of package.json? make bundle", name, len(got), len(want), err)
		}
	}
}
