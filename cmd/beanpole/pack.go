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
	Arch     string   `enum:"auto,amd64,arm64,source" default:"auto" help:"A static program for amd64 or arm64, or the source. auto is the architecture of the bundle's instances."`
	Platform string   `enum:"go,docker" default:"go" help:"Platform of the environment; docker ships the source."`
	Package  string   `default:"./examples/chat" help:"Main package of the application."`
	Variant  []string `help:"Folder of deploy/ to lay over: docker, network-load-balancer, single-instance, shared-load-balancer."`
	Include  []string `help:"Further files or folders to ship."`
	JSON     bool     `name:"json" help:"Print the result as JSON."`
}

// Run is called by kong.
func (c *packCommand) Run(ctx context.Context, o output) error {
	kind := pack.Kind(c.Arch)
	if c.Arch == "auto" {
		kind = ""
	}
	r, err := pack.Pack(ctx, pack.Options{
		Dir: c.Path, Output: c.Output, Platform: lint.Platform(c.Platform), Kind: kind, Package: c.Package,
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
