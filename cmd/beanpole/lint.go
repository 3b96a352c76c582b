package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/pack"
)

type lintCommand struct {
	Path     string `arg:"" default:"." help:"Folder or zip to check."`
	Platform string `enum:"auto,go,docker" default:"auto" help:"Platform of the environment (auto, go, docker)."`
	Nginx    string `placeholder:"PROGRAM" help:"nginx to test the configuration with; off for none. By default the one in PATH."`
	JSON     bool   `name:"json" help:"Print findings as JSON."`
}

// Run is called by kong.
func (c *lintCommand) Run(ctx context.Context, o output) error {
	platform := lint.Platform(c.Platform)
	if c.Platform == "auto" {
		platform = ""
	}
	var findings []lint.Finding
	b, by := (*lint.Bundle)(nil), ""
	var err error
	if lint.Artifact(c.Path) == pack.Artifact {
		// `eb deploy` ships what pack makes, and nothing of the rest of the folder.
		by = ", as beanpole pack ships them"
		b, findings, platform, err = pack.Preview(ctx, pack.Options{Dir: c.Path, Platform: platform})
	} else if b, err = lint.Open(c.Path); err != nil {
		err = usage(err)
	}
	if err != nil {
		return err
	}
	defer b.Close()
	findings = append(findings, lint.Run(ctx, b, lint.Options{Platform: platform, Nginx: c.Nginx})...)
	if c.JSON {
		if findings == nil {
			findings = []lint.Finding{}
		}
		if err := json.NewEncoder(o.out).Encode(findings); err != nil {
			return err
		}
	} else {
		printFindings(o.out, findings)
		if len(findings) == 0 {
			fmt.Fprintf(o.out, "%s: nothing to complain about in %d files%s\n", c.Path, len(b.Files), by)
		}
	}
	return status(findings)
}

func printFindings(w io.Writer, findings []lint.Finding) {
	for _, f := range findings {
		fmt.Fprintf(w, "%s: %s: %s [%s]\n    why: %s\n    fix: %s\n",
			foreign.Line(f.Where()), f.Severity, foreign.Line(f.What), f.Check, foreign.Line(f.Why), foreign.Line(f.Fix))
	}
}

// status is the worst of the findings.
func status(findings []lint.Finding) error {
	code := exitOK
	for _, f := range findings {
		if f.Severity == lint.Error {
			return exit(exitFailure)
		}
		code = exitWarning
	}
	if code == exitOK {
		return nil
	}
	return exit(code)
}
