package pack

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
)

// shop is a project of two programs, with files that they read.
func shop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(folder(t))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"examples", "deploy", "Dockerfile", ".dockerignore"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, "main.go", "package main\n\nimport \"embed\"\n\n//go:embed public\nvar public embed.FS\n\nvar mark = \"none\"\n\nfunc main() { println(mark) }\n")
	put(t, dir, "tagged.go", "//go:build special\n\npackage main\n\nfunc init() { println(\"special-build\") }\n")
	put(t, dir, "public/index.html", "<h1>\n")
	put(t, dir, "worker/main.go", "package main\n\nfunc main() { println(\"worker\") }\n")
	put(t, dir, "Buildfile", "web: go build -o bin/application -tags=special -ldflags '-X main.mark=marked-build' .\nwork: go build -o bin/ ./worker\n")
	put(t, dir, "Procfile", "web: bin/application\nworker: ./start.sh bin/worker\n")
	put(t, dir, "start.sh", "#!/bin/sh\nexec $1\n")
	put(t, dir, "templates/page.html", "<p>\n")
	put(t, dir, "templates/README.md", "for people\n")
	put(t, dir, "static/app.js", "x\n")
	put(t, dir, "docs/plan.txt", "x\n")
	put(t, dir, "prices.json", "{}\n")
	put(t, dir, "Makefile", "x\n")
	return dir
}

// The processes and the flags of the project are its own; what its programs read is beside them.
func TestPackKeepsProcfileAndBuildfile(t *testing.T) {
	dir := shop(t)
	out := filepath.Join(dir, "app.zip")
	r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: ARM64, Nginx: "off"})
	if err != nil {
		t.Fatalf("%v: %v", err, r.Findings)
	}
	files := unpack(t, out)
	if got := string(content(t, files["Procfile"])); got != "web: bin/application\nworker: ./start.sh bin/worker\n" {
		t.Errorf("the Procfile is %q", got)
	}
	for _, name := range []string{"bin/application", "bin/worker"} {
		program, err := elf.NewFile(bytes.NewReader(content(t, files[name])))
		if err != nil || program.Machine != elf.EM_AARCH64 || files[name].Mode != 0o755 {
			t.Errorf("%s: %v, %v", name, files[name].Mode, err)
		}
	}
	for _, mark := range []string{"special-build", "marked-build"} {
		if !bytes.Contains(content(t, files["bin/application"]), []byte(mark)) {
			t.Errorf("a flag is lost: there is no %s", mark)
		}
	}
	if files["start.sh"] == nil || files["start.sh"].Mode != 0o755 {
		t.Error("what the Procfile runs is not shipped, or cannot run")
	}
	for name, want := range map[string]bool{"templates/page.html": true, "static/app.js": true, "public/index.html": false, "templates/README.md": false,
		"docs/plan.txt": false, "prices.json": false, "worker/main.go": false, "Buildfile": false, "go.mod": false} {
		if got := files[name] != nil; got != want {
			t.Errorf("%s is shipped: %v", name, got)
		}
	}
	if !slices.Equal(r.Loose, []string{"prices.json"}) || len(r.Folders) != 2 || r.Folders[1] != (Folder{"templates", 1, 4}) {
		t.Errorf("said: %v, %v", r.Loose, r.Folders)
	}
	// Again, with the zip of before in the folder, and what was left out.
	if r, err = Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off", Include: []string{"prices.json"}}); err != nil || len(r.Loose) > 0 {
		t.Fatalf("%v: %v", err, r)
	}
	if files := unpack(t, out); files["worker/main.go"] == nil || slices.ContainsFunc(r.Folders, func(f Folder) bool { return f.Name == "worker" }) {
		t.Errorf("Go code is not shipped, or said to be for the program to read: %v", r.Folders)
	}
	if files := unpack(t, out); files["prices.json"] == nil || files["app.zip"] != nil {
		t.Error("--include has no effect, or the zip is in itself")
	}
}

// A line that only an instance can do is refused, and so is what would be lost.
func TestBuildfilesThatPackCannotDo(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "go.mod", "module example.com/app\n")
	for line, want := range map[string]string{
		"build: npm run build":                                  `Buildfile:1: "npm run build": pack does nothing but`,
		"build: go generate ./...":                              "pack does nothing but",
		"build: go build -o bin/application . && cp a b":        "is no single command",
		"build: go build -o bin/application . >log":             "is no single command",
		"build: go build -o bin/application . &":                "is no single command",
		"build: go build -o bin/application -ldflags=$(date) .": "pack does nothing but",
		"build: go build -o bin/application -tags $NOT_SET_X .": "NOT_SET_X",
		"build: go build .":                                     "has no -o",
		"build: go build -o ../application .":                   "writes outside",
		"build: go build -C cmd/x -o ../../../application .":    "writes outside",
		"build: GOARCH=386 go build -o bin/application .":       "it sets GOARCH=386",
		"build: go build -o bin/x ./nonsense":                   "nonsense",
		"build: go build -o 'bin/x .":                           "is no single command",
	} {
		put(t, dir, "Buildfile", line+"\n")
		all, err := steps(dir, "")
		if err == nil {
			err = all[0].build(t.Context(), &lint.Bundle{}, Options{Dir: dir, Kind: AMD64})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

func TestLinesOfABuildfile(t *testing.T) {
	t.Setenv("MARK", "a b")
	for command, want := range map[string]step{
		"go build -o bin/x .": {output: "bin/x", packages: []string{"."}},
		"CGO_ENABLED=1 go build -race -o=bin/x -tags a,b ./x":              {env: []string{"CGO_ENABLED=1"}, flags: []string{"-race", "-tags", "a,b"}, output: "bin/x", packages: []string{"./x"}},
		`go build -C cmd --ldflags="-X 'main.m=$MARK'" -o ../bin/ ./a ./b`: {dir: "cmd", flags: []string{"--ldflags=-X 'main.m=a b'"}, output: "bin/", packages: []string{"./a", "./b"}},
	} {
		got, err := parseStep(command)
		if err != nil || got.output != want.output || got.dir != want.dir || !slices.Equal(got.env, want.env) || !slices.Equal(got.flags, want.flags) || !slices.Equal(got.packages, want.packages) {
			t.Errorf("%s: %+v, %v, want %+v", command, got, err, want)
		}
	}
}

// --package is the main package of bin/application, whatever else there is.
func TestPackageOfTheApplication(t *testing.T) {
	dir := shop(t)
	all, err := steps(dir, "./other")
	if err != nil || len(all) != 2 || all[0].packages[0] != "./other" || all[1].packages[0] != "./worker" {
		t.Errorf("%v, %v", all, err)
	}
	put(t, dir, "Buildfile", "build: go build -o bin/server .\n")
	if _, err := steps(dir, "./other"); err == nil || !strings.Contains(err.Error(), "name the package there") {
		t.Errorf("err = %v", err)
	}
	if _, err := Pack(t.Context(), Options{Dir: dir, Kind: Source, Package: "./worker"}); err == nil || !errors.As(err, new(*project.UsageError)) {
		t.Errorf("with source: %v", err)
	}
}

// Nothing is overwritten that is no zip.
func TestPackOverwritesZipsAlone(t *testing.T) {
	dir := shop(t)
	before := []byte("package main\n")
	file := filepath.Join(dir, "worker/main.go")
	if err := os.WriteFile(file, before, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Pack(t.Context(), Options{Dir: dir, Output: file, Kind: AMD64, Nginx: "off"})
	if wrong := new(project.UsageError); !errors.As(err, &wrong) {
		t.Errorf("err = %v", err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, before) {
		t.Errorf("the source is %q, %v", got, err)
	}
	if _, err := Pack(t.Context(), Options{Dir: dir, Output: dir, Kind: AMD64, Nginx: "off"}); err == nil {
		t.Error("a folder was taken for a zip")
	}
}

// Source is looked at as the instance will have it: without workspaces, folders around it, and what pack leaves out.
func TestSourceThatNoInstanceCanBuild(t *testing.T) {
	library := "package library\n\nconst Mark = 1\n"
	program := "package main\n\nimport \"example.com/library\"\n\nfunc main() { println(library.Mark) }\n"
	app := func() (dir string) {
		dir = filepath.Join(t.TempDir(), "app")
		if err := os.CopyFS(dir, os.DirFS(folder(t))); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "go.mod", "module example.com/app\n\ngo 1.26\n\nrequire example.com/library v0.1.0\n")
		put(t, dir, "examples/chat/main.go", program)
		return dir
	}
	pack := func(dir string, kind Kind) (map[string]*fs.FileMode, error) {
		out := filepath.Join(t.TempDir(), "app.zip")
		r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: kind, Nginx: "off"})
		if errors.Is(err, ErrRefused) {
			t.Errorf("%v", r.Findings)
		}
		names := map[string]*fs.FileMode{}
		if err == nil {
			for name, f := range unpack(t, out) {
				names[name] = &f.Mode
			}
		}
		return names, err
	}

	// A workspace around the project: a program can be built, the instance has nothing of it.
	dir := app()
	put(t, dir, "../library/go.mod", "module example.com/library\n\ngo 1.26\n")
	put(t, dir, "../library/library.go", library)
	put(t, dir, "../go.work", "go 1.26\n\nuse (\n\t./app\n\t./library\n)\n\nreplace example.com/library v0.1.0 => ./library\n")
	t.Setenv("GOPROXY", "off")
	if _, err := pack(dir, ARM64); err != nil {
		t.Errorf("a program: %v", err)
	}
	if _, err := pack(dir, Source); err == nil || !strings.Contains(err.Error(), "GOWORK=off go mod vendor") {
		t.Errorf("source: %v", err)
	}

	// A workspace of the project's own is shipped, unless it leads out.
	dir = app()
	put(t, dir, "library/go.mod", "module example.com/library\n\ngo 1.26\n")
	put(t, dir, "library/library.go", library)
	put(t, dir, "go.work", "go 1.26\n\nuse (\n\t.\n\t./library\n)\n\nreplace example.com/library v0.1.0 => ./library\n")
	if names, err := pack(dir, Source); err != nil || names["go.work"] == nil || names["library/library.go"] == nil {
		t.Errorf("a workspace of its own: %v", err)
	}

	// A package in a folder that is left out.
	dir = folder(t)
	put(t, dir, "go.mod", "module example.com/app\n\ngo 1.26\n")
	put(t, dir, "test/tool/tool.go", "package tool\n\nconst Mark = 1\n")
	put(t, dir, "examples/chat/main.go", "package main\n\nimport \"example.com/app/test/tool\"\n\nfunc main() { println(tool.Mark) }\n")
	if _, err := pack(dir, Source); err == nil || !strings.Contains(err.Error(), "example.com/app/test/tool") {
		t.Errorf("a package that is left out: %v", err)
	}
}

func TestVariantsBesideThoseOfTheProject(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "go.mod", "module example.com/shop\n\ngo 1.26\n")
	put(t, dir, "main.go", "package main\n\nfunc main() {}\n")
	choice := project.Choice{Application: "shop", Environment: "shop-production", Region: "eu-central-1", Platform: "go", Package: ".", Variants: []string{"single-instance"}}
	if _, err := project.Init(t.Context(), project.Options{Dir: dir, Choice: choice}); err != nil {
		t.Fatal(err)
	}
	_, err := Pack(t.Context(), Options{Dir: dir, Nginx: "off", Variants: []string{"network-load-balancer"}})
	if wrong := new(project.UsageError); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "single-instance,network-load-balancer") {
		t.Errorf("err = %v", err)
	}
}

func FuzzBuildfile(f *testing.F) {
	f.Add("go build -trimpath -o bin/application ./examples/chat")
	f.Add(`A=1 go build -ldflags "-X a=b" -o x`)
	f.Fuzz(func(t *testing.T, command string) {
		s, err := parseStep(command)
		if err == nil && (!filepath.IsLocal(s.output) || s.output == "") {
			t.Errorf("%q writes to %q", command, s.output)
		}
	})
}

// What is advised can be done: on Docker there is no program to ship, and within a workspace modules are brought without it.
func TestAdviceForSourceThatCannotBeBuilt(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "app")
	put(t, dir, "go.mod", "module example.com/app\n\ngo 1.26\n\nreplace example.com/library => ../library\n")
	for _, work := range []bool{false, true} {
		if work {
			put(t, above, "go.work", "go 1.26\n\nuse ./app\n")
		}
		for _, platform := range []lint.Platform{lint.Go, lint.Docker} {
			_, err := Pack(t.Context(), Options{Dir: dir, Output: filepath.Join(t.TempDir(), "x.zip"), Platform: platform, Kind: Source})
			if err == nil || !strings.Contains(err.Error(), "go mod vendor") || strings.Contains(err.Error(), "--arch") != (platform == lint.Go) ||
				strings.Contains(err.Error(), "GOWORK=off go mod vendor") != work {
				t.Errorf("%s, in a workspace %t: %v", platform, work, err)
			}
		}
	}
	var bad *project.UsageError
	if _, err := Pack(t.Context(), Options{Dir: dir, Platform: lint.Docker, Kind: AMD64}); !errors.As(err, &bad) || bad.Name != "arch" {
		t.Errorf("a program for Docker: %v", err)
	}
}
