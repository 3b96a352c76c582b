package project

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// Choice is what a project is asked for.
type Choice struct {
	// Application and Environment are the names on Elastic Beanstalk, Region is where it runs.
	Application, Environment, Region string
	// Platform is the environment's.
	Platform lint.Platform
	// Variants are laid over the bundle, in this order.
	Variants []string
	// Module is the path of a new module.
	Module string
	// Package is the main package, as "." or "./cmd/server".
	Package string
}

// UsageError is a choice that is not allowed.
type UsageError struct{ Name, Value, Allowed string }

// Error says what is allowed.
func (e *UsageError) Error() string {
	return fmt.Sprintf("--%s=%s: it has to be %s", e.Name, e.Value, e.Allowed)
}

var (
	environmentName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{2,38})[A-Za-z0-9]$`)
	applicationName = regexp.MustCompile(`^[^/\s:#"'{}\[\]&*!|>%@,?-][^/:#\r\n]{0,98}$`)
	regionName      = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	packagePath     = regexp.MustCompile(`^(\.|\./[A-Za-z0-9_./-]+)$`)
)

// Check returns a *UsageError for the first value that is not allowed, or nil.
func (c Choice) Check() error {
	for _, rule := range []struct {
		ok                   bool
		name, value, allowed string
	}{
		{applicationName.MatchString(c.Application), "application", c.Application, "1 to 100 letters without / : and #"},
		{environmentName.MatchString(c.Environment), "environment", c.Environment, "4 to 40 letters, digits and dashes, a dash neither first nor last"},
		{regionName.MatchString(c.Region), "region", c.Region, "a region of AWS, such as eu-central-1"},
		{c.Platform == lint.Go || c.Platform == lint.Docker, "platform", string(c.Platform), "go or docker"},
		{packagePath.MatchString(c.Package) && !strings.Contains(c.Package, ".."), "package", c.Package, "a folder of the module, such as . or ./cmd/server"},
		{c.Module == "" || module.CheckImportPath(c.Module) == nil, "module", c.Module, "a module path, such as example.com/hello"},
	} {
		if !rule.ok {
			return &UsageError{rule.name, rule.value, rule.allowed}
		}
	}
	all := Variants()
	for _, v := range c.Variants {
		if !slices.Contains(all, v) {
			return &UsageError{"variant", v, "one of " + strings.Join(all, ", ")}
		}
		if v == "direct" && c.Platform == lint.Docker {
			return &UsageError{"variant", v, "another on the Docker platform, whose instances have no port of the container's"}
		}
	}
	return nil
}

// Names returns what names to take by default for a project in a folder of that name.
func Names(folder string) (application, environment, module string) {
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(path.Base(folder)), "-"), "-")
	if name == "" {
		name = "hello"
	}
	name = strings.TrimRight(name[:min(len(name), 29)], "-")
	return name, name + "-production", "example.com/" + name
}
