package host

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A file is compressed once and kept, one at a time: a compressor for each answer on its way would be 0.7 MB for each client
// that asks and does not read.
const (
	leastCompressed = 1 << 10  // smaller files fit a packet of the network as they are
	mostCompressed  = 8 << 20  // larger ones are sent as they are
	keptCompressed  = 32 << 20 // in all
	costOfEntry     = 256      // beside its name and content
	forgetAfter     = time.Hour
)

// compressor keeps compressed files. The zero value keeps none yet.
type compressor struct {
	short func() bool   // whether there is no memory to begin another
	turn  chan struct{} // of one: held while a file is compressed

	mu    sync.Mutex
	files map[string]compressedFile // by name
	room  int                       // bytes that may still be kept
	full  bool                      // whether something had no room
	began time.Time                 // when files was empty
}

// compressedFile is what is kept of a file as it was at some time.
type compressedFile struct {
	state    fileState
	modified time.Time
	mime     string
	gzip     []byte // nil for one that does not become smaller, or is not to be compressed
}

func newCompressor(short func() bool) *compressor {
	return &compressor{short: short, turn: make(chan struct{}, 1), files: make(map[string]compressedFile), room: keptCompressed, began: time.Now()}
}

// serve answers r with the compressed form of a file of fsys and reports whether it did: not for who asks for a part of
// it, or on a condition that is not of caches. info is of the file with that name, nil if there is none.
func (c *compressor) serve(w http.ResponseWriter, r *http.Request, fsys fs.FS, name string, info fs.FileInfo) bool {
	if !strings.HasSuffix(r.URL.Path, "/") && path.Base(name) == "index.html" {
		return false // is redirected to its folder
	}
	if !compressible(cmp.Or(mime.TypeByExtension(path.Ext(name)), "text/")) {
		return false
	}
	w.Header().Add("Vary", "Accept-Encoding")
	for _, part := range []string{"Range", "If-Match", "If-Unmodified-Since"} {
		if r.Header.Get(part) != "" {
			return false
		}
	}
	if !acceptsGzip(strings.Join(r.Header.Values("Accept-Encoding"), ",")) {
		return false
	}
	f := c.of(r.Context(), fsys, name, info)
	if f.gzip == nil {
		return false
	}
	head := w.Header()
	head.Set("Content-Encoding", "gzip")
	head.Set("Content-Type", f.mime)
	head.Set("Content-Length", strconv.Itoa(len(f.gzip)))
	http.ServeContent(w, r, name, f.modified, bytes.NewReader(f.gzip))
	return true
}

// of returns what there is of a file. It waits while others are compressed, as long as its client does.
func (c *compressor) of(ctx context.Context, fsys fs.FS, name string, info fs.FileInfo) (kept compressedFile) {
	if !worthwhile(info) {
		return compressedFile{}
	}
	if kept, ok := c.get(name, info); ok {
		return kept
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return compressedFile{}
	}
	file, err := fsys.Open(name)
	if err != nil {
		return compressedFile{}
	}
	defer func() { _ = file.Close() }()
	if info, err = file.Stat(); err != nil || !worthwhile(info) { // it may be another by now
		return compressedFile{}
	}
	if kept, ok := c.get(name, info); ok {
		return kept
	}
	if c.short() || !c.begin(name) {
		return compressedFile{}
	}
	kept = compressedFile{state: stateOf(info), modified: info.ModTime(), mime: mime.TypeByExtension(path.Ext(name))}
	if kept.gzip, kept.mime, err = compressFile(file, info.Size(), kept.mime); err != nil {
		return compressedFile{} // it is being written, or cannot be read, of which the plain answer tells
	}
	return c.put(name, kept)
}

// worthwhile reports whether there is a file that is neither too small nor too large to be compressed.
func worthwhile(info fs.FileInfo) bool {
	return info != nil && !info.IsDir() && info.Size() >= leastCompressed && info.Size() <= mostCompressed
}

// compressFile returns the compressed form of a file of that size, or nil if there is no use in one.
func compressFile(file io.Reader, size int64, kind string) (content []byte, mime string, err error) {
	start := make([]byte, 512) // as net/http looks at
	n, err := io.ReadFull(file, start)
	if err != nil {
		return nil, "", err
	}
	if kind == "" {
		kind = http.DetectContentType(start[:n])
	}
	if !compressible(kind) {
		return nil, kind, nil
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	read, err := io.Copy(w, io.MultiReader(bytes.NewReader(start[:n]), io.LimitReader(file, size)))
	if err = cmp.Or(err, w.Close()); err != nil {
		return nil, "", err
	}
	if read != size {
		return nil, "", io.ErrUnexpectedEOF
	}
	if int64(out.Len()) > size-size/10 {
		return nil, kind, nil
	}
	return bytes.Clone(out.Bytes()), kind, nil // what is kept has no room to grow
}

// get returns what is kept of a file, if that is as it is now.
func (c *compressor) get(name string, now fs.FileInfo) (compressedFile, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.files[name]
	return kept, ok && kept.state == stateOf(now)
}

// begin reports whether there is room for at least the name of another file. A compressor that has been full forgets
// everything after some time: its files may have gone.
func (c *compressor) begin(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = c.full || c.room < costOfEntry+len(name)
	if c.full && time.Since(c.began) > forgetAfter {
		clear(c.files)
		c.room, c.full, c.began = keptCompressed, false, time.Now()
	}
	return c.room >= costOfEntry+len(name)
}

// put keeps what has been made of a file; of one that there is no room for, that it is not compressed.
func (c *compressor) put(name string, f compressedFile) compressedFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.files[name]; ok {
		c.room += costOfEntry + len(name) + len(old.gzip)
	}
	made := f
	if c.room -= costOfEntry + len(name); c.room < len(f.gzip) {
		f.gzip, c.full = nil, true
	}
	c.room -= len(f.gzip)
	c.files[name] = f
	return made
}

// compressible reports whether files of that type are larger than they need to be. What is not named is compressed
// already, as pictures, sounds, archives and web fonts are, or unknown.
func compressible(mime string) bool {
	mime, _, _ = strings.Cut(strings.ToLower(mime), ";")
	kind := strings.TrimSpace(mime)
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") || slices.Contains([]string{
		"application/javascript", "application/json", "application/xml", "application/wasm", "application/x-javascript",
		"application/vnd.ms-fontobject", "font/ttf", "font/otf", "font/sfnt", "font/collection", "application/x-font-ttf", "image/bmp",
	}, kind)
}
