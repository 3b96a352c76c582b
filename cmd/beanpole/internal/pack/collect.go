package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
)

// collect returns the bundle without the program.
func collect(o Options) (*lint.Bundle, error) {
	b := &lint.Bundle{}
	c := collector{bundle: b, dir: o.Dir}
	for _, dir := range []string{".ebextensions", ".platform"} {
		if err := c.tree(o.Dir, dir, everything); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if o.Kind == Source {
		if err := c.tree(o.Dir, ".", source); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Include {
		if err := c.tree(o.Dir, filepath.ToSlash(filepath.Clean(name)), everything); err != nil {
			return nil, err
		}
	}
	for _, v := range o.Variants {
		if err := c.variant(v); err != nil {
			return nil, err
		}
	}
	return b, nil
}

type collector struct {
	bundle *lint.Bundle
	dir    string
}

func everything(string) bool { return true }

// source reports whether a file is needed to build and start the application on the instance.
func source(name string) bool {
	switch name {
	case "go.mod", "go.sum", "Procfile", "Buildfile", "Dockerfile", ".dockerignore":
		return true
	}
	top, _, nested := strings.Cut(name, "/")
	if strings.HasPrefix(top, ".") || strings.HasSuffix(name, "_test.go") {
		return false
	}
	switch top {
	case "bin", "build", "deploy", "docs", "test", "node_modules":
		return false
	}
	return nested || strings.HasSuffix(name, ".go")
}

// tree adds what keep takes of a folder or file below root.
func (c collector) tree(root, from string, keep func(string) bool) error {
	if !filepath.IsLocal(from) {
		return fmt.Errorf("pack: %q leads out of the folder", from)
	}
	return filepath.WalkDir(filepath.Join(root, from), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if d.IsDir() {
			if base := d.Name(); base == "node_modules" || base == "testdata" || base == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		if !keep(name) || d.Name() == ".DS_Store" {
			return nil
		}
		return c.file(file, name)
	})
}

// file adds one file in the form that Linux needs.
func (c collector) file(from, name string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	c.text(name, content)
	return nil
}

// text adds a file by its content.
func (c collector) text(name string, content []byte) {
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(name, ".platform/hooks/") || strings.HasPrefix(name, ".platform/confighooks/") || path.Dir(name) == "bin" {
		mode = 0o755
	}
	if textual(name) {
		content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
		content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	}
	c.bundle.Add(name, mode, content)
}

// textual reports whether Linux reads the file line by line.
func textual(name string) bool {
	switch name {
	case "Procfile", "Buildfile", "Dockerfile", ".dockerignore":
		return true
	}
	return strings.HasPrefix(name, ".ebextensions/") || strings.HasPrefix(name, ".platform/")
}

// variant lays the variant of that name over the bundle: the folder's own, or the one that this program carries.
func (c collector) variant(name string) error {
	layer, err := c.layer(name)
	if err != nil {
		return fmt.Errorf("variant %s: %w", name, err)
	}
	for name, text := range layer.Files {
		c.text(name, []byte(text))
	}
	for _, name := range layer.Remove {
		delete(c.bundle.Files, name)
	}
	return nil
}

func (c collector) layer(name string) (project.Layer, error) {
	if filepath.IsLocal(name) && !strings.ContainsAny(name, `/\`) && name != "." {
		root, err := os.OpenRoot(filepath.Join(c.dir, "deploy", name))
		if err == nil {
			defer root.Close()
			return project.ReadLayer(root.FS())
		}
	}
	return project.Variant(name)
}
