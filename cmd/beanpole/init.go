package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
	"github.com/beanpole/beanpole/internal/version"
)

type initCommand struct {
	Dir         string   `arg:"" default:"." help:"Folder of the project. It is made if it is not there."`
	Application string   `placeholder:"NAME" help:"Name on Elastic Beanstalk. By default the folder's. Where init was before, what it was told then is the default of this and of all others."`
	Environment string   `placeholder:"NAME" help:"Name of the environment. By default the application's with -production."`
	Region      string   `placeholder:"REGION" help:"Region of AWS. By default eu-central-1."`
	Module      string   `placeholder:"PATH" help:"Path of a new module. By default example.com/ and the application."`
	Package     string   `placeholder:"FOLDER" help:"Main package of an existing module. By default the only one."`
	Platform    string   `enum:"auto,go,docker" default:"auto" help:"Platform of the environment (go, docker). By default go."`
	Variant     []string `placeholder:"NAME" help:"Variant of the bundle: ${variants}; none takes those of before away."`
	Replace     string   `placeholder:"FOLDER" help:"Checkout of Beanpole to build on, instead of a published version; off for none. By default the one that this program was built from."`
	Force       bool     `help:"Replace files that are there and differ. The difference is shown."`
	Diff        bool     `help:"Only show what would be done."`
}

// Run is called by kong.
func (c *initCommand) Run(ctx context.Context, o output) error {
	isModule, err := project.IsModule(c.Dir)
	if err != nil {
		return usage(err)
	}
	replace, err := c.checkout(isModule, o)
	if err != nil {
		return err
	}
	choice, err := c.choice(ctx, isModule, o)
	if err != nil {
		return err
	}
	r, err := project.Init(ctx, project.Options{
		Dir: c.Dir, Choice: choice, Version: version.Number, Replace: replace, Diff: c.Diff, Force: c.Force,
		Progress: o.progress,
	})
	r.Print(o.out)
	return ended(r, err)
}

// ended is the outcome of a command that writes a project.
func ended(r project.Report, err error) error {
	var wrong *project.UsageError
	switch {
	case errors.As(err, &wrong), errors.Is(err, project.ErrNoManifest), errors.Is(err, project.ErrUnfinished):
		return usage(err)
	case err != nil:
		return err
	case len(r.Open()) > 0:
		return exit(exitWarning)
	}
	return nil
}

// checkout returns the folder that go.mod shall name, relative ones from the project's folder.
func (c *initCommand) checkout(isModule bool, o output) (string, error) {
	switch c.Replace {
	case "off":
		return "", nil
	case "":
		dir := project.Checkout()
		if dir != "" && !isModule {
			fmt.Fprintf(o.err, "The program was built from %s, so go.mod takes Beanpole from there; --replace=off requires version %s instead.\n", dir, version.Number)
		}
		return dir, nil
	}
	if !project.IsCheckout(c.Replace) {
		return "", usage(fmt.Errorf("--replace=%s: it has to be a folder with the go.mod of %s, or off", c.Replace, project.Path))
	}
	if filepath.IsAbs(c.Replace) {
		return c.Replace, nil
	}
	from, err := filepath.Abs(c.Dir)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(c.Replace)
	if err != nil {
		return "", err
	}
	return filepath.Rel(from, to)
}

// choice returns what the flags say, or what was chosen before, asks on a terminal for what is left, and takes defaults
// elsewhere.
func (c *initCommand) choice(ctx context.Context, isModule bool, o output) (project.Choice, error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return project.Choice{}, err
	}
	choice, known, err := project.Remembered(c.Dir)
	if err != nil {
		return choice, err
	}
	o.asks = o.asks && !known
	in := bufio.NewScanner(o.in)
	application, _, _ := project.Names(dir)
	choice.Application = o.ask(in, "Name of the application", c.Application, cmp.Or(choice.Application, application))
	_, environment, module := project.Names(choice.Application)
	choice.Environment = o.ask(in, "Name of the environment", c.Environment, cmp.Or(choice.Environment, environment))
	choice.Region = o.ask(in, "Region", c.Region, cmp.Or(choice.Region, "eu-central-1"))
	if choice.Platform = cmp.Or(choice.Platform, lint.Go); c.Platform != "auto" {
		choice.Platform = lint.Platform(c.Platform)
	}
	switch {
	case slices.Equal(c.Variant, []string{"none"}):
		choice.Variants = nil
	case len(c.Variant) > 0:
		slices.Sort(c.Variant)
		choice.Variants = slices.Compact(c.Variant)
	}
	if isModule {
		path, err := project.ModulePath(c.Dir)
		if err != nil {
			return choice, err
		}
		if c.Module != "" && c.Module != path {
			return choice, usage(fmt.Errorf("--module=%s: there is a module already, %s, and init does not rename it", c.Module, path))
		}
	} else {
		choice.Module = o.ask(in, "Path of the module", c.Module, cmp.Or(choice.Module, module))
	}
	choice.Package, err = c.main(ctx, isModule, choice.Package)
	if err != nil {
		return choice, err
	}
	for _, said := range []struct{ name, value string }{{"application", choice.Application}, {"environment", choice.Environment}, {"module", choice.Module}} {
		if said.value == "" && (said.name != "module" || !isModule) {
			return choice, usage(fmt.Errorf("--%s has to be said: no such name can be made of %s", said.name, cmp.Or(choice.Application, filepath.Base(dir))))
		}
	}
	return choice, nil
}

// main returns the main package. before is the one of before, or "".
func (c *initCommand) main(ctx context.Context, isModule bool, before string) (string, error) {
	if c.Package != "" || before != "" || !isModule {
		return cmp.Or(project.PackageIn(c.Dir, c.Package), before, "."), nil
	}
	mains, err := project.Mains(ctx, c.Dir)
	if err != nil {
		return "", err
	}
	if len(mains) != 1 {
		return "", usage(fmt.Errorf("--package has to say which is the main package: there are %d (%s)", len(mains), strings.Join(mains, ", ")))
	}
	return mains[0], nil
}

// ask returns given, or the answer of who sits at the terminal, or def.
func (o output) ask(in *bufio.Scanner, what, given, def string) string {
	if given != "" || !o.asks {
		return cmp.Or(given, def)
	}
	if def == "" {
		fmt.Fprintf(o.err, "%s: ", what)
	} else {
		fmt.Fprintf(o.err, "%s [%s]: ", what, def)
	}
	if !in.Scan() {
		return def
	}
	return cmp.Or(strings.TrimSpace(in.Text()), def)
}

type updateCommand struct {
	Dir  string   `arg:"" default:"." help:"Folder of the project."`
	Keep []string `placeholder:"FILE" help:"Decide a conflict: yours stays as it is."`
	Take []string `placeholder:"FILE" help:"Decide a conflict: the bundle's replaces yours."`
	Diff bool     `help:"Only show what would be done."`
}

// Run is called by kong.
func (c *updateCommand) Run(o output) error {
	r, err := project.Update(project.UpdateOptions{Dir: c.Dir, Version: version.Number, Diff: c.Diff, Keep: c.Keep, Take: c.Take})
	r.Print(o.out)
	if err == nil && len(r.Changes) == 0 {
		fmt.Fprintf(o.out, "%d files, all as version %s has them or as you have changed them\n", r.Same, version.Number)
	}
	return ended(r, err)
}
