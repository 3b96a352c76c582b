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
	"slices"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
)

// collect returns the bundle without the programs, and what it left out that should be known.
func collect(ctx context.Context, o Options) (*lint.Bundle, []lint.Finding, error) {
	b := &lint.Bundle{}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	c := collector{bundle: b, dir: o.Dir, root: root, findings: new([]lint.Finding)}
	unknown := func(err error) {
		if err != nil {
			*c.findings = append(*c.findings, lint.Finding{Check: "not-read", Severity: lint.Error, What: "it is not known what is ignored: " + err.Error(),
				Why: "it would be shipped, to a bucket and to every instance", Fix: "mend what is said: `git ls-files` has to work here, and .ebignore to be a file"})
		}
	}
	ignored, err := ignoresOf(ctx, o.Dir)
	c.ignored = ignored
	unknown(err)
	if rel, err := filepath.Rel(o.Dir, o.Output); err == nil {
		c.output = filepath.ToSlash(rel)
	}
	for _, dir := range []string{".ebextensions", ".platform"} {
		if err := c.tree(dir, everything); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	keep := c.source
	if o.Kind != Source {
		embedded, err := embeddedFiles(o.Dir)
		if err != nil {
			return nil, nil, err
		}
		keep = func(name string) bool { return ofData(name) && !embedded[name] }
	}
	if err := c.tree(".", keep); err != nil {
		return nil, nil, err
	}
	if err := c.processes(o.Platform); err != nil {
		return nil, nil, err
	}
	for _, name := range o.Include {
		if err := c.include(filepath.ToSlash(filepath.Clean(name))); err != nil {
			return nil, nil, err
		}
	}
	if err := c.variants(o); err != nil {
		return nil, nil, err
	}
	unknown(ignored.eb.Err())
	return b, *c.findings, nil
}

type collector struct {
	bundle   *lint.Bundle
	dir      string
	root     *os.Root // dir
	ignored  *ignores // of dir
	findings *[]lint.Finding
	named    string // what was asked for by name, or ""
	output   string // the zip, which is not part of itself
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
	return c.tree(name, everything)
}

func everything(string) bool { return true }

// source reports whether a file is needed to build and start the application on the instance.
func (c collector) source(name string) bool {
	switch name {
	case "go.mod", "go.sum", "Procfile", "Buildfile", "Dockerfile", ".dockerignore":
		return true
	case "go.work", "go.work.sum":
		return workspaceInside(c.dir)
	}
	if strings.HasSuffix(name, "_test.go") {
		return false
	}
	return inFolder(name) || !strings.Contains(name, "/") && strings.HasSuffix(name, ".go")
}

// tree adds what keep takes of a folder or file.
func (c collector) tree(from string, keep func(string) bool) error {
	if !filepath.IsLocal(from) {
		return fmt.Errorf("pack: %q leads out of the folder", from)
	}
	return foreign.Walk(c.root, from, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, foreign.ErrTooDeep) {
			if said := func(f lint.Finding) bool { return f.Check == "not-read" }; !slices.ContainsFunc(*c.findings, said) { // one of all
				c.leave(name+"/", left{"not-read", err.Error(), "what is in there is not in the bundle", "put it less deep, or where it is not shipped: a hidden folder, or one that .gitignore names"})
			}
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() && passed(name) && (c.named == "" || ofOthers(name)) {
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
		if d.IsDir() || name == c.output {
			return nil
		}
		return c.file(name)
	})
}

// maxFile is the size up to which a file is read, in bytes: Elastic Beanstalk takes no more of all together.
const maxFile = 512 << 20

// file adds one file in the form that Linux needs.
func (c collector) file(name string) error {
	content, err := foreign.Read(c.root, name, maxFile)
	if err != nil {
		return err
	}
	info, err := c.root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	if what := secretIn(name, content); what != "" {
		c.leave(name, left{"secret-file", "it " + what, inBucket, environmentSecrets})
		return nil
	}
	if bytes.HasPrefix(content, []byte(database)) && name != c.named {
		c.leave(name, left{"secret-file", "it is a database (SQLite)", inBucket, "keep it on a volume or a server; one that the program only reads, and holds nothing secret: --include " + name})
		return nil
	}
	c.text(name, info.Mode(), content)
	return nil
}

// text adds a file by its content. It is executable if it is so here, or has to be there.
func (c collector) text(name string, here fs.FileMode, content []byte) {
	mode := fs.FileMode(0o644)
	if here&0o111 != 0 && !ofPlatform(name) || strings.HasPrefix(name, ".platform/hooks/") || strings.HasPrefix(name, ".platform/confighooks/") || path.Dir(name) == "bin" {
		mode = 0o755
	}
	if textual(name, content) {
		content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
		content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	}
	c.bundle.Add(name, mode, content)
}

// ofPlatform reports whether the platform reads the file.
func ofPlatform(name string) bool {
	switch name {
	case "Procfile", "Buildfile", "Dockerfile", ".dockerignore":
		return true
	}
	return strings.HasPrefix(name, ".ebextensions/") || strings.HasPrefix(name, ".platform/")
}

// textual reports whether Linux reads the file line by line: what the platform reads, and every script.
func textual(name string, content []byte) bool {
	return ofPlatform(name) && !bytes.HasPrefix(content, []byte("\x7fELF")) || bytes.HasPrefix(content, []byte("#!"))
}

// variants lays the variants over the bundle: the folder's own, or those that this program carries.
func (c collector) variants(o Options) error {
	layers, err := project.Layers(slices.Concat(o.laid, o.Variants), c.layer)
	if err != nil {
		return err
	}
	for _, l := range layers[len(o.laid):] { // what was laid is the project's own by now
		for name, text := range l.Files {
			c.text(name, 0, []byte(text))
		}
		for _, name := range l.Remove {
			delete(c.bundle.Files, name)
		}
	}
	return nil
}

func (c collector) layer(name string) (project.Layer, error) {
	if filepath.IsLocal(name) && !strings.ContainsAny(name, `/\`) && name != "." {
		err := straight(c.dir, "deploy/"+name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return project.Layer{}, err
		}
		root, err := os.OpenRoot(filepath.Join(c.dir, "deploy", name))
		if err == nil {
			defer root.Close()
			return project.ReadLayer(foreign.FS(root))
		}
	}
	return project.Variant(name)
}
