package pack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

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
	// Package is the main package of bin/application. "" means the one that the Buildfile builds, or the top of Dir.
	Package string
	// Variants are laid over the bundle: those of Dir's folder deploy, else those that this program carries. What the project
	// was made with is there already, and left out.
	Variants []string
	// Include are further files and folders of Dir, such as files at the top, and what is ignored.
	Include []string
	// Nginx is handed to lint.
	Nginx string
	// Progress, if not nil, is called when something begins that takes long.
	Progress func(what string)

	laid []string // variants that the project was made with
}

// Result says what was made.
type Result struct {
	Output   string         `json:"output"`
	Files    int            `json:"files"`
	Bytes    int64          `json:"bytes"`
	Findings []lint.Finding `json:"findings"`
	// Folders are what is shipped beside programs: files that they may read. Loose are files at the top that are not.
	Folders []Folder `json:"folders,omitempty"`
	Loose   []string `json:"loose,omitempty"`
}

// ErrRefused is returned when the bundle has errors. Nothing is written then.
var ErrRefused = errors.New("the bundle has errors and was not written")

// Pack builds the application, checks the bundle and writes the zip.
func Pack(ctx context.Context, o Options) (Result, error) {
	o, b, leftOut, err := prepare(ctx, o)
	if err != nil {
		return Result{}, err
	}
	r := Result{Output: o.Output, Folders: folders(b)}
	ignored, _ := ignoresOf(ctx, o.Dir) // collect has said what is wrong
	if r.Loose, err = loose(o.Dir, b, ignored); err != nil {
		return r, err
	}
	if err := o.build(ctx, b); err != nil {
		return r, err
	}
	r.Files = len(b.Files)
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

// Preview returns what Pack would ship, with the programs' names alone: nothing is built. The findings are about what is
// left out.
func Preview(ctx context.Context, o Options) (*lint.Bundle, []lint.Finding, lint.Platform, error) {
	o, b, leftOut, err := prepare(ctx, o)
	if err == nil && o.Kind != Source {
		err = o.plan(b)
	}
	return b, leftOut, o.Platform, err
}

// Artifact is what Pack writes where nobody says otherwise, from the folder of the bundle.
const Artifact = "build/application.zip"

// prepare collects all but the programs.
func prepare(ctx context.Context, o Options) (Options, *lint.Bundle, []lint.Finding, error) {
	o, err := o.withDefaults(ctx)
	if err != nil {
		return o, nil, nil, err
	}
	b, leftOut, err := collect(ctx, o)
	if err != nil {
		return o, nil, nil, err
	}
	b.Belongs(o.Dir)
	o.Kind = cmp.Or(o.Kind, architecture(b))
	if o.Kind != Source && b.Files["Procfile"] == nil {
		b.Add("Procfile", 0o644, []byte("web: "+application+"\n"))
	}
	stamp(ctx, b, o.Dir)
	return o, b, leftOut, nil
}

// withDefaults fills in what is not set, from what the project says of itself.
func (o Options) withDefaults(ctx context.Context) (Options, error) {
	o.Dir = cmp.Or(o.Dir, ".")
	platform, laid, err := project.Laid(o.Dir)
	if err != nil {
		return o, err
	}
	o.Platform = cmp.Or(o.Platform, platform, lint.PlatformOf(o.Dir), lint.Go)
	o.Package = project.PackageIn(o.Dir, o.Package)
	if o.Output == "" { // whoever names a place has chosen it, over a link too
		if err := straight(o.Dir, path.Dir(Artifact)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
	}
	o.Output = cmp.Or(o.Output, filepath.Join(o.Dir, filepath.FromSlash(Artifact)))
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Platform == lint.Docker {
		if o.Kind != "" && o.Kind != Source {
			return o, &project.UsageError{Name: "arch", Value: string(o.Kind), Allowed: "source, or not said, on the Docker platform: its instances build the image by the Dockerfile, for their own architecture"}
		}
		o.Kind = Source
		if !slices.Contains(o.Variants, "docker") {
			o.Variants = append([]string{"docker"}, o.Variants...)
		}
	}
	o.laid = laid
	o.Variants = slices.DeleteFunc(slices.Clone(o.Variants), func(v string) bool { return slices.Contains(laid, v) })
	if err := writable(o.Output); err != nil {
		return o, err
	}
	if o.Kind != Source {
		return o, nil
	}
	if o.Package != "" {
		return o, &project.UsageError{Name: "package", Value: o.Package, Allowed: "said in the Buildfile or Dockerfile where source is shipped, as the instance builds by that"}
	}
	outside, err := project.OutsideReplacement(o.Dir)
	if err == nil && outside != "" {
		err = fmt.Errorf("go.mod takes a module from %s, which the instance does not have: run %s first%s", outside, project.Vendor(ctx, o.Dir), o.orProgram())
	}
	return o, err
}

// orProgram is what else to do where an instance cannot build the source, with a comma before it. On Docker there is nothing.
func (o Options) orProgram() string {
	if o.Platform == lint.Docker {
		return ""
	}
	return ", or ship a program (--arch amd64 or arm64)"
}

// build adds the programs, or makes sure that the instance can build them from what is shipped.
func (o Options) build(ctx context.Context, b *lint.Bundle) error {
	if o.Kind == Source {
		o.Progress("go list of what the instance builds")
		return o.buildable(ctx, b)
	}
	all, err := steps(o.Dir, o.Package)
	if err != nil {
		return err
	}
	for _, s := range all {
		o.Progress(fmt.Sprintf("go build %s for linux/%s", strings.Join(s.packages, " "), o.Kind))
		if err := s.build(ctx, b, o); err != nil {
			return err
		}
	}
	return nil
}

// plan adds the names of the programs.
func (o Options) plan(b *lint.Bundle) error {
	all, err := steps(o.Dir, o.Package)
	if err != nil {
		return err
	}
	for _, s := range all {
		names, err := s.names(o.Dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			b.Plan(name)
		}
	}
	return nil
}
