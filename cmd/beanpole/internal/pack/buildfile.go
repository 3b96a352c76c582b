package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// step is a `go build` of a Buildfile, which pack does in the place of the instance, with the same flags.
type step struct {
	where    string   // Buildfile:1
	env      []string // NAME=value, as the line sets them
	dir      string   // of -C, or ""
	flags    []string // without -C and -o
	output   string   // of -o, below the project's folder; with a slash at the end a folder
	packages []string
}

// application is what the platform looks for by default.
const application = "bin/application"

// steps returns what is to build: the lines of the Buildfile, or without one the package at the top. pkg takes the place of the
// package that the application is made of, if it is not "".
func steps(dir, pkg string) ([]step, error) {
	text, err := foreign.ReadFile(dir, "Buildfile", foreign.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		if pkg == "" {
			pkg = "."
		}
		return []step{{where: "no Buildfile", output: application, packages: []string{pkg}}}, nil
	}
	if err != nil {
		return nil, err
	}
	var all []step
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		name, command, ok := strings.Cut(strings.TrimSpace(line), ":")
		if name == "" || !ok {
			continue // lint has something to say
		}
		s, err := parseStep(command)
		if err != nil {
			return nil, fmt.Errorf("Buildfile:%d: %w", n, err)
		}
		s.where = fmt.Sprintf("Buildfile:%d", n)
		all = append(all, s)
	}
	if pkg == "" {
		return all, nil
	}
	i := slices.IndexFunc(all, func(s step) bool { return s.output == application })
	if i < 0 {
		return nil, fmt.Errorf("--package=%s: no line of the Buildfile builds %s: name the package there", pkg, application)
	}
	all[i].packages = []string{pkg}
	return all, nil
}

// errOther is the end of what is said of a line that only an instance can do.
const errOther = "pack does nothing but `go build -o FILE`: take it out and do it before (folders of the project are shipped with what was made in them), or ship the source (--arch source), which the instance builds by the Buildfile as it is"

// parseStep reads the command of a line.
func parseStep(command string) (s step, err error) {
	command = strings.TrimSpace(command)
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(command), "")
	if err != nil || len(file.Stmts) != 1 {
		return s, fmt.Errorf("%q is no single command: %s", command, errOther)
	}
	stmt := file.Stmts[0]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || stmt.Negated || stmt.Background || stmt.Coprocess || len(stmt.Redirs) > 0 {
		return s, fmt.Errorf("%q is no single command: %s", command, errOther)
	}
	config := &expand.Config{Env: expand.ListEnviron(os.Environ()...), NoUnset: true}
	for _, a := range call.Assigns {
		value, err := expand.Literal(config, a.Value)
		if err != nil {
			return s, fmt.Errorf("%q: %w: %s", command, err, errOther)
		}
		s.env = append(s.env, a.Name.Value+"="+value)
	}
	words, err := expand.Fields(config, call.Args...)
	if err != nil {
		return s, fmt.Errorf("%q: %w: %s", command, err, errOther)
	}
	if len(words) < 2 || words[0] != "go" || words[1] != "build" {
		return s, fmt.Errorf("%q: %s", command, errOther)
	}
	s.arguments(words[2:])
	if s.output == "" {
		return s, fmt.Errorf("%q has no -o: say -o bin/NAME, as the Procfile has it", command)
	}
	folder := strings.HasSuffix(s.output, "/")
	s.output = path.Join(filepath.ToSlash(s.dir), s.output)
	if !filepath.IsLocal(filepath.FromSlash(s.output)) {
		return s, fmt.Errorf("%q writes outside of the folder", command)
	}
	if folder {
		s.output += "/"
	}
	return s, nil
}

// switches are the flags of go build that take no word after them.
var switches = []string{"a", "asan", "buildvcs", "cover", "json", "linkshared", "modcacherw", "msan", "n", "race", "trimpath", "v", "work", "x"}

// arguments reads what stands behind go build: flags, then packages.
func (s *step) arguments(words []string) {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		flag, value, has := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(words[0], "-"), "-"), "=")
		taken := words[:1]
		if !has && !slices.Contains(switches, flag) && len(words) > 1 {
			taken, value = words[:2], words[1]
		}
		words = words[len(taken):]
		switch flag {
		case "o":
			s.output = value
		case "C":
			s.dir = value
		default:
			s.flags = append(s.flags, taken...)
		}
	}
	s.packages = words
}

// has reports whether a flag is set.
func (s *step) has(flag string) bool {
	return slices.ContainsFunc(s.flags, func(f string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		return strings.HasPrefix(f, "-") && name == flag
	})
}

// build does the step for the instances and adds what comes of it. What the line does not say of paths and symbols is as
// small as it can be; cgo is off, as the program would else need libraries of this machine.
func (s *step) build(ctx context.Context, b *lint.Bundle, o Options) error {
	tmp, err := os.MkdirTemp("", "beanpole-pack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	target := []string{"GOOS=linux", "GOARCH=" + string(o.Kind)}
	for _, set := range s.env {
		name, _, _ := strings.Cut(set, "=")
		if (name == "GOOS" || name == "GOARCH") && !slices.Contains(target, set) {
			return fmt.Errorf("%s: it sets %s, and the program is to be for %s: take it out, or say --arch", s.where, set, strings.Join(target, " "))
		}
	}
	args := []string{"build"}
	if s.dir != "" {
		args = append(args, "-C", s.dir)
	}
	if !s.has("trimpath") {
		args = append(args, "-trimpath")
	}
	if !s.has("ldflags") {
		args = append(args, "-ldflags=-s")
	}
	out := filepath.Join(tmp, filepath.FromSlash(s.output))
	if strings.HasSuffix(s.output, "/") {
		out += string(filepath.Separator)
	}
	args = append(append(append(args, s.flags...), "-o", out), s.packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = o.Dir
	cmd.Env = append(append(append(os.Environ(), "CGO_ENABLED=0"), s.env...), target...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: go build %s: %w\n%s", s.where, strings.Join(s.packages, " "), err, bytes.TrimSpace(said))
	}
	return filepath.WalkDir(tmp, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(tmp, file)
		b.Add(filepath.ToSlash(name), 0o755, content)
		return err
	})
}
