package foreign

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// MaxText is how large a text may be that is read, in bytes.
const MaxText = 1 << 20

// MaxDepth is how many folders may lie in one another that are looked into.
const MaxDepth = 100

// What is not read of what is there.
var (
	ErrTooLarge = errors.New("it is too large to be read")
	ErrNoFile   = errors.New("it is a link or no regular file, which is not followed")
	ErrTooDeep  = fmt.Errorf("more than %d folders lie in one another", MaxDepth)
)

// Open opens a file below root. No link is followed, be it one of a folder on the way, and nothing but a regular file is
// opened: a pipe waits for somebody who writes, and a device has no end.
func Open(root *os.Root, name string) (*os.File, error) {
	bad := func(err error) error { return &fs.PathError{Op: "open", Path: name, Err: err} }
	at, rest := root, filepath.ToSlash(filepath.Clean(name))
	for {
		first, more, nested := strings.Cut(rest, "/")
		info, err := at.Lstat(first)
		var next *os.Root
		var f *os.File
		switch {
		case err != nil:
		case nested && info.IsDir():
			next, err = at.OpenRoot(first)
		case !nested && info.Mode().IsRegular():
			f, err = at.Open(first)
		default:
			err = ErrNoFile
		}
		if at != root {
			err = errors.Join(err, at.Close())
		}
		if err != nil {
			return nil, bad(err)
		}
		if f != nil {
			return f, nil
		}
		at, rest = next, more
	}
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

// Walk calls do for from, a file or folder below root, and everything in it, as [fs.WalkDir] does, in time that goes with how much
// there is, and not with how deep it lies or how long a name that makes: each folder is opened from the one that it is in. do is told
// of a folder that lies too deep by ErrTooDeep.
func Walk(root *os.Root, from string, do fs.WalkDirFunc) error {
	info, err := root.Lstat(filepath.FromSlash(from))
	if err != nil {
		return do(from, nil, err)
	}
	top := fs.FileInfoToDirEntry(info)
	if err = do(from, top, nil); err == nil && top.IsDir() {
		err = walkIn(root, from, top, do)
	}
	if errors.Is(err, fs.SkipDir) || errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

// walkIn is Walk for what is in a folder.
func walkIn(root *os.Root, from string, top fs.DirEntry, do fs.WalkDirFunc) error {
	at, err := root.OpenRoot(filepath.FromSlash(from))
	if err != nil {
		return do(from, top, err)
	}
	return errors.Join(inside(at, from, top, 0, do), at.Close())
}

// inside is Walk for what is in the folder at, which is name and has been told of.
func inside(at *os.Root, name string, d fs.DirEntry, depth int, do fs.WalkDirFunc) error {
	list, err := entries(at)
	if err != nil {
		return do(name, d, err)
	}
	for _, e := range list {
		e = entry{e, at}
		below := path.Join(name, e.Name())
		err := do(below, e, nil)
		if e.IsDir() {
			if err == nil {
				err = enter(at, below, e, depth, do)
			}
			if errors.Is(err, fs.SkipDir) {
				continue // with the next
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enter goes into a folder of the folder at.
func enter(at *os.Root, name string, d fs.DirEntry, depth int, do fs.WalkDirFunc) error {
	if depth == MaxDepth {
		return do(name, d, ErrTooDeep)
	}
	next, err := at.OpenRoot(d.Name())
	if err != nil {
		return do(name, d, err)
	}
	return errors.Join(inside(next, name, d, depth+1, do), next.Close())
}

// entries returns what is in a folder, by name.
func entries(at *os.Root) ([]fs.DirEntry, error) {
	f, err := at.Open(".")
	if err != nil {
		return nil, err
	}
	list, err := f.ReadDir(-1)
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, errors.Join(err, f.Close())
}

// entry is one of a folder, which knows the folder that it is in, while that is looked at.
type entry struct {
	fs.DirEntry
	at *os.Root
}

// Info returns what Lstat says.
func (e entry) Info() (fs.FileInfo, error) { return e.at.Lstat(e.Name()) }

// Inside reports whether a name, with slashes, stays below the folder that it is said of.
func Inside(name string) bool {
	return filepath.IsLocal(filepath.FromSlash(name)) && !strings.Contains(name, "\\")
}
