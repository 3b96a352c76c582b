package host

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beanpole/beanpole/internal/version"
)

// clientFiles are the files of the bundle. Source: socket.io/lib/index.ts, dotMapRegex and CLIENT_FILES.
var clientFiles = [...]string{
	"socket.io.js", "socket.io.js.map",
	"socket.io.min.js", "socket.io.min.js.map",
	"socket.io.esm.min.js", "socket.io.esm.min.js.map",
	"socket.io.msgpack.min.js", "socket.io.msgpack.min.js.map",
}

// own are the files of socket.io-client of version.Client, as npm has them, compressed, and without the maps, which only a debugger
// asks for. make bundle renews them.
//
//go:embed client/*.gz
var own embed.FS

// bundle is a client bundle. Read only.
type bundle struct {
	etag  string
	files map[string]bundleFile
}

// bundleFile is one file, made when first asked for. gzip is nil for maps.
type bundleFile struct{ plain, gzip func() []byte }

// findBundle reads the bundle of an installed socket.io-client in dir, which holds the bundle or node_modules. Without dir it is the one
// that came with this package.
func findBundle(dir string) (*bundle, error) {
	if dir == "" {
		return ownBundle(), nil
	}
	for _, at := range []string{dir, filepath.Join(dir, "node_modules", "socket.io-client", "dist")} {
		if _, err := os.Stat(filepath.Join(at, "socket.io.min.js")); err == nil {
			return readBundle(at)
		}
	}
	return nil, &ValueError{"BEANPOLE_CLIENT_DIR", dir,
		"a folder that holds socket.io.min.js or node_modules/socket.io-client"}
}

func ownBundle() *bundle {
	b := &bundle{etag: `W/"` + version.Client + `"`, files: make(map[string]bundleFile)}
	for _, name := range clientFiles {
		if small, err := own.ReadFile("client/" + name + ".gz"); err == nil {
			b.files[name] = bundleFile{
				plain: sync.OnceValue(func() []byte { return decompressed(small) }),
				gzip:  func() []byte { return small },
			}
		}
	}
	return b
}

func readBundle(dist string) (*bundle, error) {
	b := &bundle{files: make(map[string]bundleFile)}
	for _, name := range clientFiles {
		plain, err := os.ReadFile(filepath.Join(dist, name))
		if os.IsNotExist(err) {
			continue // older versions have fewer
		}
		if err != nil {
			return nil, fmt.Errorf("client bundle: %w", err)
		}
		f := bundleFile{plain: func() []byte { return plain }}
		if !strings.HasSuffix(name, ".map") {
			f.gzip = sync.OnceValue(func() []byte { return compressed(plain) })
		}
		b.files[name] = f
	}
	b.etag = `W/"` + packageVersion(filepath.Dir(dist), b.files["socket.io.min.js"].plain()) + `"`
	return b, nil
}

func compressed(plain []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(plain) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// decompressed returns what compressed was given.
func decompressed(small []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(small))
	if err != nil {
		return nil // not of what is embedded, which a test reads
	}
	plain, _ := io.ReadAll(r)
	return plain
}

// packageVersion returns the version of the npm package in dir. Without a package.json, as when the
// files were copied, the length of the bundle has to do.
func packageVersion(dir string, min []byte) string {
	var p struct{ Version string }
	if raw, err := os.ReadFile(filepath.Join(dir, "package.json")); err == nil {
		if json.Unmarshal(raw, &p) == nil && p.Version != "" && !strings.ContainsAny(p.Version, "\"\r\n") {
			return p.Version
		}
	}
	return fmt.Sprintf("size-%d", len(min))
}

// serves reports whether r, for a file of that name, is for the bundle.
func (b *bundle) serves(r *http.Request, name string) bool {
	return slices.Contains(clientFiles[:], name) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// serve answers a request for a file of the bundle. The bundle is the same for everybody, so that pages of any
// origin may load it.
func (b *bundle) serve(w http.ResponseWriter, r *http.Request, name string) {
	head := w.Header()
	head.Set("Access-Control-Allow-Origin", "*")
	head.Set("Cross-Origin-Resource-Policy", "cross-origin")
	head.Set("Cache-Control", "public, max-age=0")
	f, ok := b.files[name]
	if !ok {
		http.Error(w, "This file is not part of the client bundle that the server has.", http.StatusNotFound)
		return
	}
	head.Set("ETag", b.etag)
	head.Set("Vary", "Accept-Encoding")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Type", "application/javascript; charset=utf-8")
	if strings.HasSuffix(name, ".map") {
		head.Set("Content-Type", "application/json; charset=utf-8")
	}
	content := f.plain
	if f.gzip != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		content = f.gzip
		head.Set("Content-Encoding", "gzip")
	}
	http.ServeContent(w, fewRanges(r), "", time.Time{}, bytes.NewReader(content()))
}

// acceptsGzip reports whether an Accept-Encoding header names gzip without refusing it.
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q = strings.Trim(strings.TrimPrefix(strings.TrimSpace(q), "q="), "0.")
			return !strings.Contains(coding, ";") || q != ""
		}
	}
	return false
}
