package pack

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
)

// moment is the time of all files in the zip, the first that zips can say.
var moment = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// writable returns an error if a file is there that is no zip: it is not this program's to overwrite.
func writable(output string) error {
	f, err := os.Open(output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if n == 0 && errors.Is(err, io.EOF) || string(head[:n]) == "PK\x03\x04" {
		return nil
	}
	return &project.UsageError{Name: "output", Value: output, Allowed: "a zip or a new file: what is there is something else, and was left alone"}
}

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
