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
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
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
	// Platform is the environment's. "" means the one that the project was made for, or that the EB CLI is told, or Go. Docker always takes the
	// source and the variant docker.
	Platform lint.Platform
	// Kind is what to bring. "" means a program for the architecture of the bundle's instances.
	Kind Kind
	// Package is the main package of the application. "" means the one that the Buildfile builds, or the top of Dir.
	Package string
	// Variants are laid over the bundle, in this order: those of Dir's folder deploy, else those that this program carries.
	// What the project was made with is there already, and left out.
	Variants []string
	// Include are further files and folders of Dir, such as those of a page.
	Include []string
	// Nginx is handed to lint.
	Nginx string
	// Progress, if not nil, is called when something begins that takes long.
	Progress func(what string)
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
	o, b, leftOut, err := prepare(ctx, o)
	if err != nil {
		return Result{}, err
	}
	if o.Kind != Source {
		o.Progress(fmt.Sprintf("go build %s for linux/%s", o.Package, o.Kind))
		content, err := build(ctx, o)
		if err != nil {
			return Result{}, err
		}
		b.Add(program, 0o755, content)
	}
	r := Result{Output: o.Output, Files: len(b.Files)}
	o.Progress(fmt.Sprintf("lint of %d files", r.Files))
	r.Findings = append(leftOut, lint.Run(ctx, b, lint.Options{Platform: o.Platform, Nginx: o.Nginx})...)
	if slices.ContainsFunc(r.Findings, func(f lint.Finding) bool { return f.Severity == lint.Error }) {
		return r, ErrRefused
	}
	o.Progress("zip " + o.Output)
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

// Preview returns what Pack would ship, with the program's name alone: nothing is built. The findings are about what is
// left out.
func Preview(ctx context.Context, o Options) (*lint.Bundle, []lint.Finding, lint.Platform, error) {
	o, b, leftOut, err := prepare(ctx, o)
	return b, leftOut, o.Platform, err
}

// Artifact is what Pack writes where nobody says otherwise, from the folder of the bundle.
const Artifact = "build/application.zip"

// program is the application in the bundle.
const program = "bin/application"

// prepare collects all but the program.
func prepare(ctx context.Context, o Options) (Options, *lint.Bundle, []lint.Finding, error) {
	o, err := o.withDefaults()
	if err != nil {
		return o, nil, nil, err
	}
	b, leftOut, err := collect(ctx, o)
	if err != nil {
		return o, nil, nil, err
	}
	b.Belongs(o.Dir)
	o.Kind = cmp.Or(o.Kind, architecture(b))
	if o.Kind != Source {
		b.Plan(program)
		b.Add("Procfile", 0o644, []byte("web: "+program+"\n"))
	}
	return o, b, leftOut, stamp(ctx, b, o.Dir)
}

// withDefaults fills in what is not set, from what the project says of itself.
func (o Options) withDefaults() (Options, error) {
	o.Dir = cmp.Or(o.Dir, ".")
	platform, laid, err := project.Laid(o.Dir)
	if err != nil {
		return o, err
	}
	o.Platform = cmp.Or(o.Platform, platform, lint.PlatformOf(o.Dir), lint.Go)
	o.Package = cmp.Or(o.Package, project.Application(o.Dir))
	o.Output = cmp.Or(o.Output, filepath.Join(o.Dir, filepath.FromSlash(Artifact)))
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Platform == lint.Docker {
		o.Kind = Source
		if !slices.Contains(o.Variants, "docker") {
			o.Variants = append([]string{"docker"}, o.Variants...)
		}
	}
	o.Variants = slices.DeleteFunc(slices.Clone(o.Variants), func(v string) bool { return slices.Contains(laid, v) })
	if o.Kind != Source {
		return o, nil
	}
	outside, err := project.OutsideReplacement(o.Dir)
	if err == nil && outside != "" {
		err = fmt.Errorf("go.mod takes a module from %s, which the instance does not have: run go mod vendor first, or ship a program (--arch amd64 or arm64)", outside)
	}
	return o, err
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
