package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func good() Choice {
	return Choice{Application: "hello", Environment: "hello-production", Region: "eu-central-1", Platform: lint.Go, Module: "example.com/hello", Package: "."}
}

// existing returns the folder of a module.
func existing(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "go.mod", "module example.com/shop\n\ngo 1.26\n")
	put(t, dir, "cmd/shop/main.go", "package main\n\nfunc main() {}\n")
	put(t, dir, "price/price.go", "package price\n")
	return dir
}

func TestAModuleGetsTheBundleAlone(t *testing.T) {
	dir := existing(t)
	mains, err := Mains(t.Context(), dir)
	if err != nil || len(mains) != 1 || mains[0] != "./cmd/shop" {
		t.Fatalf("main packages: %v, %v", mains, err)
	}
	c := good()
	c.Package = mains[0]
	before := readFile(t, dir, "go.mod")
	r, err := Init(t.Context(), Options{Dir: dir, Choice: c, Version: "0.1.0", Replace: "../beanpole"})
	if err != nil {
		t.Fatal(err)
	}
	if readFile(t, dir, "go.mod") != before {
		t.Error("go.mod was changed")
	}
	for name, want := range map[string]bool{".ebextensions/30-redis.config": true, "Procfile": true, ".elasticbeanstalk/config.yml": true, Manifest: true,
		".gitignore": true, "main.go": false, "Dockerfile": false, ".ebextensions/90-amazon-linux-1.config": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v", name, !want)
		}
	}
	if got, want := readFile(t, dir, "Buildfile"), "build: go build -trimpath -o bin/application ./cmd/shop\n"; got != want {
		t.Errorf("Buildfile is %q, want %q", got, want)
	}
	config := readFile(t, dir, ".elasticbeanstalk/config.yml")
	for _, want := range []string{"application_name: hello\n", "environment: hello-production\n", "default_region: eu-central-1\n", "  default:\n"} {
		if !strings.Contains(config, want) {
			t.Errorf("config.yml has no %q: %s", want, config)
		}
	}
	for _, script := range []string{".platform/hooks/predeploy/10_drain.sh", ".elasticbeanstalk/remove-sent-options.sh"} {
		info, err := os.Stat(filepath.Join(dir, script))
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", script, info, err)
		}
	}
	if next := strings.Join(r.Next, "\n"); !strings.Contains(next, "go mod edit -require="+Path+"@v0.1.0 -replace="+Path+"=../beanpole -tool="+Path+"/cmd/beanpole -tool="+Path+"/cmd/health\ngo mod tidy\n") {
		t.Errorf("next: %s", next)
	}
}

// What a module is said to lack it gets by the commands that are shown, with a checkout in whatever way.
func TestAModuleGetsWhatItLacks(t *testing.T) {
	checkout, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	const required = "module example.com/shop\n\ngo 1.26.0\n\nrequire " + Path + " v0.1.0\n"
	for name, files := range map[string]map[string]string{
		"nothing":     {},
		"a replace":   {"go.mod": required + "\nreplace " + Path + " => " + checkout + "\n"},
		"a workspace": {"go.mod": required, "go.work": "go 1.26.8\n\nuse (\n\t.\n\t" + checkout + "\n)\n\nreplace " + Path + " v0.1.0 => " + checkout + "\n"},
	} {
		dir := existing(t)
		for file, text := range files {
			put(t, dir, file, text)
		}
		c := good()
		c.Package = "./cmd/shop"
		r, err := Init(t.Context(), Options{Dir: dir, Choice: c, Version: "0.1.0", Replace: checkout})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range r.Next {
			words := strings.Fields(line)
			if words[0] != "go" {
				continue // of the bundle, or to go there
			}
			if _, err := goCommand(t.Context(), dir, words[1:]...); err != nil {
				t.Fatalf("with %s, %s: %v", name, line, err)
			}
		}
		list, err := goCommand(t.Context(), dir, "list", "tool")
		if got := slices.Sorted(strings.FieldsSeq(list)); err != nil || !slices.Equal(got, tools[:]) {
			t.Errorf("with %s the tools are %q, %v", name, got, err)
		}
		if r, err = Init(t.Context(), Options{Dir: dir, Choice: c, Version: "0.1.0", Replace: checkout}); err != nil || r.Next[0] != "beanpole lint" {
			t.Errorf("with %s, afterwards: %v, %v", name, r.Next, err)
		}
	}
}

// variantsOf returns the variants that a platform has, and "" for none.
func variantsOf(platform lint.Platform) []string {
	all := append([]string{""}, Variants()...)
	return slices.DeleteFunc(all, func(v string) bool { return v == "direct" && platform == lint.Docker })
}

// The bundle of every platform and variant has nothing that lint complains about.
func TestEveryBundleIsSound(t *testing.T) {
	for _, platform := range []lint.Platform{lint.Go, lint.Docker} {
		for _, v := range variantsOf(platform) {
			dir, c := existing(t), good()
			if c.Platform, c.Package = platform, "./cmd/shop"; v != "" && (v != "docker" || platform == lint.Docker) {
				c.Variants = []string{v}
			}
			if _, err := Init(t.Context(), Options{Dir: dir, Choice: c}); err != nil {
				t.Fatal(err)
			}
			// As it is without what pack makes, which is deployed in its place.
			if err := errors.Join(os.Remove(filepath.Join(dir, ".elasticbeanstalk/config.yml")), os.WriteFile(filepath.Join(dir, "go.sum"), nil, 0o644),
				os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/shop\n\nrequire "+Path+" v0.1.0\n"), 0o644)); err != nil {
				t.Fatal(err)
			}
			b, err := lint.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range lint.Run(t.Context(), b, lint.Options{Platform: platform, Nginx: "off"}) {
				t.Errorf("%s, variant %q: %s: %s", platform, v, f.Where(), f.What)
			}
			_ = b.Close()
			if got, _, err := Laid(dir); err != nil || got != platform {
				t.Errorf("made for %s, %v, want %s", got, err, platform)
			}
		}
	}
}

func TestNothingIsOverwrittenUnseen(t *testing.T) {
	dir := existing(t)
	put(t, dir, "Procfile", "web: mine\n")
	o := Options{Dir: dir, Choice: good()}
	differs := func(r Report, want Action) {
		t.Helper()
		for _, c := range r.Changes {
			if c.Name == "Procfile" {
				if c.Action != want || !strings.Contains(c.Diff, "-web: mine\n+web: bin/application\n") {
					t.Errorf("Procfile: %s, %s", c.Action, c.Diff)
				}
				return
			}
		}
		t.Error("nothing is said of Procfile")
	}
	o.Diff = true
	r, err := Init(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	differs(r, Differs)
	if _, err := os.Stat(filepath.Join(dir, ".platform")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("--diff has written something")
	}
	o.Diff = false
	if r, err = Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	differs(r, Differs)
	if got := readFile(t, dir, "Procfile"); got != "web: mine\n" || len(r.Open()) != 1 {
		t.Errorf("Procfile is %q, open: %v", got, r.Open())
	}
	// It is asked about until somebody decides.
	for range 2 {
		u, err := Update(UpdateOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		differs(u, Differs)
	}
	if _, err := Update(UpdateOptions{Dir: dir, Keep: []string{"Procfile"}}); err != nil {
		t.Fatal(err)
	}
	if u, err := Update(UpdateOptions{Dir: dir}); err != nil || len(u.Changes) > 0 {
		t.Errorf("%v, %v", u, err)
	}
	o.Force = true
	if r, err = Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	differs(r, Replaced)
	if got := readFile(t, dir, "Procfile"); got != "web: bin/application\n" || len(r.Open()) != 0 {
		t.Errorf("Procfile is %q, open: %v", got, r.Open())
	}
}

// A link of the project does not lead its files elsewhere.
func TestLinksDoNotLeadOut(t *testing.T) {
	dir, elsewhere := existing(t), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, ".platform")); err != nil {
		t.Skip(err)
	}
	if _, err := Init(t.Context(), Options{Dir: dir, Choice: good()}); err == nil {
		t.Error("a link was followed out of the folder")
	}
	if list, err := os.ReadDir(elsewhere); err != nil || len(list) > 0 {
		t.Errorf("%v was written through the link, %v", list, err)
	}
}

func TestGoFilesWithoutAModule(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "main.go", "package main\n")
	if _, err := Init(t.Context(), Options{Dir: dir, Choice: good()}); !errors.Is(err, ErrNoModule) {
		t.Errorf("err = %v, want ErrNoModule", err)
	}
}

// A package of a module has its bundle at the top of that.
func TestPackagesOfAModuleAbove(t *testing.T) {
	dir := existing(t)
	if _, err := IsModule(filepath.Join(dir, "cmd/shop")); err == nil || !strings.Contains(err.Error(), "in "+dir+": run beanpole init --package ./cmd/shop there") {
		t.Errorf("%v", err)
	}
	for given, want := range map[string]string{"cmd/shop": "./cmd/shop", "./cmd/shop": "./cmd/shop", "cmd/shop/": "./cmd/shop", "./cmd/../cmd/shop": "./cmd/shop", ".": ".", "": "",
		"..": "..", "example.com/shop/cmd/shop": "example.com/shop/cmd/shop", "cmd/none": "cmd/none"} {
		if got := PackageIn(dir, given); got != want {
			t.Errorf("%q is %q, want %q", given, got, want)
		}
	}
}

func TestChoicesThatAreNotAllowed(t *testing.T) {
	for name, change := range map[string]func(*Choice){
		"application":                   func(c *Choice) { c.Application = "a/b" },
		"environment":                   func(c *Choice) { c.Environment = "-production" },
		"region":                        func(c *Choice) { c.Region = "Frankfurt" },
		"platform":                      func(c *Choice) { c.Platform = "php" },
		"package":                       func(c *Choice) { c.Package = "../other" },
		"module":                        func(c *Choice) { c.Module = "my module" },
		"variant":                       func(c *Choice) { c.Variants = []string{"../.."} },
		"variant of the other platform": func(c *Choice) { c.Platform, c.Variants = lint.Docker, []string{"direct"} },
	} {
		c := good()
		change(&c)
		if wrong := new(UsageError); !errors.As(c.Check(), &wrong) || !strings.HasPrefix(name, wrong.Name) {
			t.Errorf("%s: %v", name, c.Check())
		}
	}
	for folder, want := range map[string]string{"/srv/My Shop 2": "my-shop-2", strings.Repeat("long", 30): strings.Repeat("long", 8)[:29], "/x/ünï": "uni",
		"/x/123": "123", "/x/null": "null", "/": "", "/x/日本": "", "/x/shop-日本": "", "/x/straße": "", "/x/_": ""} {
		application, environment, module := Names(folder)
		c := good()
		if application != want {
			t.Errorf("%s becomes %q, want %q", folder, application, want)
		}
		if want == "" {
			continue // nothing is guessed
		}
		c.Application, c.Environment, c.Module = application, environment, module
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

func TestReplacementsOutside(t *testing.T) {
	dir := t.TempDir()
	for to, want := range map[string]string{"../b": "../b", "/srv/b": "/srv/b", "./b": "", "example.com/b v1.0.0": ""} {
		put(t, dir, "go.mod", "module example.com/a\n\ngo 1.26\n\nreplace example.com/b => "+to+"\n")
		if got, err := OutsideReplacement(dir); err != nil || got != want {
			t.Errorf("=> %s: %q, %v, want %q", to, got, err, want)
		}
	}
	put(t, dir, "go.mod", "module example.com/a\n\nreplace example.com/b => ../b\n")
	put(t, dir, "vendor/modules.txt", "")
	if got, err := OutsideReplacement(dir); err != nil || got != "" {
		t.Errorf("with a vendor folder: %q, %v", got, err)
	}
}
