package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/beanpole/beanpole"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// Path is the module that applications are built on.
const Path = lint.Module

// tools are the programs of that module that a project has use for: this one, and the one that its image has.
var tools = [...]string{Path + "/cmd/beanpole", Path + "/cmd/health"}

// newModule returns go.mod and go.sum of a new module. The sums are those that this program was tested with, of
// which `go mod tidy` leaves the ones that are needed.
func newModule(module, version, replace string) (files, error) {
	raw, err := beanpole.Files.ReadFile("go.mod")
	if err != nil {
		return nil, err
	}
	ours, err := modfile.ParseLax("go.mod", raw, nil)
	if err != nil {
		return nil, err
	}
	sums, err := beanpole.Files.ReadFile("go.sum")
	if err != nil {
		return nil, err
	}
	m := new(modfile.File)
	add := []error{m.AddModuleStmt(module), m.AddGoStmt(ours.Go.Version), m.AddRequire(Path, "v"+version)}
	for _, tool := range tools {
		add = append(add, m.AddTool(tool))
	}
	if replace != "" {
		add = append(add, m.AddReplace(Path, "", modulePath(replace), ""))
	}
	if err := errors.Join(add...); err != nil {
		return nil, err
	}
	m.Cleanup()
	text, err := m.Format()
	return files{"go.mod": string(text), "go.sum": string(sums)}, err
}

// modulePath is a folder as replace lines have it: with slashes, and a dot in front if it is relative.
func modulePath(dir string) string {
	if filepath.IsAbs(dir) {
		return filepath.ToSlash(dir)
	}
	if dir = filepath.ToSlash(filepath.Clean(dir)); strings.HasPrefix(dir, "../") || dir == ".." {
		return dir
	}
	return "./" + dir
}

// Checkout returns the folder of the repository that this program was built from, or "" if it was not, or the
// folder is gone.
func Checkout() string {
	_, file, _, ok := runtime.Caller(0) // with -trimpath it is no path of this machine
	if !ok || !filepath.IsAbs(file) {
		return ""
	}
	dir := filepath.Join(filepath.Dir(file), "../../../..")
	if strings.Contains(filepath.Base(dir), "@") || !IsCheckout(dir) {
		return "" // of the module cache: the version can be asked for by name
	}
	return dir
}

// IsCheckout reports whether the folder is a repository of Beanpole.
func IsCheckout(dir string) bool {
	raw, err := foreign.ReadFile(dir, "go.mod", foreign.MaxText)
	return err == nil && modfile.ModulePath(raw) == Path
}

// ModulePath returns the path of the module in dir.
func ModulePath(dir string) (string, error) {
	raw, err := foreign.ReadFile(dir, "go.mod", foreign.MaxText)
	if err != nil {
		return "", err
	}
	return modfile.ModulePath(raw), nil
}

// Mains returns the main packages of the module in dir, as "." or "./cmd/server".
func Mains(ctx context.Context, dir string) ([]string, error) {
	said, err := goCommand(ctx, dir, "list", "-e", "-f", `{{if eq .Name "main"}}{{.Dir}}{{end}}`, "./...")
	if err != nil {
		return nil, err
	}
	top, err := filepath.EvalSymlinks(dirOr(dir))
	if err == nil {
		top, err = filepath.Abs(top)
	}
	if err != nil {
		return nil, err
	}
	var list []string
	for _, main := range strings.Fields(said) {
		if rel, err := filepath.Rel(top, main); err == nil && rel != "." {
			list = append(list, "./"+filepath.ToSlash(rel))
		} else {
			list = append(list, ".")
		}
	}
	return list, nil
}

// PackageIn returns the package of a folder of the module in dir as the go command is told of it, such as ./cmd/server for
// cmd/server/. What is no folder there is left as it is.
func PackageIn(dir, name string) string {
	clean := path.Clean(filepath.ToSlash(name)) // of "" a dot
	if info, err := os.Stat(filepath.Join(dirOr(dir), name)); err != nil || !info.IsDir() || !filepath.IsLocal(clean) || clean == "." {
		return name
	}
	return "./" + clean
}

// OutsideReplacement returns a folder outside of the module in dir that its go.mod puts in the place of a module, or "". A
// build from the files of dir alone, as on an instance, does not find it; with a vendor folder it need not.
func OutsideReplacement(dir string) (string, error) {
	raw, err := foreign.ReadFile(dir, "go.mod", foreign.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if foreign.IsFile(dir, "vendor/modules.txt") {
		return "", nil
	}
	m, err := modfile.Parse("go.mod", raw, nil)
	if err != nil {
		return "", err
	}
	for _, r := range m.Replace {
		if r.New.Version == "" && !filepath.IsLocal(filepath.FromSlash(r.New.Path)) {
			return r.New.Path, nil
		}
	}
	return "", nil
}

// inWorkspace reports whether the go command takes a workspace (go.work) for dir.
func inWorkspace(ctx context.Context, dir string) bool {
	work, err := goCommand(ctx, dir, "env", "GOWORK")
	work = strings.TrimSpace(work)
	return err == nil && work != "" && work != "off"
}

// outsideWorkspace reports whether that is one which the module in dir is not in: the go command would not build there.
func outsideWorkspace(ctx context.Context, dir string) bool {
	if !inWorkspace(ctx, dir) {
		return false
	}
	_, err := goCommand(ctx, dir, "list", ".")
	return err != nil && strings.Contains(err.Error(), "go work use")
}

// Vendor returns the command that puts the modules which the one in dir needs into it. Within a workspace the go command
// refuses it.
func Vendor(ctx context.Context, dir string) string {
	if inWorkspace(ctx, dir) {
		return "GOWORK=off go mod vendor"
	}
	return "go mod vendor"
}

// goCommand runs go in a folder and returns what it says.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var said, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &wrong
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(wrong.String()))
	}
	return said.String(), nil
}

func dirOr(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}
