package host

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// serveFile is the route of everything that has no other.
func (h *Host) serveFile(c *gin.Context) {
	defer h.sayWhereSocketIOIs(c)
	if h.files == nil {
		http.NotFound(c.Writer, c.Request)
		return
	}
	c.Status(http.StatusOK) // for gin it is 404 until something else is said
	h.files.ServeHTTP(c.Writer, c.Request)
}

// sayWhereSocketIOIs says, once a minute at most, that a client of Socket.IO has asked where nothing is.
func (h *Host) sayWhereSocketIOIs(c *gin.Context) {
	if c.Writer.Status() != http.StatusNotFound {
		return
	}
	q := c.Request.URL.Query()
	if !q.Has("EIO") || !q.Has("transport") || !h.notice.News("no Socket.IO there", time.Now()) {
		return
	}
	asks := c.Request.URL.Path
	h.log.Warn("a client of Socket.IO asks at a path that has nothing: set its option path to that of this server, or BEANPOLE_PATH to the "+
		"client's; BEANPOLE_NO_TRAILING_SLASH is for clients that leave the slash out", "asks", asks[:min(len(asks), 100)], "path", h.cfg.Path)
}

// fileServer serves fsys without listing folders and without hidden files. Browsers are told to ask
// again each time, as the names of the files do not change when their content does; but for those of the folder immutable,
// if there is one.
func fileServer(fsys fs.FS, singlePage bool, immutable string, small *compressor) http.Handler {
	files := http.FileServerFS(visible{fsys})
	var tags contentTags
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if singlePage && isPage(r) && !there(fsys, r.URL.Path) {
			r = r.Clone(r.Context())
			r.URL.Path = "/"
		}
		name := fileName(r)
		if under := path.Join(immutable, "*"); immutable != "" && strings.HasPrefix(name, under[:len(under)-1]) && path.Ext(name) != "" && path.Base(name) != "index.html" {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // what answers with an error takes it back
		}
		info, err := fs.Stat(visible{fsys}, name)
		if err != nil {
			info = nil
		}
		if tag := tags.tag(visible{fsys}, name, info); tag != "" {
			w.Header().Set("Etag", tag)
		}
		if !small.serve(w, r, visible{fsys}, name, info) {
			files.ServeHTTP(w, fewRanges(r))
		}
	})
}

// fileName is the name of the file that r asks for.
func fileName(r *http.Request) string {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if strings.HasSuffix(r.URL.Path, "/") {
		name = path.Join(name, "index.html")
	}
	return name
}

// contentTags are the ETags of files that have no time, as those of an embed.FS, by which else nobody could ask whether they
// have changed. The zero value is ready.
type contentTags struct {
	making sync.Mutex // by one, as for a compressed file

	mu sync.Mutex            // may be locked under making
	of map[string]contentTag // guarded by mu; by name
}

// contentTag is that of a file as long as it is the same, as with what is kept compressed.
type contentTag struct {
	state fileState
	tag   string
}

// maxContentTags is how many are kept.
const maxContentTags = 10_000

// tag returns the ETag of a file without a time, "" for any other. It is a weak one, of the compressed form too. RFC 9110
// section 8.8.3.
func (c *contentTags) tag(fsys fs.FS, name string, info fs.FileInfo) string {
	if info == nil || info.IsDir() || !info.ModTime().IsZero() || info.Size() > mostCompressed {
		return ""
	}
	state := stateOf(info)
	if tag, ok := c.get(name, state); ok {
		return tag
	}
	c.making.Lock()
	defer c.making.Unlock()
	if tag, ok := c.get(name, state); ok {
		return tag
	}
	file, err := fsys.Open(name)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return ""
	}
	made := contentTag{state, fmt.Sprintf(`W/"%x"`, sum.Sum(nil)[:16])}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= maxContentTags {
		c.of = make(map[string]contentTag)
	}
	c.of[name] = made
	return made.tag
}

func (c *contentTags) get(name string, now fileState) (tag string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.of[name]
	return kept.tag, ok && kept.state == now
}

// isPage reports whether a browser asks for a page, by a name that is no file's.
func isPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.Contains(path.Base(r.URL.Path), ".")
}

// there reports whether a path has a file.
func there(fsys fs.FS, name string) bool {
	f, err := visible{fsys}.Open(cmp.Or(strings.Trim(path.Clean("/"+name), "/"), "."))
	return err == nil && f.Close() == nil
}

// maxRanges is how many parts of a file a request may ask for. Each is sent with a head of its own, so that many small
// ones are many times what is asked for.
const maxRanges = 8

// fewRanges returns r, or what asks for the whole instead of for too many ranges. RFC 9110 section 14.2.
func fewRanges(r *http.Request) *http.Request {
	if strings.Count(r.Header.Get("Range"), ",") < maxRanges {
		return r
	}
	whole := *r
	whole.Header = r.Header.Clone()
	whole.Header.Del("Range")
	return &whole
}

// visible is a file system of which only files, and folders with an index.html, can be opened, and nothing
// hidden or outside it by a link. What is neither is not even tried: the opening of a named pipe has no end.
type visible struct{ fs.FS }

// Open opens the file of that name.
func (v visible) Open(name string) (fs.File, error) {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > 1 && part[0] == '.' {
			return nil, notThere(name)
		}
	}
	if strings.Contains(name, "\x00") || leadsAway(v.FS, name) {
		return nil, notThere(name)
	}
	info, err := fs.Stat(v.FS, name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, notThere(name)
	}
	f, err := v.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		var index fs.File
		if index, err = v.Open(path.Join(name, "index.html")); err == nil {
			err = index.Close()
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func notThere(name string) error { return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist} }

// maxLinks is how many links a name may lead over.
const maxLinks = 40

// leadsAway reports whether a name of a file system with links leads out of it, as os.DirFS lets it do, or to
// something hidden. A link with an absolute target does, wherever that is, as with os.Root. Names that start with two
// dots are not hidden to a link: Kubernetes has the files of a volume in such a folder, and links to them.
func leadsAway(fsys fs.FS, name string) bool {
	links, ok := fsys.(fs.ReadLinkFS)
	if !ok {
		return false
	}
	at, rest := ".", strings.Split(name, "/") // at is no link, nor is any folder it is in
	for followed := 0; len(rest) > 0; {
		part := rest[0]
		next := path.Join(at, part)
		rest = rest[1:]
		if !fs.ValidPath(next) || len(part) > 1 && part[0] == '.' && part[1] != '.' {
			return true
		}
		info, err := links.Lstat(next)
		if err != nil {
			return false // Open says what is wrong with it
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		target, err := links.ReadLink(next)
		if followed++; err != nil || followed > maxLinks || path.IsAbs(filepath.ToSlash(target)) {
			return true
		}
		rest = append(strings.Split(filepath.ToSlash(target), "/"), rest...)
	}
	return false
}
