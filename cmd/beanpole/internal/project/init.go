package project

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/beanpole/beanpole"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

//go:embed all:template
var template embed.FS

// Options configure Init.
type Options struct {
	// Dir is the project's folder, which is made. "" means the working directory.
	Dir string
	// Choice is what the project is asked for. Module counts for a new one alone.
	Choice Choice
	// Version is this program's, which a new go.mod requires.
	Version string
	// Replace is a checkout that a new go.mod puts in the place of that version, absolute or relative to Dir. "" means none.
	Replace string
	// Diff says what would be done, and does nothing.
	Diff bool
	// Force replaces files that are there and differ. They are left alone else.
	Force bool
	// Progress, if not nil, is called when something begins that takes long.
	Progress func(what string)
}

// ErrNoModule is returned for a folder with Go files and no go.mod.
var ErrNoModule = errors.New("there are Go files and no go.mod: run go mod init first")

// IsModule reports whether the folder has a module, which gets the bundle alone; if not it gets a whole application.
// ErrNoModule is returned for a folder that is neither.
func IsModule(dir string) (bool, error) {
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return true, nil
	}
	code, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err == nil && len(code) > 0 {
		err = ErrNoModule
	}
	return false, err
}

// Init writes a project: into a folder without a module a whole application, into a module the bundle alone. It
// overwrites nothing unless Force says so, and then too shows the difference.
func Init(ctx context.Context, o Options) (Report, error) {
	if err := o.Choice.Check(); err != nil {
		return Report{}, err
	}
	bundle, err := o.Choice.bundle()
	if err != nil {
		return Report{}, err
	}
	isModule, err := IsModule(dirOr(o.Dir))
	if err != nil {
		return Report{}, err
	}
	if _, err := os.Stat(dirOr(o.Dir)); o.Diff && errors.Is(err, fs.ErrNotExist) {
		return Report{}, fmt.Errorf("%s is not there: there is nothing to compare with", o.Dir)
	}
	f, err := openFolder(dirOr(o.Dir), !o.Diff)
	if err != nil {
		return Report{}, err
	}
	defer f.close()
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	all := maps.Clone(bundle)
	others := []func() (files, error){func() (files, error) { return o.Choice.ebcli(f.branch()) }}
	if !isModule {
		others = append(others, o.application, func() (files, error) { return newModule(o.Choice.Module, o.Version, o.Replace) })
	}
	for _, other := range others {
		some, err := other()
		if err != nil {
			return Report{}, err
		}
		maps.Copy(all, some)
	}
	var r Report
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := o.put(f, &r, name, all[name]); err != nil {
			return r, err
		}
	}
	if o.Diff {
		return r, nil
	}
	if err := writeManifest(f, manifest{o.Version, o.Choice, bundle}); err != nil {
		return r, err
	}
	if isModule {
		r.Next, err = o.missing(f)
	} else {
		o.Progress("go mod tidy")
		_, err = goCommand(ctx, o.Dir, "mod", "tidy")
	}
	if err != nil {
		return r, err
	}
	r.Next = append(r.Next, o.next(isModule)...)
	return r, nil
}

// put writes a file that is not there. One that differs is shown.
func (o Options) put(f *folder, r *Report, name, text string) error {
	old, present, err := f.text(name)
	if err != nil {
		return err
	}
	switch {
	case present && old == text:
		r.Same++
		return nil
	case present && !o.Force:
		r.add(Differs, name, "it is left as it is; --force replaces it", old, text)
		return nil
	case present:
		r.add(Replaced, name, "", old, text)
	default:
		r.add(Created, name, "", "", "")
	}
	if o.Diff {
		return nil
	}
	return f.write(name, text, mode(name))
}

// application returns the files of a new one.
func (o Options) application() (files, error) {
	sub, err := fs.Sub(template, "template")
	if err != nil {
		return nil, err
	}
	all, err := tree(sub, ".")
	if err != nil {
		return nil, err
	}
	name := o.Choice.Application
	for file, text := range all {
		all[file] = strings.NewReplacer("Command hello ", "Command "+name+" ", "# hello\n", "# "+name+"\n",
			"<title>hello<", "<title>"+name+"<", "<h1>hello<", "<h1>"+name+"<").Replace(text)
	}
	ignored, err := beanpole.Files.ReadFile(".gitignore")
	all[".gitignore"] = string(ignored)
	return all, err
}

// missing says what go.mod of an existing module lacks.
func (o Options) missing(f *folder) (next []string, err error) {
	text, err := f.read("go.mod")
	if err != nil {
		return nil, err
	}
	m, err := modfile.Parse("go.mod", []byte(text), nil)
	if err != nil {
		return nil, err
	}
	required := func(path string) bool {
		return slices.ContainsFunc(m.Require, func(r *modfile.Require) bool { return r.Mod.Path == path })
	}
	if o.Replace != "" && !required(Path) {
		next = append(next, "go mod edit -replace="+Path+"="+modulePath(o.Replace))
	}
	for _, tool := range tools {
		if !slices.ContainsFunc(m.Tool, func(t *modfile.Tool) bool { return t.Path == tool }) {
			next = append(next, "go get -tool "+tool)
		}
	}
	return next, nil
}

// next says how it goes on.
func (o Options) next(isModule bool) (next []string) {
	if dir := dirOr(o.Dir); dir != "." {
		next = append(next, "cd "+dir)
	}
	if !isModule {
		next = append(next, "go test ./...", "go run "+o.Choice.Package)
	}
	if o.Choice.Platform == lint.Docker && o.Replace != "" {
		next = append(next, "go mod vendor")
	}
	how := " --elb-type application"
	for _, v := range o.Choice.Variants {
		switch v {
		case "network-load-balancer":
			how = " --elb-type network"
		case "single-instance":
			how = " --single"
		case "shared-load-balancer":
			how += " --shared-lb ARN"
		}
	}
	return append(next, "beanpole lint", "beanpole pack", "eb create "+o.Choice.Environment+how)
}
