package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// dockerApplication is the package that the bundle's Dockerfile builds.
var dockerApplication = regexp.MustCompile(`(?m)^ARG APPLICATION=(\S+)$`)

// buildable asks the go command whether what is shipped is all that a build needs. An instance has nothing beside it: no
// workspace, no folders around the project, and none that pack leaves out.
func (o Options) buildable(ctx context.Context, b *lint.Bundle) error {
	if b.Files["go.mod"] == nil {
		return nil // lint has something to say, or it is not Go that is built
	}
	var lists [][]string
	if o.Platform == lint.Docker {
		if m := dockerApplication.FindSubmatch(contentOf(b, "Dockerfile")); m != nil {
			lists = append(lists, []string{string(m[1])})
		}
	} else if all, err := steps(o.Dir, ""); err == nil { // what else a Buildfile does, the instance does
		for _, s := range all {
			lists = append(lists, s.list())
		}
	}
	if len(lists) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "beanpole-pack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range b.Names() {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, contentOf(b, name), 0o644)); err != nil {
			return err
		}
	}
	for _, list := range lists {
		cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-deps", "-f", "{{.ImportPath}}"}, list...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
		if b.Files["go.work"] == nil {
			cmd.Env = append(cmd.Env, "GOWORK=off")
		}
		if _, err := cmd.Output(); err != nil {
			said := strings.ReplaceAll(stderr(err), dir+string(filepath.Separator), "")
			return fmt.Errorf("the instance could not build this:%s\nit has what is shipped, and neither a workspace (go.work) nor folders around the project: "+
				"with `replace` in go.mod, `GOWORK=off go mod vendor` puts other modules into the project%s", said, o.orProgram())
		}
	}
	return nil
}

// list returns the arguments of go list for what the step builds.
func (s *step) list() (args []string) {
	if s.dir != "" {
		args = append(args, "-C", s.dir)
	}
	for i, f := range s.flags {
		if name, _, has := strings.Cut(strings.TrimLeft(f, "-"), "="); name == "tags" || name == "mod" || name == "modfile" {
			if args = append(args, f); !has && i+1 < len(s.flags) {
				args = append(args, s.flags[i+1])
			}
		}
	}
	return append(args, s.packages...)
}

// contentOf returns what is in a file of the bundle, or nil.
func contentOf(b *lint.Bundle, name string) []byte {
	f := b.Files[name]
	if f == nil {
		return nil
	}
	r, err := f.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	text, _ := io.ReadAll(r) // of memory
	return text
}

// stderr returns what a program has said that ended with err, on a line of its own.
func stderr(err error) string {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return ""
	}
	return "\n" + strings.TrimSpace(string(ended.Stderr))
}
