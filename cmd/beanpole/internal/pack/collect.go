package pack

import (
	"bytes"
	"context"
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

// collect returns the bundle without the program, and what it left out that should be known.
func collect(ctx context.Context, o Options) (*lint.Bundle, []lint.Finding, error) {
	b := &lint.Bundle{}
	c := collector{bundle: b, dir: o.Dir, ignored: ignoredFiles(ctx, o.Dir), findings: new([]lint.Finding)}
	for _, dir := range []string{".ebextensions", ".platform"} {
		if err := c.tree(o.Dir, dir, everything); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	if o.Kind == Source {
		if err := c.tree(o.Dir, ".", source); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range o.Include {
		if err := c.include(filepath.ToSlash(filepath.Clean(name))); err != nil {
			return nil, nil, err
		}
	}
	for _, v := range o.Variants {
		if err := c.variant(v); err != nil {
			return nil, nil, err
		}
	}
	return b, *c.findings, nil
}

type collector struct {
	bundle   *lint.Bundle
	dir      string
	ignored  map[string]bool // by git, of dir
	findings *[]lint.Finding
	named    string // what was asked for by name, or ""
}

// include adds what was asked for by name, be it ignored, as what was built is.
func (c collector) include(name string) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("pack: %q leads out of the folder", name)
	}
	if err := straight(c.dir, name); err != nil {
		return err
	}
	c.named, c.ignored = name, nil
	return c.tree(c.dir, name, everything)
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
		if base := d.Name(); d.IsDir() && (base == "node_modules" || base == "testdata") {
			return fs.SkipDir
		}
		if !d.IsDir() && !keep(name) {
			return nil
		}
		if ok, why := c.shipped(name, d, name == c.named); !ok {
			if c.leave(name, why); d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
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
	if holdsKey(name, content) {
		c.leave(name, left{"secret-file", "it has a private key", "a bundle lies in S3, and on every instance", "aws:elasticbeanstalk:application:environmentsecrets"})
		return nil
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
	if textual(name, content) {
		content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
		content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	}
	c.bundle.Add(name, mode, content)
}

// textual reports whether Linux reads the file line by line: what the platform reads, and every script.
func textual(name string, content []byte) bool {
	switch name {
	case "Procfile", "Buildfile", "Dockerfile", ".dockerignore":
		return true
	}
	return (strings.HasPrefix(name, ".ebextensions/") || strings.HasPrefix(name, ".platform/")) && !bytes.HasPrefix(content, []byte("\x7fELF")) ||
		bytes.HasPrefix(content, []byte("#!"))
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
