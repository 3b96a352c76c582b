package host

import (
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// What has its content in its name is kept by browsers; of all else they ask whether it has changed, and can, whether it has a
// time or not, compressed or not.
func TestFilesAreCached(t *testing.T) {
	long := []byte(strings.Repeat("const x = 1;\n", 1000))
	for about, modified := range map[string]time.Time{"embedded": {}, "of a folder": time.Unix(1e9, 0)} {
		h, _ := newTestHost(t, Config{StaticImmutable: "/assets/", SinglePage: true})
		files := fstest.MapFS{}
		for _, name := range []string{"index.html", "page.js", "assets/page-B4dKf00d.js", "assets/index.html", "assetsx/page.js"} {
			files[name] = &fstest.MapFile{Data: long, ModTime: modified}
		}
		h.Static(files)
		for target, want := range map[string]struct {
			code  int
			cache string
		}{
			"/":                        {200, "no-cache"},
			"/page.js":                 {200, "no-cache"},
			"/assets/page-B4dKf00d.js": {200, "public, max-age=31536000, immutable"},
			"/assets/":                 {200, "no-cache"},
			"/assetsx/page.js":         {200, "no-cache"},
			"/assets/../page.js":       {200, "no-cache"},
			"/assets":                  {301, "no-cache"},
			"/assets/gone.js":          {404, ""},
			"/assets/page":             {200, "no-cache"}, // the single page's
		} {
			for _, coding := range []string{"identity", "gzip"} {
				header := []string{"Accept", "text/html", "Accept-Encoding", coding}
				w := ask(h, http.MethodGet, target, header...)
				if got := w.Header().Get("Cache-Control"); w.Code != want.code || got != want.cache {
					t.Errorf("%s, %s: %d, Cache-Control %q, want %d, %q", about, target, w.Code, got, want.code, want.cache)
				}
				if w.Code != 200 {
					continue
				}
				tag, since := w.Header().Get("Etag"), w.Header().Get("Last-Modified")
				if (tag == "") != (since != "") {
					t.Errorf("%s, %s: ETag %q, Last-Modified %q", about, target, tag, since)
				}
				again := append(header, "If-None-Match", tag)
				if tag == "" {
					again = append(header, "If-Modified-Since", since)
				}
				if w := ask(h, http.MethodGet, target, again...); w.Code != http.StatusNotModified {
					t.Errorf("%s, %s, %s: asked again: %d", about, target, coding, w.Code)
				}
			}
		}
	}
}
