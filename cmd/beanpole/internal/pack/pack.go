package pack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// Kind says what the zip brings: a program for one architecture, or the source.
type Kind string

// The kinds.
const (
	AMD64  Kind = "amd64"
	ARM64  Kind = "arm64"
	Source Kind = "source"
)

// Options configure Pack.
type Options struct {
	// Dir is the folder with .ebextensions and .platform. "" means the working directory.
	Dir string
	// Output is the zip to write. "" means build/application.zip in Dir.
	Output string
	// Platform is the environment's. "" means Go. Docker always takes the source and lays deploy/docker over.
	Platform lint.Platform
	// Kind is what to bring. "" means a program for the architecture of the bundle's instances.
	Kind Kind
	// Package is the main package of the application. "" means ./examples/chat.
	Package string
	// Variants are folders in deploy/ to lay over the bundle, in this order.
	Variants []string
	// Include are further files and folders of Dir, such as those of a page.
	Include []string
	// Nginx is handed to lint.
	Nginx string
}

// Result says what was made.
type Result struct {
	Output   string         `json:"output"`
	Files    int            `json:"files"`
	Bytes    int64          `json:"bytes"`
	Findings []lint.Finding `json:"findings"`
}

// ErrRefused is returned when the bundle has errors. Nothing is written then.
var ErrRefused = errors.New("the bundle has errors and was not written")

// Pack builds the application, checks the bundle and writes the zip.
func Pack(ctx context.Context, o Options) (Result, error) {
	o.Dir = cmp.Or(o.Dir, ".")
	o.Platform = cmp.Or(o.Platform, lint.Go)
	o.Package = cmp.Or(o.Package, "./examples/chat")
	o.Output = cmp.Or(o.Output, filepath.Join(o.Dir, "build", "application.zip"))
	if o.Platform == lint.Docker {
		o.Kind = Source
		if !slices.Contains(o.Variants, "docker") {
			o.Variants = append([]string{"docker"}, o.Variants...)
		}
	}
	b, leftOut, err := collect(ctx, o)
	if err != nil {
		return Result{}, err
	}
	o.Kind = cmp.Or(o.Kind, architecture(b))
	if err := stamp(ctx, b, o.Dir); err != nil {
		return Result{}, err
	}
	if o.Kind != Source {
		program, err := build(ctx, o)
		if err != nil {
			return Result{}, err
		}
		b.Add("bin/application", 0o755, program)
		b.Add("Procfile", 0o644, []byte("web: bin/application\n"))
	}
	r := Result{Output: o.Output, Files: len(b.Files)}
	r.Findings = append(leftOut, lint.Run(ctx, b, lint.Options{Platform: o.Platform, Nginx: o.Nginx})...)
	if slices.ContainsFunc(r.Findings, func(f lint.Finding) bool { return f.Severity == lint.Error }) {
		return r, ErrRefused
	}
	if err := write(b, o.Output); err != nil {
		return r, err
	}
	// What arrives is what counts: the zip itself is read back and checked for its form.
	z, err := lint.OpenZip(o.Output)
	if err != nil {
		return r, err
	}
	defer z.Close()
	r.Bytes = z.Size
	for _, f := range lint.Run(ctx, z, lint.Options{Platform: o.Platform, Nginx: "off"}) {
		if f.Severity == lint.Error {
			r.Findings = append(r.Findings, f)
			return r, errors.Join(ErrRefused, os.Remove(o.Output))
		}
	}
	return r, nil
}

// build returns the application as a static program for the instances.
func build(ctx context.Context, o Options) ([]byte, error) {
	dir, err := os.MkdirTemp("", "beanpole-pack-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "application")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s", "-o", out, o.Package)
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+string(o.Kind))
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build %s: %w\n%s", o.Package, err, said)
	}
	return os.ReadFile(out)
}
