package project

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// older makes of a project one that a version with another Procfile and load balancer has made.
func older(t *testing.T, dir string, with map[string]string) {
	t.Helper()
	f, err := openFolder(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	m, err := readManifest(f)
	if err != nil {
		t.Fatal(err)
	}
	m.Version = "0.0.1"
	for name, text := range with {
		m.base[name] = text
	}
	if err := writeManifest(f, m); err != nil {
		t.Fatal(err)
	}
}

// A second init, of a newer program, brings the bundle as update does: what it leaves open is open for update too.
func TestInitAgainIsAnUpdate(t *testing.T) {
	dir := existing(t)
	o := Options{Dir: dir, Choice: good(), Version: "0.1.0"}
	if _, err := Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	const untouched, conflict = "Procfile", "Buildfile"
	older(t, dir, map[string]string{untouched: "web: older\n", conflict: "build: older\n"})
	put(t, dir, untouched, "web: older\n")
	put(t, dir, conflict, "build: mine\n")
	r, err := Init(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	actions := map[string]Action{}
	for _, c := range r.Changes {
		actions[c.Name] = c.Action
	}
	if len(actions) != 2 || actions[untouched] != Updated || actions[conflict] != Conflict {
		t.Errorf("done: %v", actions)
	}
	if u, err := Update(UpdateOptions{Dir: dir}); err != nil || len(u.Open()) != 1 || u.Open()[0].Name != conflict {
		t.Errorf("update finds %v, %v", u.Changes, err)
	}
	if readFile(t, dir, conflict) != "build: mine\n" {
		t.Error("a conflict was overwritten")
	}
	o.Force = true
	if r, err = Init(t.Context(), o); err != nil || len(r.Open()) > 0 || !strings.HasPrefix(readFile(t, dir, conflict), "build: go build") {
		t.Errorf("--force: %v, %v", r, err)
	}
}

// With another choice the bundle becomes that one's, with the project's own changes, and what has changed is said.
func TestInitAgainWithAnotherChoice(t *testing.T) {
	dir := existing(t)
	o := Options{Dir: dir, Choice: good()}
	o.Choice.Variants = []string{"single-instance"}
	if _, err := Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got, known, err := Remembered(dir); err != nil || !known || !slices.Equal(got.Variants, o.Choice.Variants) || got.Region != "eu-central-1" {
		t.Errorf("remembered: %v, %v, %v", got, known, err)
	}
	config := ".elasticbeanstalk/config.yml"
	put(t, dir, config, strings.Replace(readFile(t, dir, config), "sc: null", "sc: git", 1))
	o.Choice.Variants, o.Choice.Region = nil, "us-east-1"
	r, err := Init(t.Context(), o)
	if err != nil || len(r.Open()) > 0 {
		t.Fatalf("%v, %v", r.Changes, err)
	}
	said := strings.Join(r.Said, "\n")
	for _, want := range []string{"application hello", "changed: region us-east-1, before eu-central-1", "changed: variants none, before single-instance"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said: %s", want, said)
		}
	}
	if text := readFile(t, dir, config); !strings.Contains(text, "sc: git") || !strings.Contains(text, "default_region: us-east-1\n") {
		t.Errorf("config.yml: %s", text)
	}
	if text := readFile(t, dir, ".ebextensions/10-load-balancer.config"); strings.Contains(text, "SingleInstance") {
		t.Error("it is the bundle of the variant still")
	}
	readFile(t, dir, ".ebextensions/30-redis.config")
	// What the EB CLI keeps out of version control is made anew for who has checked the project out.
	if err := os.RemoveAll(filepath.Join(dir, ".elasticbeanstalk")); err != nil {
		t.Fatal(err)
	}
	if r, err = Init(t.Context(), o); err != nil || len(r.Changes) != 3 || len(r.Said) != 1 {
		t.Errorf("%v, %v", r, err)
	}
	readFile(t, dir, config)
}

// Whatever names are, the EB CLI reads them as they are.
// What another name, region, platform or load balancer needs is another environment; eb deploy is for what there is.
func TestInitAgainSaysWhatIsNext(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Choice)
		want   []string
	}{
		"nothing":        {func(*Choice) {}, []string{"eb deploy"}},
		"a variant":      {func(c *Choice) { c.Variants = []string{"redis-auth"} }, []string{"eb deploy"}},
		"a region":       {func(c *Choice) { c.Region = "us-east-1" }, []string{"eb create hello-production --elb-type application"}},
		"an application": {func(c *Choice) { c.Application = "other" }, []string{"eb create hello-production --elb-type application"}},
		"a name":         {func(c *Choice) { c.Environment, c.Variants = "other", []string{"single-instance"} }, []string{"eb create other --single"}},
		"a kind":         {func(c *Choice) { c.Variants = []string{"single-instance"} }, []string{"another name first", "eb create hello-production --single"}},
		"a balancer":     {func(c *Choice) { c.Variants = []string{"network-load-balancer"} }, []string{"another name first", "eb create hello-production --elb-type network"}},
		"a platform":     {func(c *Choice) { c.Platform = lint.Docker }, []string{"another name first", "eb create hello-production --elb-type application"}},
	} {
		o := Options{Dir: existing(t), Choice: good(), Version: "0.1.0"}
		if _, err := Init(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		test.change(&o.Choice)
		r, err := Init(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		last := r.Next[max(0, len(r.Next)-len(test.want)):]
		for i, want := range test.want {
			if len(last) != len(test.want) || !strings.HasSuffix(last[i], want) {
				t.Errorf("after %s: %q, want %q", name, r.Next, test.want)
				break
			}
		}
		if len(test.want) == 1 && strings.Contains(strings.Join(r.Next, " "), "#") {
			t.Errorf("after %s: %q", name, r.Next)
		}
	}
}

func TestNamesInYAML(t *testing.T) {
	for _, name := range []string{"null", "yes", "1234", "NULL", "1e10", "2026-11-29", "1_000", "日本 $1", `a'b"c\d`, "plain"} {
		c := good()
		c.Application, c.Environment = name, "1234"
		all, err := c.ebcli(name)
		if err != nil {
			t.Fatal(err)
		}
		text := all[".elasticbeanstalk/config.yml"]
		var config struct {
			Branches map[string]struct{ Environment any } `yaml:"branch-defaults"`
			Global   struct {
				Name any `yaml:"application_name"`
			}
		}
		if err := yaml.Unmarshal([]byte(text), &config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if config.Global.Name != name || config.Branches[name].Environment != "1234" {
			t.Errorf("%q became %v: %s", name, config, text)
		}
		if name != "plain" && !strings.Contains(text, "application_name: \"") { // YAML 1.1 has more words and numbers
			t.Errorf("%s is not in quotes", name)
		}
	}
}

func TestVariantsThatExcludeEachOther(t *testing.T) {
	all := Variants()
	refused := map[string]bool{}
	for i, a := range all {
		for _, b := range all[i+1:] {
			for _, pair := range [][]string{{a, b}, {b, a}} {
				if _, err := Layers(pair, Variant); err != nil {
					if wrong := new(UsageError); !errors.As(err, &wrong) || strings.Contains(err.Error(), "\n") {
						t.Errorf("%v: %v", pair, err)
					}
					refused[pair[0]+" "+pair[1]] = true
				}
			}
		}
	}
	for _, pair := range []string{"redis-auth redis-serverless", "single-instance network-load-balancer", "direct shared-load-balancer", "single-instance redis-auth", "direct docker"} {
		a, b, _ := strings.Cut(pair, " ")
		if !refused[pair] || !refused[b+" "+a] {
			t.Errorf("%s are taken together", pair)
		}
	}
	for _, pair := range []string{"docker single-instance", "docker redis-auth", "network-load-balancer redis-serverless", "direct redis-auth"} {
		a, b, _ := strings.Cut(pair, " ")
		if refused[pair] || refused[b+" "+a] {
			t.Errorf("%s are refused", pair)
		}
	}
	// In whichever order.
	one, two := good(), good()
	one.Platform, two.Platform = lint.Docker, lint.Docker
	one.Variants, two.Variants = []string{"docker", "single-instance"}, []string{"single-instance", "docker"}
	a, err := one.bundle()
	if err != nil {
		t.Fatal(err)
	}
	b, err := two.bundle()
	if err != nil || len(a) != len(b) || a[".ebextensions/26-instance.config"] != "" || b[".ebextensions/26-instance.config"] != "" {
		t.Errorf("the order decides: %d and %d files, %v", len(a), len(b), err)
	}
}

func TestVersionControlIgnoresWhatPackMakes(t *testing.T) {
	for _, test := range []struct{ before, after string }{
		{"", "/build/\n"}, {"*.log", "*.log\n/build/\n"}, {"build\n", "build\n"}, {"/bin/\n/build/\n", "/bin/\n/build/\n"}, {"buildings\n", "buildings\n/build/\n"},
	} {
		dir := existing(t)
		if test.before != "" {
			put(t, dir, ".gitignore", test.before)
		}
		if _, err := Init(t.Context(), Options{Dir: dir, Choice: good()}); err != nil {
			t.Fatal(err)
		}
		if got := readFile(t, dir, ".gitignore"); got != test.after {
			t.Errorf("%q became %q, want %q", test.before, got, test.after)
		}
	}
	// What a repository above ignores needs no other file.
	dir := existing(t)
	put(t, dir, ".gitignore", "**/build/*.zip\n")
	if said, err := exec.Command("git", "-C", dir, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if _, err := Init(t.Context(), Options{Dir: dir, Choice: good()}); err != nil || readFile(t, dir, ".gitignore") != "**/build/*.zip\n" {
		t.Errorf("%v: %s", err, readFile(t, dir, ".gitignore"))
	}
}

// An init that did not come to its end is known as such, and goes on with what was chosen.
func TestAnInterruptedInitGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hello")
	o := Options{Dir: dir, Choice: good(), Version: "0.1.0", Replace: repository(t)}
	ctx, stop := context.WithCancel(t.Context())
	o.Progress = func(string) { stop() } // go mod tidy
	if _, err := Init(ctx, o); err == nil || !strings.Contains(err.Error(), "run beanpole init again") {
		t.Fatalf("err = %v", err)
	}
	if _, err := Update(UpdateOptions{Dir: dir}); !errors.Is(err, ErrUnfinished) {
		t.Errorf("update: %v", err)
	}
	if _, _, err := Laid(dir); !errors.Is(err, ErrUnfinished) {
		t.Errorf("pack: %v", err)
	}
	// As if it had been killed earlier.
	for _, name := range []string{"go.mod", "public/index.html", "Procfile"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if isModule, err := IsModule(dir); err != nil || isModule {
		t.Errorf("it is a module: %v, %v", isModule, err)
	}
	o.Progress = nil
	if r, err := Init(t.Context(), o); err != nil || len(r.Open()) > 0 {
		t.Fatalf("%v, %v", r.Open(), err)
	}
	for _, name := range []string{"go.mod", "public/index.html", "Procfile"} {
		readFile(t, dir, name)
	}
	if !strings.Contains(readFile(t, dir, "go.sum"), "github.com/gin-gonic/gin") {
		t.Error("go mod tidy has not run")
	}
	if u, err := Update(UpdateOptions{Dir: dir}); err != nil || len(u.Changes) > 0 {
		t.Errorf("update: %v, %v", u, err)
	}
}

// repository returns the folder of this one.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Below a workspace that does not name the project, the go command builds nothing of it.
func TestNextNamesTheWorkspace(t *testing.T) {
	above := t.TempDir()
	put(t, above, "lib/go.mod", "module example.com/lib\n\ngo 1.26\n")
	put(t, above, "lib/lib.go", "package lib\n")
	for work, want := range map[string]bool{"": false, "go 1.26\n\nuse ./lib\n": true, "go 1.26\n\nuse (\n\t./lib\n\t./shop\n)\n": false} {
		dir := filepath.Join(above, "shop")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "go.mod", "module example.com/shop\n\ngo 1.26\n")
		put(t, dir, "main.go", "package main\n\nfunc main() {}\n")
		if work != "" {
			put(t, above, "go.work", work)
		}
		r, err := Init(t.Context(), Options{Dir: dir, Choice: good()})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(r.Next, "go work use ."); got != want {
			t.Errorf("with %q it is named: %v", work, got)
		}
		if got, want := Vendor(t.Context(), dir), map[bool]string{false: "go mod vendor", true: "GOWORK=off go mod vendor"}[work != ""]; got != want {
			t.Errorf("with %q modules are brought by %q, want %q", work, got, want)
		}
		if err := os.RemoveAll(filepath.Join(above, "go.work")); err != nil {
			t.Fatal(err)
		}
	}
}
