package host

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/internal/version"
)

// installed makes a folder with a socket.io-client as npm installs it.
func installed(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	pkg := filepath.Join(dir, "node_modules", "socket.io-client")
	if err := os.MkdirAll(filepath.Join(pkg, "dist"), 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"package.json": `{"name":"socket.io-client","version":"4.8.9"}`}
	for _, name := range clientFiles {
		files[filepath.Join("dist", name)] = "// " + name + "\n" + strings.Repeat("x", 2000)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(pkg, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestClientBundleOfNPM(t *testing.T) {
	dir := installed(t)
	h, _ := newTestHost(t, Config{ClientDir: dir})
	for _, name := range clientFiles {
		w := ask(h, "GET", "/socket.io/"+name)
		kind := "application/javascript; charset=utf-8"
		if strings.HasSuffix(name, ".map") {
			kind = "application/json; charset=utf-8"
		}
		if w.Code != 200 || !strings.HasPrefix(w.Body.String(), "// "+name+"\n") || w.Header().Get("Content-Type") != kind ||
			w.Header().Get("ETag") != `W/"4.8.9"` || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
	for etag, want := range map[string]int{`"4.8.9"`: 304, `W/"4.8.9"`: 304, `"x", W/"4.8.9"`: 304, `"4.8.8"`: 200} {
		w := ask(h, "GET", "/socket.io/socket.io.js", "If-None-Match", etag)
		if w.Code != want || (want == 304 && w.Body.Len() > 0) {
			t.Errorf("If-None-Match %s: %d, want %d", etag, w.Code, want)
		}
	}
	if w := ask(h, "HEAD", "/socket.io/socket.io.min.js"); w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := ask(h, "POST", "/socket.io/socket.io.min.js"); w.Code == 200 {
		t.Error("POST of the bundle answers 200")
	}
	// A request of the protocol for a file's name is still one for the file, as in Node.
	if w := ask(h, "GET", "/socket.io/socket.io.js?EIO=4&transport=polling"); w.Header().Get("ETag") == "" {
		t.Errorf("with a query: %d", w.Code)
	}
	direct, _ := newTestHost(t, Config{ClientDir: filepath.Join(dir, "node_modules", "socket.io-client", "dist")})
	if w := ask(direct, "GET", "/socket.io/socket.io.min.js"); w.Code != 200 {
		t.Errorf("bundle in ClientDir itself: %d", w.Code)
	}
}

func TestClientBundleCompressed(t *testing.T) {
	h, _ := newTestHost(t, Config{ClientDir: installed(t)})
	for accept, want := range map[string]string{
		"gzip": "gzip", "br, GZIP;q=0.5": "gzip", "gzip;q=0": "", "gzip; q=0.0": "", "br": "", "": "",
	} {
		w := ask(h, "GET", "/socket.io/socket.io.min.js", "Accept-Encoding", accept)
		if got := w.Header().Get("Content-Encoding"); got != want || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: %q, want %q", accept, got, want)
			continue
		}
		body := io.Reader(w.Body)
		if want != "" {
			r, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			body = r
		}
		if plain, err := io.ReadAll(body); err != nil || !strings.HasPrefix(string(plain), "// socket.io.min.js") {
			t.Errorf("Accept-Encoding %q: %.30q, %v", accept, plain, err)
		}
	}
}

// A program needs neither npm nor the Internet for its page: the server has the client in itself.
func TestClientBundleOfItsOwn(t *testing.T) {
	h, _ := newTestHost(t, Config{Path: "/rt/"})
	for _, name := range clientFiles {
		w := ask(h, "GET", "/rt/"+name)
		if strings.HasSuffix(name, ".map") {
			if w.Code != 404 || w.Header().Get("ETag") != "" {
				t.Errorf("%s: %d %v", name, w.Code, w.Header())
			}
			continue
		}
		if w.Code != 200 || !strings.HasPrefix(w.Body.String(), "/*!\n * Socket.IO v"+version.Client+"\n") || w.Header().Get("ETag") != `W/"`+version.Client+`"` {
			t.Errorf("%s: %d %.60q %v", name, w.Code, w.Body.String(), w.Header())
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Error("a module of another origin may not load it")
		}
		small := ask(h, "GET", "/rt/"+name, "Accept-Encoding", "gzip")
		if small.Header().Get("Content-Encoding") != "gzip" || !bytes.Equal(decompressed(small.Body.Bytes()), w.Body.Bytes()) {
			t.Errorf("%s, compressed: %v", name, small.Header())
		}
	}
}

// An older client has fewer files, and none of another version is mixed in.
func TestClientBundleThatHasFewerFiles(t *testing.T) {
	dir := installed(t)
	if err := os.Remove(filepath.Join(dir, "node_modules", "socket.io-client", "dist", "socket.io.esm.min.js")); err != nil {
		t.Fatal(err)
	}
	h, _ := newTestHost(t, Config{ClientDir: dir})
	if w := ask(h, "GET", "/socket.io/socket.io.esm.min.js"); w.Code != 404 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestClientDirWithoutABundleIsAnError(t *testing.T) {
	if _, err := New(Config{ClientDir: t.TempDir()}); err == nil {
		t.Error("no error")
	}
}

// What another method or path is answered does not say that the file is served nowhere: it is, by this host.
func TestBundleByAnotherWay(t *testing.T) {
	h, _ := newTestHost(t, Config{})
	for _, of := range []struct{ method, path string }{{"POST", "/socket.io/socket.io.js"}, {"GET", "/socket.io//socket.io.js"}} {
		w := ask(h, of.method, of.path)
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "not served by this method and path") {
			t.Errorf("%s %s: %d %s", of.method, of.path, w.Code, w.Body)
		}
	}
	for _, method := range []string{"GET", "HEAD"} {
		if w := ask(h, method, "/socket.io/socket.io.js"); w.Code != http.StatusOK {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}
