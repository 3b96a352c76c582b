package project

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// maxFile is the size up to which a file of a project is read, in bytes: the record has all others in it.
const maxFile = 64 << 20

// folder is the project's. Nothing leads out of it, not by links either.
type folder struct{ root *os.Root }

// openFolder opens the folder, and makes it if create says so.
func openFolder(dir string, create bool) (*folder, error) {
	if create {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folder{root}, nil
}

func (f *folder) close() { _ = f.root.Close() }

// read returns a text. Version control on Windows may have given its lines another end.
func (f *folder) read(name string) (string, error) {
	text, err := foreign.Read(f.root, name, maxFile)
	return strings.ReplaceAll(string(text), "\r\n", "\n"), err
}

// text is read for a file that need not be there.
func (f *folder) text(name string) (text string, there bool, err error) {
	text, err = f.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	return text, err == nil, err
}

// write puts a file in its place when it is whole.
func (f *folder) write(name, text string, mode fs.FileMode) error {
	if dir := path.Dir(name); dir != "." {
		if err := f.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	part := name + ".part"
	if err := f.root.WriteFile(part, []byte(text), mode); err != nil {
		return err
	}
	// WriteFile leaves the mode of a file that is there, and the umask counts.
	if err := errors.Join(f.root.Chmod(part, mode), f.root.Rename(part, name)); err != nil {
		return errors.Join(err, f.root.Remove(part))
	}
	return nil
}

func (f *folder) remove(name string) error { return f.root.Remove(name) }

// branch returns the branch of a repository whose top this folder is, or "default", as the EB CLI calls the
// one of a folder without version control.
func (f *folder) branch() string {
	head, err := foreign.Read(f.root, ".git/HEAD", foreign.MaxText)
	if name, ok := strings.CutPrefix(strings.TrimSpace(string(head)), "ref: refs/heads/"); err == nil && ok {
		return name
	}
	return "default"
}
