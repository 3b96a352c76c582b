package look

import (
	"embed"
	"errors"
	"io/fs"
)

//go:embed web
var shared embed.FS

// Page returns the files of the folder web in own, and the shared files beside them. A file of own hides
// a shared one of the same name.
func Page(own fs.FS) (fs.FS, error) {
	first, err := fs.Sub(own, "web")
	if err != nil {
		return nil, err
	}
	second, err := fs.Sub(shared, "web")
	if err != nil {
		return nil, err
	}
	return page{first, second}, nil
}

// page looks for files in each of its file systems in turn.
type page []fs.FS

// Open opens the first file of that name.
func (p page) Open(name string) (fs.File, error) {
	for _, fsys := range p {
		f, err := fsys.Open(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
