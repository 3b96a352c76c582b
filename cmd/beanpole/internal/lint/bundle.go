package lint

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"sort"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// maxFiles is how many files a zip may have that is read.
const maxFiles = 100_000

// File is one file of a bundle.
type File struct {
	Name string      // slash-separated, relative to the top of the bundle
	Mode fs.FileMode // permissions, and ModeSymlink
	Size int64       // bytes
	open func() (io.ReadCloser, error)

	planned bool // there when the bundle is packed: its name is known, and no more
}

// Open returns the content. Links and what is no regular file have none.
func (f *File) Open() (io.ReadCloser, error) {
	if !f.Mode.IsRegular() {
		return nil, foreign.ErrNoFile
	}
	return f.open()
}

// read returns the content of a file of up to foreign.MaxText.
func (f *File) read() ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return foreign.ReadAll(r, foreign.MaxText)
}

// head returns the first n bytes.
func (f *File) head(n int) []byte {
	r, err := f.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	b := make([]byte, n)
	n, _ = io.ReadFull(r, b)
	return b[:n]
}

// Bundle is what is shipped, as a set of files. The zero value is empty.
type Bundle struct {
	// Files by name.
	Files map[string]*File
	// Zip says that the files come from a zip, whose modes are those that arrive.
	Zip bool
	// Commit says that the files are those of Git's last commit, which is what is shipped.
	Commit bool
	// Size is the size of the zip in bytes, or of all files together.
	Size int64

	closer  io.Closer
	eb      ebConfig // of a folder
	module  []byte   // go.mod of a folder that is packed
	changed []string // files that differ from those of the commit that is shipped
	absent  string   // what is deployed and is not there
	deep    []string // folders that lie too deep to be looked into
	unread  error    // why the last commit was not read, which is what is shipped
	reading reading
}

// Close ends access to the content of the files.
func (b *Bundle) Close() error {
	if b.closer == nil {
		return nil
	}
	return b.closer.Close()
}

// Add puts a file into the bundle, in place of one of the same name.
func (b *Bundle) Add(name string, mode fs.FileMode, content []byte) {
	if b.Files == nil {
		b.Files = make(map[string]*File)
	}
	b.Files[name] = &File{Name: name, Mode: mode, Size: int64(len(content)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
	b.Size += int64(len(content))
	b.reading = reading{}
}

// Plan puts an executable file into the bundle that is made when it is packed.
func (b *Bundle) Plan(name string) {
	b.Add(name, 0o755, nil)
	b.Files[name].planned = true
}

// Names returns the names of the files in order.
func (b *Bundle) Names() []string {
	names := make([]string, 0, len(b.Files))
	for name := range b.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// has reports whether there is a file of that name.
func (b *Bundle) has(name string) bool { return b.Files[name] != nil }

// OpenDir reads the folder dir as `eb deploy` would ship it. With an artifact in .elasticbeanstalk/config.yml that is what
// is shipped, as it is. With .ebignore it is what that does not name. Without, in a Git repository, it is what `git
// archive` has: the last commit, whatever the folder holds. Else it is the folder without what .gitignore names.
// Source: EB CLI, commonops.py, fileoperations.py and sourcecontrol.py.
func OpenDir(dir string) (*Bundle, error) {
	if artifact := Artifact(dir); artifact != "" {
		return openArtifact(dir, artifact)
	}
	b, unread := openCommit(dir)
	if b != nil {
		return b, nil
	}
	skip, err := readIgnore(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if b, err = openDir(dir, skip); err == nil {
		b.unread = unread
	}
	return b, err
}

// openArtifact opens the zip that is deployed in the place of the folder.
func openArtifact(dir, artifact string) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	defer root.Close()
	if !foreign.Inside(artifact) {
		return nil, fmt.Errorf("bundle: the artifact %s is outside of the folder: say its name to lint", artifact)
	}
	f, err := foreign.Open(root, artifact)
	if errors.Is(err, fs.ErrNotExist) {
		return &Bundle{absent: artifact}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	b, err := openZip(f)
	if err == nil {
		b.eb = readEB(dir)
	}
	return b, err
}

func openDir(dir string, skip *Ignore) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	b := &Bundle{Files: make(map[string]*File), closer: root, eb: readEB(dir)}
	err = foreign.Walk(root, ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, foreign.ErrTooDeep) {
			b.deep = append(b.deep, name)
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skip.leavesOut(name) {
				return fs.SkipDir
			}
			return nil
		}
		if skip.Match(name) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b.Files[name] = &File{Name: name, Mode: info.Mode(), Size: info.Size(), open: func() (io.ReadCloser, error) {
			return foreign.Open(root, name)
		}}
		b.Size += info.Size()
		return nil
	})
	if err == nil {
		err = skip.Err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bundle: %w", err), root.Close())
	}
	return b, nil
}

// OpenZip reads the zip at name.
func OpenZip(name string) (*Bundle, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = foreign.ErrNoFile
	}
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", name, err)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return openZip(f)
}

// openZip reads a zip, which is the bundle's then.
func openZip(f *os.File) (b *Bundle, err error) {
	defer func() {
		if err != nil {
			b, err = nil, errors.Join(fmt.Errorf("bundle %s: %w", f.Name(), err), f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, err
	}
	if len(z.File) > maxFiles {
		return nil, fmt.Errorf("it has more than %d files", maxFiles)
	}
	b = &Bundle{Files: make(map[string]*File), Zip: true, closer: f, Size: info.Size()}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		// Names stay as they are in the zip, backslashes too: they are what is wrong with some.
		b.Files[strings.TrimPrefix(f.Name, "./")] = &File{
			Name: f.Name, Mode: f.Mode(), Size: int64(min(f.UncompressedSize64, math.MaxInt64)), open: f.Open,
		}
	}
	return b, nil
}

// Open reads the folder or zip at name.
func Open(name string) (*Bundle, error) {
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		return OpenZip(name)
	}
	return OpenDir(name)
}

// top returns the one folder that everything lies in, or "". What macOS adds to a zip does not count.
func (b *Bundle) top() string {
	var top string
	for name := range b.Files {
		first, _, nested := strings.Cut(name, "/")
		if first == "__MACOSX" || path.Base(name) == ".DS_Store" {
			continue
		}
		if !nested || (top != "" && top != first) {
			return ""
		}
		top = first
	}
	return top
}

// clean reports whether name stays inside the bundle.
func clean(name string) bool {
	return fs.ValidPath(name) && path.Clean(name) == name && !strings.Contains(name, "\\")
}
