package host

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"
)

// serveFile is the route of everything that has no other.
func (h *Host) serveFile(c *gin.Context) {
	if h.files == nil {
		http.NotFound(c.Writer, c.Request)
		return
	}
	h.files.ServeHTTP(c.Writer, c.Request)
}

// fileServer serves fsys without listing folders and without hidden files. Browsers are told to ask
// again each time, as the names of the files do not change when their content does.
func fileServer(fsys fs.FS) http.Handler {
	files := http.FileServerFS(visible{fsys})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		files.ServeHTTP(w, r)
	})
}

// visible is a file system of which only files, and folders with an index.html, can be opened.
type visible struct{ fs.FS }

// Open opens the file of that name.
func (v visible) Open(name string) (fs.File, error) {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > 1 && part[0] == '.' {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	f, err := v.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		_, err = fs.Stat(v.FS, path.Join(name, "index.html"))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
