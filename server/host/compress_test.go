package host

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// counted is a file system that counts the bytes that are read of its files.
type counted struct {
	fstest.MapFS
	read atomic.Int64
}

func (c *counted) Open(name string) (fs.File, error) {
	f, err := c.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	return countedFile{f.(seeker), &c.read}, nil
}

type seeker interface {
	fs.File
	io.Seeker
}

type countedFile struct {
	seeker
	read *atomic.Int64
}

func (f countedFile) Read(b []byte) (int, error) {
	n, err := f.seeker.Read(b)
	f.read.Add(int64(n))
	return n, err
}

// unzipped returns the content of a compressed answer.
func unzipped(t *testing.T, b []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// A file is compressed once, however many ask for it at a time: what each of them costs is its connection.
func TestFilesAreCompressedOnce(t *testing.T) {
	script := strings.Repeat("let x = 1;\n", 50_000)
	files := &counted{MapFS: fstest.MapFS{"app.js": {Data: []byte(script)}}}
	h, _ := newTestHost(t, Config{})
	h.Static(files)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			w := ask(h, http.MethodGet, "/app.js", "Accept-Encoding", "gzip, zstd")
			if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) ||
				w.Header().Get("Vary") != "Accept-Encoding" || w.Body.Len() > len(script)/50 || unzipped(t, w.Body.Bytes()) != script {
				t.Errorf("%d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
			}
		})
	}
	all.Wait()
	if n := files.read.Load(); n != 2*int64(len(script)) { // and once for its ETag
		t.Errorf("%d bytes of a file of %d were read", n, len(script))
	}
	files.MapFS["app.js"] = &fstest.MapFile{Data: []byte(strings.ToUpper(script)), ModTime: time.Unix(1e9, 0)}
	w := ask(h, http.MethodGet, "/app.js", "Accept-Encoding", "gzip")
	if unzipped(t, w.Body.Bytes()) != strings.ToUpper(script) {
		t.Error("what was kept has outlived its file")
	}
	if w := ask(h, http.MethodGet, "/app.js", "Accept-Encoding", "gzip", "If-Modified-Since", w.Header().Get("Last-Modified")); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("not modified: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := ask(h, http.MethodHead, "/app.js", "Accept-Encoding", "gzip"); w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
}

// What is compressed already is not compressed again, nor what is asked for in parts, or while there is no memory.
func TestWhatIsNotCompressed(t *testing.T) {
	text := []byte(strings.Repeat("0123456789", 1000))
	noise := make([]byte, 10_000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	h, _ := newTestHost(t, Config{})
	h.Static(fstest.MapFS{
		"a.png": {Data: text}, "a.woff2": {Data: append([]byte("wOF2"), text...)}, "a.zip": {Data: append([]byte("PK\x03\x04"), text...)},
		"a.mp4": {Data: append([]byte("\x00\x00\x00\x18ftypmp42"), text...)}, "a.js": {Data: text}, "a.svg": {Data: text},
		"a.js.map": {Data: text}, "a.ttf": {Data: append([]byte("\x00\x01\x00\x00"), text...)}, "noise.js": {Data: noise},
		"large.js": {Data: bytes.Repeat(text, 1000)}, "small.js": {Data: text[:100]}, "sub/index.html": {Data: text},
	})
	for name, want := range map[string]bool{"a.png": false, "a.woff2": false, "a.zip": false, "a.mp4": false, "noise.js": false,
		"large.js": false, "small.js": false, "a.js": true, "a.svg": true, "a.js.map": true, "a.ttf": true, "sub/": true} {
		for range 2 { // the second is of what is kept
			w := ask(h, http.MethodGet, "/"+name, "Accept-Encoding", "gzip")
			if got := w.Header().Get("Content-Encoding") == "gzip"; w.Code != 200 || got != want || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
				t.Errorf("%s: %d %v", name, w.Code, w.Header())
			}
		}
	}
	for _, asks := range [][]string{{"Accept-Encoding", "identity"}, {"Accept-Encoding", "gzip;q=0"}, {"Accept-Encoding", "gzip", "Range", "bytes=0-9"}} {
		if w := ask(h, http.MethodGet, "/a.js", asks...); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%q: %d %v", asks, w.Code, w.Header())
		}
	}
	short, _ := newTestHost(t, Config{})
	short.Static(fstest.MapFS{"a.js": {Data: text}})
	short.memory.short.Store(true)
	if w := ask(short, http.MethodGet, "/a.js", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" || w.Body.Len() != len(text) {
		t.Errorf("short of memory: %v", w.Header())
	}
}

// What is kept is bounded, whatever is asked for, and is not made again for each who asks when there is no room for it.
func TestWhatIsKeptCompressedIsBounded(t *testing.T) {
	files := &counted{MapFS: fstest.MapFS{}}
	for i := range 100 {
		files.MapFS[strconv.Itoa(i)+".js"] = &fstest.MapFile{Data: bytes.Repeat([]byte("0123456789"), 1000)}
	}
	c := newCompressor(func() bool { return false })
	c.room = 10 * (costOfEntry + 100)
	compressed := func() (n int) {
		for i := range 100 {
			name := strconv.Itoa(i) + ".js"
			info, err := fs.Stat(files, name)
			if err != nil {
				t.Fatal(err)
			}
			if c.of(t.Context(), files, name, info).gzip != nil {
				n++
			}
		}
		return n
	}
	compressed()
	before := files.read.Load()
	if n := compressed(); n == 0 || n > 10 || c.room < 0 {
		t.Errorf("%d files are kept, with %d bytes left", n, c.room)
	}
	if again := files.read.Load() - before; again != 0 {
		t.Errorf("%d bytes were read again", again)
	}
	c.began = time.Now().Add(-2 * forgetAfter) // the files of an application that was replaced
	compressed()
	if n := compressed(); n != 100 || c.room < 0 {
		t.Errorf("%d files of the next", n)
	}
}

// A file is another when it has been written or replaced, though its size and its time are the same, as those of a reproducible
// build are.
func TestFilesOfTheSameTimeAreToldApart(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the time of a change is not known")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "app.js")
	write := func(to string, letter string) string {
		t.Helper()
		text := strings.Repeat(letter, 10_000)
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(to, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
		return text
	}
	var last os.FileInfo
	h, _ := newTestHost(t, Config{StaticDir: dir})
	for _, change := range []struct {
		how string
		do  func() string
	}{
		{"at first", func() string { return write(name, "a") }},
		{"in place", func() string {
			for { // until the clock of the files has gone on
				text := write(name, "b")
				if now, err := os.Stat(name); err != nil || changeOf(now) != changeOf(last) {
					return text
				}
			}
		}},
		{"replaced", func() string {
			text := write(name+".new", "c")
			if err := os.Rename(name+".new", name); err != nil {
				t.Fatal(err)
			}
			return text
		}},
	} {
		want := change.do()
		for range 2 {
			w := ask(h, http.MethodGet, "/app.js", "Accept-Encoding", "gzip")
			if got := unzipped(t, w.Body.Bytes()); got != want {
				t.Errorf("%s: %.3s…, want %.3s…", change.how, got, want)
			}
		}
		var err error
		if last, err = os.Stat(name); err != nil {
			t.Fatal(err)
		}
	}
}

// What is no file is not opened: that of a named pipe without a writer has no end.
func TestNamedPipesAreNotThere(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.js"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe.js", filepath.Join(dir, "link.js")); err != nil {
		t.Fatal(err)
	}
	own, _ := newTestHost(t, Config{StaticDir: dir})
	other, _ := newTestHost(t, Config{SinglePage: true})
	other.Static(os.DirFS(dir))
	for _, h := range []*Host{own, other} {
		for _, name := range []string{"/pipe.js", "/link.js"} {
			if w := ask(h, http.MethodGet, name, "Accept-Encoding", "gzip", "Accept", "text/html"); w.Code != http.StatusNotFound {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
	}
}
