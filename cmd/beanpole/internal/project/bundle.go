package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/beanpole/beanpole"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// files are texts by their slash-separated names.
type files map[string]string

// Layer is what a variant does to a bundle.
type Layer struct {
	Files  map[string]string // to put in, or in the place of others
	Remove []string          // to take away
}

// Variants returns the names of the variants that this program carries.
func Variants() (names []string) {
	entries, err := beanpole.Files.ReadDir("deploy")
	if err != nil {
		panic(err) // it is part of the program
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "ebcli" {
			names = append(names, e.Name())
		}
	}
	return names
}

// Variant returns the variant of that name among those of this program.
func Variant(name string) (Layer, error) {
	if !slices.Contains(Variants(), name) {
		return Layer{}, &UsageError{"variant", name, "one of " + strings.Join(Variants(), ", ")}
	}
	sub, err := fs.Sub(beanpole.Files, "deploy/"+name)
	if err != nil {
		return Layer{}, err
	}
	return ReadLayer(sub)
}

// Layers reads variants. They come in any order: no two of them have the same file, and what one takes away no other brings. A
// *UsageError names two that are not for the same bundle, as one would undo what the other does.
func Layers(names []string, read func(name string) (Layer, error)) ([]Layer, error) {
	var all []Layer
	for _, name := range names {
		l, err := read(name)
		if err != nil {
			return nil, err
		}
		for j, other := range all {
			if file := l.clash(other); file != "" && names[j] != name {
				return nil, &UsageError{"variant", names[j] + "," + name, "one of the two: both decide about " + file}
			}
		}
		all = append(all, l)
	}
	for _, l := range all {
		for _, other := range all {
			for _, name := range other.Remove {
				delete(l.Files, name)
			}
		}
	}
	return all, nil
}

// clash returns a file that both layers have, or one of a layer of which the other would leave nothing.
func (l Layer) clash(other Layer) string {
	for _, name := range slices.Sorted(maps.Keys(l.Files)) {
		if _, both := other.Files[name]; both {
			return name
		}
	}
	for _, pair := range [][2]Layer{{l, other}, {other, l}} {
		left := maps.Clone(pair[0].Files)
		for _, name := range pair[1].Remove {
			if delete(left, name); len(left) == 0 {
				return name
			}
		}
	}
	return ""
}

// ReadLayer reads the folder of a variant.
func ReadLayer(variant fs.FS) (Layer, error) {
	all, err := tree(variant, ".")
	if err != nil {
		return Layer{}, err
	}
	l := Layer{Files: all, Remove: strings.Fields(all["REMOVE"])}
	delete(all, "REMOVE")
	delete(all, "README.md")
	return l, nil
}

// tree returns the texts below a folder, by their names in fsys.
func tree(fsys fs.FS, dir string) (files, error) {
	all := make(files)
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".DS_Store" {
			return err
		}
		if !d.Type().IsRegular() {
			return &fs.PathError{Op: "open", Path: name, Err: foreign.ErrNoFile}
		}
		text, err := fs.ReadFile(fsys, name)
		all[name] = string(text)
		return err
	})
	return all, err
}

// notForProjects are files of the bundle that only this repository has a reason for.
var notForProjects = []string{
	".ebextensions/90-amazon-linux-1.config", // the command of old tutorials, kept for those who look for it
}

// bundle returns the files of the bundle that the choice comes to.
func (c Choice) bundle() (files, error) {
	all := make(files)
	for _, dir := range []string{".ebextensions", ".platform"} {
		some, err := tree(beanpole.Files, dir)
		if err != nil {
			return nil, err
		}
		for name, text := range some {
			all[name] = text
		}
	}
	for _, name := range []string{"Procfile", "Buildfile", "Dockerfile", ".dockerignore", ".ebignore", ".gitattributes"} {
		text, err := beanpole.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all[name] = string(text)
	}
	if c.Platform == lint.Go {
		delete(all, "Dockerfile")
		delete(all, ".dockerignore")
	}
	layers, err := Layers(c.layers(), Variant)
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		for name, text := range l.Files {
			all[name] = text
		}
		for _, name := range l.Remove {
			delete(all, name)
		}
	}
	for _, name := range notForProjects {
		delete(all, name)
	}
	return all, c.name(all)
}

// name puts the names of the project where the bundle has those of this repository.
func (c Choice) name(all files) error {
	var missing error
	put := func(file, pattern, with string) {
		text, there := all[file]
		if !there {
			return
		}
		re := regexp.MustCompile(`(?m)` + pattern)
		if !re.MatchString(text) {
			missing = errors.Join(missing, fmt.Errorf("bundle: %s has no %s", file, pattern))
		}
		all[file] = re.ReplaceAllString(text, "${1}"+strings.ReplaceAll(with, "$", "$$"))
	}
	put("Buildfile", `^(build: go build .*)\./examples/chat$`, c.Package)
	put("Dockerfile", `^(ARG APPLICATION=)\S+$`, c.Package)
	return missing
}

// ebcli returns the configuration of the EB CLI, and what mends an environment that was made without. branch is the one that deploys to the environment.
func (c Choice) ebcli(branch string) (files, error) {
	text, err := beanpole.Files.ReadFile("deploy/ebcli/config.yml")
	if err != nil {
		return nil, err
	}
	platform := "Go 1 running on 64bit Amazon Linux 2023"
	if c.Platform == lint.Docker {
		platform = "Docker running on 64bit Amazon Linux 2023"
	}
	out := string(text)
	for _, put := range [][2]string{
		{`^  main:$`, "  " + scalar(branch) + ":"},
		{`^    environment: .*$`, "    environment: " + scalar(c.Environment)},
		{`^  application_name: .*$`, "  application_name: " + scalar(c.Application)},
		{`^  default_region: .*$`, "  default_region: " + c.Region},
		{`^  default_platform: .*$`, "  default_platform: " + platform},
	} {
		re := regexp.MustCompile(`(?m)` + put[0])
		if !re.MatchString(out) {
			return nil, fmt.Errorf("bundle: deploy/ebcli/config.yml has no %s", put[0])
		}
		out = re.ReplaceAllLiteralString(out, put[1])
	}
	sub, err := fs.Sub(beanpole.Files, "deploy/ebcli")
	if err != nil {
		return nil, err
	}
	all, err := tree(sub, ".")
	if err != nil {
		return nil, err
	}
	all["config.yml"] = out
	named := make(files)
	for name, text := range all {
		named[".elasticbeanstalk/"+name] = text
	}
	return named, nil
}

// A plain text is one for every reader of YAML, also for those that take yes and 1:20 for something else.
var (
	plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
	yamlWord  = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

// scalar is a text as YAML has it.
func scalar(text string) string {
	if plainText.MatchString(text) && !yamlWord.MatchString(text) {
		return text
	}
	quoted, _ := json.Marshal(text) // a text of JSON is one of YAML
	return string(quoted)
}

// mode returns the permissions of a file of the bundle: what has this ending is run, by an instance or by hand.
func mode(name string) fs.FileMode {
	if path.Ext(name) == ".sh" {
		return 0o755
	}
	return 0o644
}

// clean is name as the project's files are called, with slashes.
func clean(name string) string { return path.Clean(filepath.ToSlash(name)) }
