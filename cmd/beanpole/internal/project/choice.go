package project

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/mod/module"
	"golang.org/x/text/unicode/norm"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// Choice is what a project is asked for.
type Choice struct {
	// Application and Environment are the names on Elastic Beanstalk, Region is where it runs.
	Application, Environment, Region string
	// Platform is the environment's.
	Platform lint.Platform
	// Variants are laid over the bundle. No two of them have to do with the same file.
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
	if err := c.values(); err != nil {
		return err
	}
	_, err := Layers(c.layers(), Variant)
	return err
}

// values is Check of each value by itself.
func (c Choice) values() error {
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
	for _, v := range c.Variants {
		if v == "direct" && c.Platform == lint.Docker {
			return &UsageError{"variant", v, "another on the Docker platform, whose instances have no port of the container's"}
		}
	}
	return nil
}

// layers returns the variants with that of the platform.
func (c Choice) layers() []string {
	if c.Platform == lint.Docker && !slices.Contains(c.Variants, "docker") {
		return append([]string{"docker"}, c.Variants...)
	}
	return c.Variants
}

// since says what is as it was in the choice before, and what is another.
func (c Choice) since(before Choice) (said []string) {
	var same []string
	for _, of := range []struct{ name, before, now string }{
		{"application", before.Application, c.Application},
		{"environment", before.Environment, c.Environment},
		{"region", before.Region, c.Region},
		{"platform", string(before.Platform), string(c.Platform)},
		{"variants", before.variants(), c.variants()},
		{"package", before.Package, c.Package},
	} {
		if of.before == of.now {
			same = append(same, of.name+" "+of.now)
			continue
		}
		said = append(said, fmt.Sprintf("changed: %s %s, before %s", of.name, of.now, of.before))
	}
	return append([]string{"as before: " + strings.Join(same, ", ")}, said...)
}

func (c Choice) variants() string { return cmp.Or(strings.Join(c.Variants, " "), "none") }

// Names returns what names to take by default for a project in a folder of that name. They are "" where letters would get
// lost: another name than the folder's has to be said, and not guessed.
func Names(folder string) (application, environment, module string) {
	base := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1 // the dots of an ü, which norm has taken off
		}
		return r
	}, norm.NFKD.String(strings.ToLower(filepath.Base(folder))))
	if strings.ContainsFunc(base, func(r rune) bool { return r > unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) }) {
		return "", "", ""
	}
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(base, "-"), "-")
	name = strings.TrimRight(name[:min(len(name), 29)], "-")
	if name == "" {
		return "", "", ""
	}
	return name, name + "-production", "example.com/" + name
}
