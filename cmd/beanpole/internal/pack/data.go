package pack

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// What a program reads while it runs is shipped by one rule: all files in folders, as the instance would have them from
// `eb deploy`, but for those that only a build or a reader of the repository needs. What is embedded is in the program.

// Folder is a folder at the top of which files were shipped beside the program.
type Folder struct {
	Name  string `json:"name"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

// inFolder reports whether a name is in a folder that is shipped.
func inFolder(name string) bool {
	top, _, nested := strings.Cut(name, "/")
	return nested && !strings.HasPrefix(top, ".") && !slices.Contains([]string{"bin", "build", "deploy", "docs", "test", "node_modules"}, top)
}

// passed reports whether nothing of a folder is shipped, unless by name.
func passed(name string) bool {
	return ofOthers(name) || !strings.HasPrefix(name, ".") && !inFolder(name+"/")
}

// ofOthers reports whether nothing of a folder is ever shipped.
func ofOthers(name string) bool {
	return path.Base(name) == "node_modules" || path.Base(name) == "testdata"
}

var (
	// ofBuild matches what only a build reads.
	ofBuild = regexp.MustCompile(`(?i)(\.(go|mod|sum|work|s|c|cc|cpp|h|hpp|o|a|syso)|(^|/)(Dockerfile|Makefile)[^/]*)$`)
	// ofReader matches what only people read.
	ofReader = regexp.MustCompile(`(?i)(^|/)(README|LICEN[CS]E|COPYING|CHANGELOG|CONTRIBUTING|SECURITY|AUTHORS|NOTICE)(\.[a-z]+)?$`)
	// ofTools matches what stands loose at the top for other programs.
	ofTools = regexp.MustCompile(`^(Procfile|Buildfile|package(-lock)?\.json|pnpm-lock\.yaml|yarn\.lock|tsconfig.*\.json|(docker-)?compose.*\.ya?ml|Dockerrun\.aws\.json|.*\.(md|zip|test|out|prof))$`)
)

// ofData reports whether a file may be one that a program reads while it runs.
func ofData(name string) bool {
	return inFolder(name) && !strings.HasPrefix(name, "vendor/") && !ofBuild.MatchString(name) && !ofReader.MatchString(name)
}

// folders counts what is shipped for programs to read: not what the platform does, nor what a build does.
func folders(b *lint.Bundle) (list []Folder) {
	for _, name := range b.Names() {
		top, _, nested := strings.Cut(name, "/")
		if !nested || strings.HasPrefix(top, ".") || top == "bin" || top == "vendor" || ofBuild.MatchString(name) {
			continue
		}
		if len(list) == 0 || list[len(list)-1].Name != top {
			list = append(list, Folder{Name: top})
		}
		f := &list[len(list)-1]
		f.Files, f.Bytes = f.Files+1, f.Bytes+b.Files[name].Size
	}
	return list
}

// loose returns the files at the top of dir that are not shipped and may have been meant to be.
func loose(dir string, b *lint.Bundle, ignored *ignores) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		name := e.Name()
		if e.Type().IsRegular() && b.Files[name] == nil && !strings.HasPrefix(name, ".") && !ignored.match(name, false) &&
			!ofBuild.MatchString(name) && !ofReader.MatchString(name) && !ofTools.MatchString(name) && !secretName.MatchString(name) {
			names = append(names, name)
		}
	}
	return names, err
}

// processes adds the Procfile, if programs are shipped, and the files of the project that its commands name.
func (c collector) processes(platform lint.Platform) error {
	text, err := foreign.ReadFile(c.dir, "Procfile", foreign.MaxText)
	if platform != lint.Go || errors.Is(err, fs.ErrNotExist) {
		return nil // Pack writes one
	}
	if err != nil {
		return err
	}
	c.text("Procfile", 0, text)
	c.ignored = nil
	for line := range strings.Lines(string(text)) {
		_, command, _ := strings.Cut(line, ":")
		for i, word := range strings.Fields(command) {
			name := path.Clean(strings.Trim(word, `"'`))
			info, err := os.Lstat(filepath.Join(c.dir, filepath.FromSlash(name)))
			if !filepath.IsLocal(filepath.FromSlash(name)) || err != nil || !info.Mode().IsRegular() || straight(c.dir, name) != nil {
				continue
			}
			c.named = name
			if err := c.tree(name, everything); err != nil {
				return err
			}
			if f := c.bundle.Files[name]; f != nil && i == 0 {
				f.Mode = 0o755
			}
		}
	}
	return nil
}

// workspaceInside reports whether dir has a workspace of its own that names no folder outside of it.
func workspaceInside(dir string) bool {
	raw, err := foreign.ReadFile(dir, "go.work", foreign.MaxText)
	if err != nil {
		return false
	}
	work, err := modfile.ParseWork("go.work", raw, nil)
	if err != nil {
		return false
	}
	for _, u := range work.Use {
		if !filepath.IsLocal(filepath.FromSlash(u.Path)) {
			return false
		}
	}
	for _, r := range work.Replace {
		if r.New.Version == "" && !filepath.IsLocal(filepath.FromSlash(r.New.Path)) {
			return false
		}
	}
	return true
}
