package pack

import (
	"bytes"
	"cmp"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
)

// The clock of the regular expressions of lint ends by itself, a while after the last.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

const top = "../../../.."

// folder makes a folder with this repository's bundle files and a small application.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{".ebextensions", ".platform", "deploy"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(top, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"Procfile", "Buildfile", "Dockerfile", ".dockerignore"} {
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, name, string(text))
	}
	put(t, dir, "go.mod", "module example.com/app\n\ngo 1.26\n\nrequire "+lint.Module+" v0.1.0\n")
	put(t, dir, "go.sum", "")
	put(t, dir, "examples/chat/main.go", "package main\n\nfunc main() { println(\"hello\") }\n")
	put(t, dir, "examples/chat/main_test.go", "package main\n")
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unpack returns the files of a zip.
func unpack(t *testing.T, name string) map[string]*lint.File {
	t.Helper()
	b, err := lint.OpenZip(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.Files
}

func content(t *testing.T, f *lint.File) []byte {
	t.Helper()
	if f == nil {
		t.Fatal("file is missing")
	}
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPackShipsAStaticProgram(t *testing.T) {
	dir := folder(t)
	// As a checkout on Windows leaves them: no modes, CR LF.
	hook := ".platform/hooks/predeploy/10_drain.sh"
	text, err := os.ReadFile(filepath.Join(dir, hook))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, hook, string(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))))
	if err := os.Chmod(filepath.Join(dir, hook), 0o644); err != nil {
		t.Fatal(err)
	}

	out := filepath.Join(t.TempDir(), "app.zip")
	r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: ARM64})
	if err != nil {
		t.Fatalf("%v: %v", err, r.Findings)
	}
	files := unpack(t, out)
	program, err := elf.NewFile(bytes.NewReader(content(t, files["bin/application"])))
	if err != nil {
		t.Fatal(err)
	}
	if program.Machine != elf.EM_AARCH64 {
		t.Errorf("program is for %v", program.Machine)
	}
	for name, mode := range map[string]fs.FileMode{"bin/application": 0o755, hook: 0o755, "Procfile": 0o644} {
		if got := files[name].Mode; got != mode {
			t.Errorf("mode of %s is %v, want %v", name, got, mode)
		}
	}
	if bytes.Contains(content(t, files[hook]), []byte("\r")) {
		t.Error("the hook has kept its CR LF")
	}
	for _, name := range []string{"go.mod", "Buildfile", "deploy/README.md"} {
		if files[name] != nil {
			t.Errorf("%s is shipped with a program", name)
		}
	}
}

func TestPackIsReproducible(t *testing.T) {
	dir := folder(t)
	var zips [2][]byte
	for i := range zips {
		out := filepath.Join(t.TempDir(), "app.zip")
		if _, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off"}); err != nil {
			t.Fatal(err)
		}
		var err error
		if zips[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("the same folder gave two different zips")
	}
}

func TestPackShipsSource(t *testing.T) {
	out := filepath.Join(t.TempDir(), "app.zip")
	if _, err := Pack(t.Context(), Options{Dir: folder(t), Output: out, Kind: Source, Nginx: "off"}); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, out)
	for name, want := range map[string]bool{
		"go.mod": true, "Buildfile": true, "Procfile": true, "examples/chat/main.go": true, "examples/chat/main_test.go": false,
		"deploy/README.md": false, ".platform/nginx/nginx.conf": true,
	} {
		if got := files[name] != nil; got != want {
			t.Errorf("%s shipped: %v, want %v", name, got, want)
		}
	}
}

func TestVariantsAreSound(t *testing.T) {
	dir := folder(t)
	for _, o := range []Options{
		{Platform: lint.Docker},
		{Kind: Source, Variants: []string{"network-load-balancer"}},
		{Kind: Source, Variants: []string{"single-instance"}},
		{Kind: Source, Variants: []string{"shared-load-balancer"}},
		{Kind: Source, Variants: []string{"redis-auth"}},
		{Kind: Source, Variants: []string{"direct"}},
		{Kind: Source, Variants: []string{"redis-serverless"}},
		{Platform: lint.Docker, Variants: []string{"docker", "single-instance"}},
	} {
		o.Dir, o.Output = dir, filepath.Join(t.TempDir(), "app.zip")
		r, err := Pack(t.Context(), o)
		if err != nil || len(r.Findings) > 0 {
			t.Errorf("%v %v: %v %v", o.Platform, o.Variants, err, r.Findings)
		}
	}
}

// A program without Beanpole answers nothing of what the bundle asks. In a workspace its own go.mod does not tell.
func TestPackSaysThatBeanpoleIsMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	if err := os.Rename(folder(t), dir); err != nil {
		t.Fatal(err)
	}
	missing := func() bool {
		t.Helper()
		r, err := Pack(t.Context(), Options{Dir: dir, Output: filepath.Join(t.TempDir(), "app.zip"), Nginx: "off"})
		if err != nil {
			t.Fatalf("%v: %v", err, r.Findings)
		}
		return slices.ContainsFunc(r.Findings, func(f lint.Finding) bool { return f.Check == "no-beanpole" })
	}
	if missing() {
		t.Error("it is said of a module that requires it")
	}
	put(t, dir, "go.mod", "module example.com/app\n\ngo 1.26\n")
	if !missing() {
		t.Error("nothing is said of it")
	}
	put(t, dir, "../go.work", "go 1.26\n\nuse ./app\n")
	if missing() {
		t.Error("it is said in a workspace")
	}
}

func TestPackRefusesAWrongBundle(t *testing.T) {
	dir := folder(t)
	put(t, dir, ".platform/nginx/conf.d/x.conf", "location /x { return 200; }\n")
	out := filepath.Join(t.TempDir(), "app.zip")
	r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off"})
	if !errors.Is(err, ErrRefused) || len(r.Findings) == 0 {
		t.Errorf("Pack = %v, %v; want ErrRefused and a finding", r, err)
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the zip was written all the same")
	}
}

func TestPackSaysWhatDoesNotBuild(t *testing.T) {
	dir := folder(t)
	put(t, dir, "examples/chat/main.go", "package main\n\nfunc main() { nonsense }\n")
	if _, err := Pack(t.Context(), Options{Dir: dir, Nginx: "off"}); err == nil || !bytes.Contains([]byte(err.Error()), []byte("nonsense")) {
		t.Errorf("err = %v", err)
	}
}

func TestVariantsDoNotLeadOut(t *testing.T) {
	for _, v := range []string{"..", "../x", "/etc", "nothing"} {
		if _, err := Pack(t.Context(), Options{Dir: folder(t), Kind: Source, Variants: []string{v}, Nginx: "off"}); err == nil {
			t.Errorf("variant %q was taken", v)
		}
	}
}

// Without a folder deploy, variants are those of the program; the application is the one that the Buildfile builds.
func TestPackOfAProject(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "go.mod", "module example.com/shop\n\ngo 1.26\n\nreplace example.com/b => ../b\n")
	put(t, dir, "cmd/shop/main.go", "package main\n\nfunc main() {}\n")
	choice := project.Choice{Application: "shop", Environment: "shop-production", Region: "eu-central-1", Platform: lint.Go, Package: "./cmd/shop"}
	if _, err := project.Init(t.Context(), project.Options{Dir: dir, Choice: choice}); err != nil {
		t.Fatal(err)
	}
	var said []string
	out := filepath.Join(t.TempDir(), "app.zip")
	o := Options{Dir: dir, Output: out, Nginx: "off", Variants: []string{"single-instance"}, Progress: func(what string) { said = append(said, what) }}
	if r, err := Pack(t.Context(), o); err != nil {
		t.Fatalf("%v: %v", err, r.Findings)
	}
	files := unpack(t, out)
	if files["bin/application"] == nil || files[".ebextensions/30-redis.config"] != nil || files[project.Manifest] != nil {
		t.Errorf("shipped: %v", files)
	}
	if len(said) != 3 {
		t.Errorf("said: %q", said)
	}
	if _, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off"}); err == nil || !strings.Contains(err.Error(), "../b") {
		t.Errorf("source with a module from outside: %v", err)
	}

	// Made for Docker, the overlay is the project's own by now.
	choice.Platform = lint.Docker
	if _, err := project.Init(t.Context(), project.Options{Dir: dir, Choice: choice, Force: true}); err != nil {
		t.Fatal(err)
	}
	conf := ".platform/nginx/conf.d/beanpole.conf"
	text, err := os.ReadFile(filepath.Join(dir, conf))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, conf, "# ours\n"+string(text))
	put(t, dir, "go.sum", "")
	put(t, dir, "vendor/modules.txt", "# example.com/b => ../b\n")
	if r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Nginx: "off"}); err != nil {
		t.Fatalf("%v: %v", err, r.Findings)
	}
	files = unpack(t, out)
	if files["Dockerfile"] == nil || files["vendor/modules.txt"] == nil || files["bin/application"] != nil {
		t.Errorf("shipped: %v", files)
	}
	if got := content(t, files[conf]); !bytes.HasPrefix(got, []byte("# ours\n")) {
		t.Error("the overlay was laid over the project's own file")
	}
}

// A pipe is opened by nobody: there may be no one who writes.
func TestPipesAreNotOpened(t *testing.T) {
	dir := folder(t)
	for _, name := range []string{"pipe", "web/pipe", "web/x"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), syscall.Mkfifo(file, 0o644)); err != nil {
			t.Skip(err)
		}
	}
	put(t, dir, "web/y/x", "x\n")
	put(t, dir, "embed.go", "package main\n\nimport \"embed\"\n\n//go:embed */x */*/x pipe/*\nvar files embed.FS\n")
	looked := make(chan error, 1)
	go func() {
		b, _, _, err := Preview(t.Context(), Options{Dir: dir, Nginx: "off"})
		if err == nil {
			err = b.Close()
		}
		looked <- err
	}()
	select {
	case err := <-looked:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for somebody who writes")
	}
}

// Folders that are deeper than a path may be long are said, by lint too, and the rest is packed.
func TestFoldersDeeperThanAPath(t *testing.T) {
	for name, deep := range map[string]string{"data": "data", "the bundle": ".ebextensions/deep", "hooks": ".platform/hooks/prebuild/deep", "source": "internal/deep"} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			if said, err := exec.Command("git", "-C", dir, "init", "-q").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := root.MkdirAll(filepath.FromSlash(deep+strings.Repeat("/"+strings.Repeat("d", 50), 200)), 0o755); err != nil {
				t.Fatal(err)
			}
			said := func(findings []lint.Finding) bool {
				return slices.ContainsFunc(findings, func(f lint.Finding) bool { return f.Check == "not-read" && strings.HasPrefix(f.File, deep+"/ddd") })
			}
			out := filepath.Join(t.TempDir(), "app.zip")
			r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off"})
			if err != nil {
				t.Fatal(err)
			}
			if len(unpack(t, out)) == 0 || !said(r.Findings) {
				t.Errorf("%d files, and it is said: %v", len(unpack(t, out)), r.Findings)
			}
		})
	}
}

// What Preview has is what Pack ships: nothing of the folder that is not, and what is not built yet by its name.
func TestPreviewIsWhatIsPacked(t *testing.T) {
	dir := folder(t)
	put(t, dir, ".env", "A=b\n")
	put(t, dir, "Dockerfile.old", "FROM scratch\n")
	hook := ".platform/hooks/prebuild/60_own.sh"
	put(t, dir, hook, "#!/bin/bash\r\ntrue\r\n")
	for _, o := range []Options{{}, {Platform: lint.Docker}} {
		o.Dir, o.Output, o.Nginx = dir, filepath.Join(t.TempDir(), "app.zip"), "off"
		b, left, platform, err := Preview(t.Context(), o)
		if err != nil || len(left) > 0 || platform != cmp.Or(o.Platform, lint.Go) {
			t.Fatalf("%v, %v, %v", left, platform, err)
		}
		defer b.Close()
		for _, f := range lint.Run(t.Context(), b, lint.Options{Platform: platform, Nginx: "off"}) {
			t.Errorf("%s: %s [%s]", f.Where(), f.What, f.Check)
		}
		if _, err := Pack(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		shipped := unpack(t, o.Output)
		if got, want := b.Names(), slices.Sorted(maps.Keys(shipped)); !slices.Equal(got, want) {
			t.Errorf("previewed %v, shipped %v", got, want)
		}
		if bytes.Contains(content(t, shipped[hook]), []byte("\r")) {
			t.Error("a hook keeps its CR LF")
		}
	}
}
