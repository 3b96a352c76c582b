package pack

import (
	"errors"
	"fmt"
	"go/build"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// What the packages of a folder are is read here, without the go command, which would ask networks, other folders and a
// workspace, and which nobody who only looks at a folder wants to have run there.

// maxSource bounds a file of Go.
const maxSource = 16 << 20

// packages calls do for each folder with a package for the instances, by its name below dir: "." or "cmd/server".
func packages(dir string, do func(name string, p *build.Package)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	c := build.Default
	c.GOOS = "linux"
	c.IsDir = func(name string) bool {
		info, err := root.Lstat(filepath.FromSlash(name))
		return err == nil && info.IsDir()
	}
	c.JoinPath = path.Join
	c.ReadDir = func(name string) (list []fs.FileInfo, err error) {
		entries, err := fs.ReadDir(foreign.FS(root), name)
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.Size() <= maxSource {
				list = append(list, info)
			}
		}
		return list, err
	}
	c.OpenFile = func(name string) (io.ReadCloser, error) { return foreign.Open(root, name) }
	return foreign.Walk(root, ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, foreign.ErrTooDeep) {
			return nil // what is there is no package of a program
		}
		if err != nil || !d.IsDir() {
			return err
		}
		if base := d.Name(); name != "." && (base == "testdata" || base == "vendor" || base == "node_modules" || base[0] == '.' || base[0] == '_' ||
			isFile(root, path.Join(name, "go.mod"))) {
			return fs.SkipDir
		}
		if p, err := c.ImportDir(name, 0); p != nil && (err == nil || len(p.EmbedPatterns) > 0) {
			do(name, p)
		}
		return nil
	})
}

// isFile reports whether there is a regular file below root.
func isFile(root *os.Root, name string) bool {
	info, err := root.Lstat(filepath.FromSlash(name))
	return err == nil && info.Mode().IsRegular()
}

// embeddedFiles returns the names of what is embedded in programs of the module.
func embeddedFiles(dir string) (map[string]bool, error) {
	all := map[string]bool{}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	err = packages(dir, func(name string, p *build.Package) {
		inside, err := fs.Sub(foreign.FS(root), name)
		if err != nil {
			return
		}
		for _, pattern := range p.EmbedPatterns {
			pattern, hidden := strings.CutPrefix(pattern, "all:")
			found, _ := fs.Glob(inside, pattern) // of one that is none the build says so
			for _, at := range found {
				embed(all, root, path.Join(name, at), hidden)
			}
		}
	})
	return all, err
}

// embed adds a file, or what there is in a folder. What cannot be read the build cannot either.
func embed(all map[string]bool, root *os.Root, at string, hidden bool) {
	info, err := root.Lstat(filepath.FromSlash(at))
	switch {
	case err != nil:
	case info.Mode().IsRegular():
		all[at] = true
	case info.IsDir():
		in, err := root.OpenRoot(filepath.FromSlash(at))
		if err != nil {
			return
		}
		defer in.Close()
		_ = foreign.Walk(in, ".", func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
			case name != "." && !hidden && (d.Name()[0] == '.' || d.Name()[0] == '_'):
				if d.IsDir() {
					return fs.SkipDir
				}
			case d.Type().IsRegular():
				all[path.Join(at, name)] = true
			}
			return nil
		})
	}
}

// version matches the end of an import path that is no name.
var version = regexp.MustCompile(`^v[0-9]+$`)

// programName is what go build calls the program of a package.
func programName(importPath string) string {
	if dir, base := path.Split(importPath); version.MatchString(base) && dir != "" {
		return path.Base(dir)
	}
	return path.Base(importPath)
}

// names returns the programs that the step makes: -o of a file, or one for each main package. Of packages of other modules,
// which cannot be seen here, those count that are named one by one.
func (s *step) names(dir string) ([]string, error) {
	if !strings.HasSuffix(s.output, "/") {
		return []string{s.output}, nil
	}
	if s.dir != "" && !filepath.IsLocal(s.dir) {
		return nil, fmt.Errorf("%s: -C leads out of the folder", s.where)
	}
	dir = filepath.Join(dir, filepath.FromSlash(s.dir))
	raw, err := foreign.ReadFile(dir, "go.mod", foreign.MaxText)
	if err != nil {
		return nil, err
	}
	module := modfile.ModulePath(raw)
	wanted := make([]string, 0, len(s.packages))
	var names []string
	for _, p := range s.packages {
		if local, ok := strings.CutPrefix(p, "./"); ok || p == "." {
			p = path.Join(module, strings.TrimSuffix(local, "."))
		}
		wanted = append(wanted, p)
		if !strings.Contains(p, "...") && p != module && !strings.HasPrefix(p, module+"/") {
			names = append(names, s.output+programName(p))
		}
	}
	err = packages(dir, func(name string, p *build.Package) {
		at := path.Join(module, name)
		if p.IsCommand() && slices.ContainsFunc(wanted, func(pattern string) bool { return matches(pattern, at) }) {
			names = append(names, s.output+programName(at))
		}
	})
	return names, err
}

// matches holds an import path against a pattern of the go command.
func matches(pattern, at string) bool {
	expression := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\.\.\.`, ".*")
	if rest, ok := strings.CutSuffix(expression, "/.*"); ok { // x/... has x too
		expression = rest + "(/.*)?"
	}
	re, err := regexp.Compile("^" + expression + "$")
	return err == nil && re.MatchString(at)
}
