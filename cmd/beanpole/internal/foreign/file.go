package foreign

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxText is how large a text may be that is read, in bytes.
const MaxText = 1 << 20

// What is not read of what is there.
var (
	ErrTooLarge = errors.New("it is too large to be read")
	ErrNoFile   = errors.New("it is a link or no regular file, which is not followed")
)

// Open opens a file below root. No link is followed, be it one of a folder on the way, and nothing but a regular file is
// opened: a pipe waits for somebody who writes, and a device has no end.
func Open(root *os.Root, name string) (*os.File, error) {
	name = filepath.ToSlash(filepath.Clean(name))
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		info, err := root.Lstat(filepath.FromSlash(name[:i]))
		if err != nil {
			return nil, err
		}
		if i < len(name) && !info.IsDir() || i == len(name) && !info.Mode().IsRegular() {
			return nil, &fs.PathError{Op: "open", Path: name, Err: ErrNoFile}
		}
	}
	return root.Open(filepath.FromSlash(name))
}

// Read returns what is in a file below root, as Open opens it. With more than most bytes the error is ErrTooLarge.
func Read(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := Open(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := ReadAll(f, most)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

// ReadAll reads all that r has, or with more than most bytes returns ErrTooLarge.
func ReadAll(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, ErrTooLarge
	}
	return b, err
}

// ReadFile is Read below a folder, to which a link may lead. A name that leads out of the folder is an error.
func ReadFile(dir, name string, most int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return Read(root, name, most)
}

// IsFile reports whether ReadFile would find something to read.
func IsFile(dir, name string) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	f, err := Open(root, name)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// FS is what is below root, for package io/fs: folders, and of files those that Open opens.
func FS(root *os.Root) fs.FS { return below{root} }

type below struct{ root *os.Root }

// Open opens a folder or a regular file. No link is followed.
func (b below) Open(name string) (fs.File, error) {
	if info, err := b.root.Lstat(filepath.FromSlash(name)); err == nil && info.IsDir() {
		return b.root.Open(filepath.FromSlash(name))
	}
	f, err := Open(b.root, name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f, nil
}

// Inside reports whether a name, with slashes, stays below the folder that it is said of.
func Inside(name string) bool {
	return filepath.IsLocal(filepath.FromSlash(name)) && !strings.Contains(name, "\\")
}
