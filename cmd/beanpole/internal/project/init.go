package project

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/beanpole/beanpole"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
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

// ErrNoModule is returned for a folder with Go files and no go.mod, there or above.
var ErrNoModule = errors.New("there are Go files and no go.mod: run go mod init first")

// IsModule reports whether the folder has a module of its own, which gets the bundle alone; if not it gets a whole
// application. ErrNoModule is returned for a folder that is neither.
func IsModule(dir string) (bool, error) {
	if m, err := manifestOf(dir); err == nil && m.Unfinished && m.Choice.Module != "" {
		return false, nil // what is there is of an Init that was interrupted
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return true, nil
	}
	code, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err == nil && len(code) > 0 {
		err = ErrNoModule
		if top, name := moduleAbove(dir); top != "" {
			err = fmt.Errorf("it is a package of the module in %s: run beanpole init --package ./%s there", top, name)
		}
	}
	return false, err
}

// moduleAbove returns the folder of the module that a folder is in, and the folder's name there; or "".
func moduleAbove(dir string) (top, name string) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", ""
	}
	for top = filepath.Dir(at); ; top = filepath.Dir(top) {
		if foreign.IsFile(top, "go.mod") {
			name, err = filepath.Rel(top, at)
			return top, filepath.ToSlash(name)
		}
		if top == filepath.Dir(top) {
			return "", ""
		}
	}
}

// Init writes a project: into a folder without a module a whole application, into a module the bundle alone. Where Init was
// before, it does what Update does, for what is chosen now. It overwrites nothing that was changed unless Force says so,
// and then too shows the difference. When it is interrupted, another Init goes on where it was.
func Init(ctx context.Context, o Options) (Report, error) {
	isModule, err := IsModule(dirOr(o.Dir))
	if err != nil {
		return Report{}, err
	}
	if isModule {
		o.Choice.Module = ""
	}
	if err := o.Choice.Check(); err != nil {
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
	old, err := readManifest(f)
	first := errors.Is(err, ErrNoManifest)
	if err != nil && !first {
		return Report{}, err
	}
	if first && !o.Diff {
		err := writeManifest(f, manifest{Version: o.Version, Choice: o.Choice, Unfinished: true})
		if err != nil {
			return Report{}, err
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	r, err := o.write(ctx, f, old, first || old.Unfinished, isModule)
	if err != nil && !o.Diff {
		err = fmt.Errorf("%w\nthe project is not whole: mend that and run beanpole init again, it goes on where it was", err)
	}
	return r, err
}

// write is Init in a folder with a record. first is true as long as none has come to its end.
func (o Options) write(ctx context.Context, f *folder, old manifest, first, isModule bool) (Report, error) {
	bundle, err := o.Choice.bundle()
	if err != nil {
		return Report{}, err
	}
	u := update{UpdateOptions: UpdateOptions{Diff: o.Diff}, folder: f, force: o.Force, old: old,
		next: manifest{Version: o.Version, Choice: o.Choice, base: make(files)}}
	if !first {
		u.report.Said = o.Choice.since(old.Choice)
	}
	if err := u.files(bundle); err != nil {
		return u.report, err
	}
	next := u.next
	u.own, u.next.base = true, make(files)
	if err := o.names(&u, f, first); err != nil {
		return u.report, err
	}
	if first {
		if err := o.application(ctx, &u, f, isModule); err != nil {
			return u.report, err
		}
	}
	if err := ctx.Err(); err != nil || o.Diff {
		return u.report, err
	}
	switch {
	case isModule:
		u.report.Next, err = o.missing(f)
	case first:
		o.Progress("go mod tidy")
		_, err = goCommand(ctx, o.Dir, "mod", "tidy")
	}
	if err != nil {
		return u.report, err
	}
	u.report.Next = append(u.report.Next, o.next(ctx, old.Choice, first, isModule)...)
	return u.report, writeManifest(f, next)
}

// names brings the configuration of the EB CLI, of which only the names that were chosen are this program's.
func (o Options) names(u *update, f *folder, first bool) error {
	branch := f.branch()
	now, err := o.Choice.ebcli(branch)
	if err != nil {
		return err
	}
	before := files{}
	if !first {
		if before, err = u.old.Choice.ebcli(branch); err != nil {
			return err
		}
	}
	u.old.base = files{}
	for name, text := range before {
		_, there, err := f.text(name)
		if err != nil {
			return err
		}
		if there { // one that was not checked out is made anew
			u.old.base[name] = text
		}
	}
	return u.files(now)
}

// application brings what is the project's own from the first: the program and its page to a folder without a module, and
// to every one that version control ignores what pack makes.
func (o Options) application(ctx context.Context, u *update, f *folder, isModule bool) error {
	all := files{}
	if !isModule {
		resumed := u.old.Unfinished
		some, err := o.program()
		if err != nil {
			return err
		}
		module, err := newModule(o.Choice.Module, o.Version, o.Replace)
		if err != nil {
			return err
		}
		maps.Copy(some, module)
		for name, text := range some {
			_, there, err := f.text(name)
			if err != nil {
				return err
			}
			if !there || !resumed {
				all[name] = text
			}
		}
	}
	u.old.base = files{}
	ignored, there, err := f.text(".gitignore")
	switch {
	case err != nil:
		return err
	case !there && !isModule:
		text, err := beanpole.Files.ReadFile(".gitignore")
		if err != nil {
			return err
		}
		all[".gitignore"] = string(text)
	case !ignores(ctx, o.Dir, ignored):
		if ignored != "" && !strings.HasSuffix(ignored, "\n") {
			ignored += "\n"
		}
		if there {
			u.report.add(Updated, ".gitignore", "", ignored, ignored+buildFolder)
		} else {
			u.report.add(Created, ".gitignore", "", "", "")
		}
		if !u.Diff {
			if err := f.write(".gitignore", ignored+buildFolder, 0o644); err != nil {
				return err
			}
		}
	}
	return u.files(all)
}

// buildFolder is the line of .gitignore for what pack makes.
const buildFolder = "/build/\n"

// ignores reports whether version control ignores what pack makes: by git, or outside a repository by the text.
func ignores(ctx context.Context, dir, text string) bool {
	if g, err := foreign.OpenGit(ctx, dirOr(dir), foreign.Strangers); err == nil {
		defer g.Close()
		if _, err := g.Run(ctx, "check-ignore", "-q", "build/application.zip"); err == nil {
			return true
		}
	}
	return regexp.MustCompile(`(?m)^/?build/?$`).MatchString(text)
}

// program returns the files of a new one.
func (o Options) program() (files, error) {
	sub, err := fs.Sub(template, "template")
	if err != nil {
		return nil, err
	}
	all, err := tree(sub, ".")
	if err != nil {
		return nil, err
	}
	for file, text := range all {
		name := o.Choice.Application
		if path.Ext(file) == ".html" {
			name = html.EscapeString(name)
		}
		all[file] = strings.NewReplacer("Command hello ", "Command "+name+" ", "# hello\n", "# "+name+"\n",
			"<title>hello<", "<title>"+name+"<", "<h1>hello<", "<h1>"+name+"<").Replace(text)
	}
	return all, nil
}

// missing says how an existing module gets what its go.mod lacks. It is written by `go mod edit`: `go get` would ask for the
// versions there are, also of a module that a checkout replaces, and fail with one that is not published.
func (o Options) missing(f *folder) (next []string, err error) {
	text, err := f.read("go.mod")
	if err != nil {
		return nil, err
	}
	m, err := modfile.Parse("go.mod", []byte(text), nil)
	if err != nil {
		return nil, err
	}
	required := slices.ContainsFunc(m.Require, func(r *modfile.Require) bool { return r.Mod.Path == Path })
	replaced := slices.ContainsFunc(m.Replace, func(r *modfile.Replace) bool { return r.Old.Path == Path })
	var edit []string
	if !required {
		edit = append(edit, "-require="+Path+"@v"+o.Version)
		if o.Replace != "" && !replaced {
			edit = append(edit, "-replace="+Path+"="+modulePath(o.Replace))
			replaced = true
		}
	}
	for _, tool := range tools {
		if !slices.ContainsFunc(m.Tool, func(t *modfile.Tool) bool { return t.Path == tool }) {
			edit = append(edit, "-tool="+tool)
		}
	}
	if len(edit) == 0 {
		return nil, nil
	}
	next = []string{"go mod edit " + strings.Join(edit, " ")}
	if replaced || o.Replace == "" {
		return append(next, "go mod tidy"), nil
	}
	return next, nil // it is a workspace that leads to the checkout, at which go mod tidy does not look
}

// next says how it goes on. before is the choice of the Init before this, if it is not the first.
func (o Options) next(ctx context.Context, before Choice, first, isModule bool) (next []string) {
	create := "eb create " + o.Choice.Environment + o.Choice.created()
	if !first {
		next = []string{"beanpole lint", "beanpole pack"}
		named := [3]string{o.Choice.Application, o.Choice.Environment, o.Choice.Region} != [3]string{before.Application, before.Environment, before.Region}
		switch {
		case named:
			return append(next, create)
		case o.Choice.Platform != before.Platform || o.Choice.created() != before.created():
			return append(next, "# an environment keeps its platform, and what stands in front of it: if one of this name is there,",
				"# beanpole init --environment with another name first", create)
		}
		return append(next, "eb deploy")
	}
	if dir := dirOr(o.Dir); dir != "." {
		next = append(next, "cd "+dir)
	}
	if outsideWorkspace(ctx, o.Dir) {
		next = append(next, "go work use .")
	}
	if !isModule {
		next = append(next, "go test ./...", "BEANPOLE_DEVELOPMENT=true go run "+o.Choice.Package)
	}
	if o.Choice.Platform == lint.Docker && o.Replace != "" {
		next = append(next, Vendor(ctx, o.Dir))
	}
	return append(next, "beanpole lint", "beanpole pack", create)
}

// created are the options of eb create that say what stands in front of the instances.
func (c Choice) created() string {
	how := " --elb-type application"
	for _, v := range c.Variants {
		switch v {
		case "network-load-balancer":
			how = " --elb-type network"
		case "single-instance":
			how = " --single"
		case "shared-load-balancer":
			how += " --shared-lb ARN"
		}
	}
	return how
}
