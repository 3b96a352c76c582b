package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/ask"
	"github.com/beanpole/beanpole/server/contract"
)

type typesCommand struct {
	Package  string `arg:"" default:"." help:"Main package of the application, as go run takes it."`
	Output   string `short:"o" placeholder:"FILE" help:"TypeScript file to write. By default it is printed."`
	AsyncAPI string `name:"asyncapi" placeholder:"FILE" help:"AsyncAPI 3 document to write, as JSON."`
	Check    bool   `help:"Write nothing: exit status 2 when a file is not what would be written."`
	Diff     string `placeholder:"REVISION" help:"Write nothing: what breaks clients made for a revision of Git. Exit status 2 when something does."`
}

// Run is called by kong.
func (c *typesCommand) Run(ctx context.Context, o output) error {
	if c.Check && c.Output == "" && c.AsyncAPI == "" {
		return usage(errors.New("types --check wants the files to look at, by --output and --asyncapi"))
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	o.progress("asking the program")
	now, err := ask.Contract(ctx, dir, c.Package)
	if err != nil {
		return err
	}
	for _, n := range now.Namespaces {
		if n.Partial {
			fmt.Fprintf(o.err, "%s: what OnConnection registers for a socket, by s.On, is not in it; io.On with a *server.Socket as the first parameter is\n", n.Name)
		}
	}
	if c.Diff != "" {
		return c.diff(ctx, o, dir, now)
	}
	files, err := c.files(dir, now)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		_, err := o.out.Write(now.TypeScript())
		return err
	}
	old := false
	for _, f := range files {
		was, err := os.ReadFile(f.name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		switch same := err == nil && bytes.Equal(was, f.text); {
		case same:
		case c.Check:
			old = true
			fmt.Fprintf(o.out, "%s is not what the handlers say: run beanpole types again\n", f.name)
		default:
			if err := os.WriteFile(f.name, f.text, 0o644); err != nil {
				return err
			}
			fmt.Fprintf(o.out, "wrote %s\n", f.name)
		}
	}
	if old {
		return exit(exitFailure)
	}
	return nil
}

type typesFile struct {
	name string
	text []byte
}

// files returns what is to be written.
func (c *typesCommand) files(dir string, now *contract.Contract) (list []typesFile, err error) {
	if c.Output != "" {
		list = append(list, typesFile{c.Output, now.TypeScript()})
	}
	if c.AsyncAPI == "" {
		return list, nil
	}
	text, err := now.AsyncAPI(contract.Info{Title: filepath.Base(dir), Version: "1.0.0"})
	return append(list, typesFile{c.AsyncAPI, append(text, '\n')}), err
}

// diff says what breaks clients of an older state.
func (c *typesCommand) diff(ctx context.Context, o output, dir string, now *contract.Contract) error {
	o.progress("asking the program of " + c.Diff)
	old, err := ask.At(ctx, dir, c.Package, c.Diff)
	if err != nil {
		return err
	}
	list := now.Breaks(old)
	for _, s := range list {
		fmt.Fprintln(o.out, s)
	}
	if len(list) > 0 {
		return exit(exitFailure)
	}
	fmt.Fprintln(o.out, "nothing breaks clients of "+c.Diff)
	return nil
}
