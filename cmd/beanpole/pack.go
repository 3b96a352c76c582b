package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/pack"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
)

type packCommand struct {
	Path     string   `arg:"" default:"." help:"Folder with .ebextensions and .platform."`
	Output   string   `short:"o" placeholder:"FILE" help:"Zip to write. By default build/application.zip."`
	Arch     string   `enum:"auto,amd64,arm64,source" default:"auto" help:"A static program for amd64 or arm64, or the source. auto is the architecture of the bundle's instances."`
	Platform string   `enum:"auto,go,docker" default:"auto" help:"Platform of the environment (auto, go, docker); docker ships the source, and knows no --arch. auto is the one that init was told, or go."`
	Package  string   `placeholder:"FOLDER" help:"Main package of bin/application. By default the one that the Buildfile builds."`
	Variant  []string `placeholder:"NAME" help:"Variant to lay over the bundle, from the folder deploy or of this program: ${variants}."`
	Include  []string `help:"Further files or folders to ship: files at the top, what is ignored."`
	JSON     bool     `name:"json" help:"Print the result as JSON."`
}

// Run is called by kong.
func (c *packCommand) Run(ctx context.Context, o output) error {
	kind, platform := pack.Kind(c.Arch), lint.Platform(c.Platform)
	if c.Arch == "auto" {
		kind = ""
	}
	if c.Platform == "auto" {
		platform = ""
	}
	r, err := pack.Pack(ctx, pack.Options{
		Dir: c.Path, Output: c.Output, Platform: platform, Progress: o.progress, Kind: kind, Package: c.Package,
		Variants: c.Variant, Include: c.Include,
	})
	if errors.As(err, new(*project.UsageError)) || errors.Is(err, project.ErrUnfinished) {
		err = usage(err)
	}
	if c.JSON {
		said := struct {
			pack.Result
			Error string `json:"error,omitempty"`
		}{Result: r}
		if said.Findings == nil {
			said.Findings = []lint.Finding{}
		}
		if err != nil {
			said.Error = err.Error()
		}
		return errors.Join(err, json.NewEncoder(o.out).Encode(said))
	}
	printFindings(o.out, r.Findings)
	if err != nil {
		return err
	}
	for _, f := range r.Folders {
		fmt.Fprintf(o.out, "%s/: %d files, %d KB, for the program to read\n", foreign.Line(f.Name), f.Files, f.Bytes>>10)
	}
	if len(r.Loose) > 0 {
		fmt.Fprintf(o.out, "not shipped, as files at the top are not: %s (--include ships them)\n", foreign.Line(strings.Join(r.Loose, ", ")))
	}
	fmt.Fprintf(o.out, "%s: %d files, %d KB\n", r.Output, r.Files, r.Bytes>>10)
	return nil
}
