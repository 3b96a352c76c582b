package pack

import (
	"archive/zip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// moment is the time of all files in the zip, the first that zips can say.
var moment = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// write makes the zip beside its place and moves it there when it is whole.
func write(b *lint.Bundle, output string) (err error) {
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(output), ".application-*.zip")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	z := zip.NewWriter(f)
	for _, name := range b.Names() {
		if err := add(z, b.Files[name]); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := errors.Join(z.Close(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), output)
}

func add(z *zip.Writer, file *lint.File) error {
	h := &zip.FileHeader{Name: file.Name, Method: zip.Deflate, Modified: moment}
	h.SetMode(file.Mode)
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	r, err := file.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}
