package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/pack"
)

type packCommand struct {
	Path     string   `arg:"" default:"." help:"Folder with .ebextensions and .platform."`
	Output   string   `short:"o" placeholder:"FILE" help:"Zip to write. By default build/application.zip."`
	Arch     string   `enum:"amd64,arm64,source" default:"amd64" help:"A static program for amd64 or arm64, or the source."`
	Platform string   `enum:"auto,go,docker" default:"auto" help:"Platform of the environment (auto, go, docker); docker ships the source. auto is the one that init was told, or go."`
	Package  string   `placeholder:"FOLDER" help:"Main package of the application. By default the one that the Buildfile builds."`
	Variant  []string `placeholder:"NAME" help:"Variant to lay over the bundle, from the folder deploy or of this program: ${variants}."`
	Include  []string `help:"Further files or folders to ship."`
	JSON     bool     `name:"json" help:"Print the result as JSON."`
}

// Run is called by kong.
func (c *packCommand) Run(ctx context.Context, o output) error {
	platform := lint.Platform(c.Platform)
	if c.Platform == "auto" {
		platform = ""
	}
	r, err := pack.Pack(ctx, pack.Options{
		Dir: c.Path, Output: c.Output, Platform: platform, Progress: o.progress, Kind: pack.Kind(c.Arch), Package: c.Package,
		Variants: c.Variant, Include: c.Include,
	})
	if err != nil && !errors.Is(err, pack.ErrRefused) {
		return err
	}
	if c.JSON {
		if e := json.NewEncoder(o.out).Encode(r); e != nil {
			return e
		}
	} else {
		printFindings(o.out, r.Findings)
	}
	if err != nil {
		return err
	}
	if !c.JSON {
		fmt.Fprintf(o.out, "%s: %d files, %d KB\n", r.Output, r.Files, r.Bytes>>10)
	}
	return nil
}
