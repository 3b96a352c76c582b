package lint

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

const inServer = ".platform/nginx/conf.d/elasticbeanstalk/01.conf"

// unreadBundles have what lint does not read to its end, and says so.
var unreadBundles = []bundleCase{
	{about: "a .config of more than 1 MB", check: "not-read", where: more, breaks: write(more, "Description: x\n"+strings.Repeat("# x\n", foreign.MaxText/4)), mends: write(more, "Description: x\n")},
	{about: "brackets in brackets in YAML", check: "not-read", where: more, breaks: write(more, "Description: "+strings.Repeat("[", 1000000)), mends: write(more, "Description: x\n")},
	{about: "20,000 keys", check: "not-read", where: more, breaks: write(more, "Description: x\nMetadata:\n"+strings.Repeat("  a: b\n", 20000)), mends: write(more, "Description: x\n")},
	{about: ".config files of 100,000 keys together", check: "not-read", where: ".ebextensions/0_09.config", breaks: func(_ *testing.T, b *Bundle) {
		for i := range 50 {
			b.Add(fmt.Sprintf(".ebextensions/0_%02d.config", i), 0o644, []byte("Metadata:\n"+strings.Repeat("  a: b\n", 4000)))
		}
	}, mends: func(_ *testing.T, b *Bundle) {
		for i := range 50 {
			delete(b.Files, fmt.Sprintf(".ebextensions/0_%02d.config", i))
		}
	}},
	{about: ".config files of 20 MB of comments", check: "not-read", where: ".ebextensions/0_08.config", breaks: func(_ *testing.T, b *Bundle) {
		for i := range 20 {
			b.Add(fmt.Sprintf(".ebextensions/0_%02d.config", i), 0o644, []byte(strings.Repeat("#", 1_000_000)))
		}
	}, mends: func(_ *testing.T, b *Bundle) {
		for i := range 20 {
			delete(b.Files, fmt.Sprintf(".ebextensions/0_%02d.config", i))
		}
	}},
	{about: "2,000 lines of a Procfile with the same mistake", check: "not-read", where: "bundle", breaks: write("Procfile", "web: bin/application\n"+strings.Repeat("a: bin/application &\n", 2000)), mends: write("Procfile", "web: bin/application\n")},
	{about: "50,000 names to look for in a Buildfile of 1 MB", check: "not-read", where: "bundle", breaks: steps(write("Procfile", "web: bin/application\n"+strings.Repeat("a: b/c\n", 50000)), write("Buildfile", "a: "+strings.Repeat("b", 1_000_000)+"\n")),
		mends: steps(write("Procfile", "web: bin/application\n"), drop("Buildfile"))},
	{about: "nginx files of 300,000 directives", check: "not-read", where: inServer, breaks: write(inServer, strings.Repeat("a;", 300000)), mends: drop(inServer)},
	{about: "a variable that doubles 30 times", check: "not-read", where: ".platform/nginx", breaks: write(inServer, doubling()), mends: drop(inServer)},
	{about: "a path that rewrite multiplies", check: "not-read", where: ".platform/nginx", breaks: write(inServer, strings.Repeat("rewrite ^(.*)$ $1$1$1$1$1$1$1$1$1;\n", 10)), mends: drop(inServer)},
	{about: "expressions that take long", check: "not-read", where: ".platform/nginx", breaks: write(inServer, strings.Repeat("if ($uri ~ \"((.*)*x{1000})\") { return 404; }\n", 10000)), mends: drop(inServer)},
	{about: "a Procfile that is a link", check: "not-read", where: "Procfile", breaks: func(_ *testing.T, b *Bundle) { b.Files["Procfile"].Mode = fs.ModeSymlink | 0o777 },
		mends: func(_ *testing.T, b *Bundle) { b.Files["Procfile"].Mode = 0o644 }},
}

// Files are read once, and continued lines of a Dockerfile joined once, however many there are.
func TestLongDockerfileIsRead(t *testing.T) {
	b := good(t)
	b.Add("Dockerfile", 0o644, []byte("FROM a\nENV "+strings.Repeat("A=\\\n", 200_000)+"\n5000\nENV B=\\\n# not of it\n\n  c\nUSER 1\n"))
	list := b.instructions()
	if len(list) != 4 || list[1].line != 2 || list[2].args != "B= c" || list[2].line != 200_004 {
		for _, i := range list {
			t.Errorf("%d: %s %.40s", i.line, i.name, i.args)
		}
	}
	b.Add("Dockerfile", 0o644, []byte("FROM b\n"))
	if list := b.instructions(); len(list) != 1 || list[0].args != "b" {
		t.Errorf("after another was added: %v", list)
	}
}

// doubling is a text of a few hundred bytes that stands for 10 times 4 to the 30th.
func doubling() string {
	out := "set $a0 0123456789;\n"
	for i := range 30 {
		out += fmt.Sprintf("set $a%d \"%s\";\n", i+1, strings.Repeat(fmt.Sprintf("$a%d", i), 4))
	}
	return out + "if ($a30 ~ x) { return 300; }\n"
}

// A hook may be a program of any size: what runs it stands at its begin.
func TestLargeHooksAreJudgedByTheirHead(t *testing.T) {
	for about, begin := range map[string]string{"a program": string(program(0xb7)), "an archive that unpacks itself": "#!/bin/bash\nexit 0\n"} {
		b := good(t)
		b.Add(".platform/hooks/predeploy/20_tool", 0o755, []byte(begin+strings.Repeat("\x00", foreign.MaxText)))
		for _, f := range Run(t.Context(), b, Options{Nginx: "off"}) {
			t.Errorf("%s: %s: %s [%s]", about, f.Where(), f.What, f.Check)
		}
	}
	b := good(t)
	b.Add(".platform/hooks/predeploy/20_tool", 0o755, []byte(strings.Repeat("x", 2*foreign.MaxText)))
	if !slices.ContainsFunc(Run(t.Context(), b, Options{Nginx: "off"}), func(f Finding) bool { return f.Check == "hook-shebang" }) {
		t.Error("no hook-shebang for a large file that nothing runs")
	}
}

// folderOf writes a bundle to a folder.
func folderOf(t *testing.T, b *Bundle) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range b.Names() {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, b.text(name), b.Files[name].Mode)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Neither a link to a device nor a pipe is opened, wherever lint looks for a file.
func TestLinksAndPipesAreNotOpened(t *testing.T) {
	for _, name := range []string{".elasticbeanstalk/config.yml", ".elasticbeanstalk/default.cfg.yml", "Procfile", "Buildfile", "Dockerfile", drainHook, nginxConf, "bin/application", ".ebextensions/x.config"} {
		for _, kind := range []string{"link", "pipe"} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := folderOf(t, good(t))
				file := filepath.Join(dir, filepath.FromSlash(name))
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.RemoveAll(file)); err != nil {
					t.Fatal(err)
				}
				if kind == "link" {
					if err := os.Symlink("/dev/zero", file); err != nil {
						t.Skip(err)
					}
				} else if out, err := exec.CommandContext(t.Context(), "mkfifo", file).CombinedOutput(); err != nil {
					t.Skip(string(out), err)
				}
				b, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer b.Close()
				findings := Run(t.Context(), b, Options{Platform: Go, Nginx: "off"})
				// What was not read is not said to be empty.
				if !slices.ContainsFunc(findings, func(f Finding) bool { return f.File == name && f.Check == "not-read" }) ||
					slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Error }) {
					t.Error("it is not said, or more than that:")
					tell(t, findings)
				}
			})
		}
	}
}

// What lies deeper than anybody puts it is not looked into, and said.
func TestDeepFoldersAreNotRead(t *testing.T) {
	dir := folderOf(t, good(t))
	for _, chain := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(dir, chain, filepath.FromSlash(strings.Repeat("d/", 1000))), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	findings := Run(t.Context(), b, Options{Platform: Go, Nginx: "off"})
	if len(findings) != 1 || findings[0].Check != "not-read" || findings[0].File != "a/"+strings.Repeat("d/", foreign.MaxDepth) {
		t.Error("it is not said, or more than that:")
		tell(t, findings)
	}
}

func TestArtifactsElsewhereAreNotOpened(t *testing.T) {
	for _, artifact := range []string{"/etc/passwd", "../other.zip", "a/../../b.zip"} {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, ".elasticbeanstalk"), 0o755), os.WriteFile(filepath.Join(dir, ".elasticbeanstalk", "config.yml"), []byte("deploy:\n  artifact: "+artifact+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
		if b, err := Open(dir); err == nil || !strings.Contains(err.Error(), "outside") {
			t.Errorf("Open of a folder that deploys %s = %v, %v", artifact, b, err)
		}
	}
}

// loaded is the source of a module that says it was loaded.
const loaded = `#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void x(void) { close(open("%s", O_CREAT | O_WRONLY, 0600)); }
`

// nginx -t is told nothing that would have it load, open, make or ask for something of the bundle's, and still finds what is wrong.
func TestNginxTestHasNoEffects(t *testing.T) {
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip(err)
	}
	out := t.TempDir()
	trace := filepath.Join(out, "loaded")
	source, module := filepath.Join(out, "x.c"), filepath.Join(out, "x.so")
	if err := os.WriteFile(source, fmt.Appendf(nil, loaded, trace), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-o", module, source).CombinedOutput(); err != nil {
		t.Logf("without a module: %s %v", said, err)
	}
	image, _ := os.ReadFile(module)
	// Each by itself: nginx goes no further than to the first that it does not like.
	main := []string{"load_module " + module + ";", "\"load_module\" " + module + ";", "load_module x.so;", "ssl_engine " + module + ";", "pid %s;", "error_log %s;", "lock_file %s;"}
	inHTTPBlock := []string{"proxy_cache_path %s keys_zone=one:1m;", "access_log %s;", "map $uri $mapped { include %s; default \"\n}\naccess_log %s;\"; }", "server { listen unix:%s; }", "include %s;"}
	inServerBlock := []string{"access_log %s main;", "error_log %s;", "client_body_temp_path %s;", "proxy_temp_path %s 1 2;", "'access_log' %s;", "\"access_log\" '%s';", "access_log  %s\n;",
		"location /x { access_log %s; }", "location /x { if ($uri) { access_log %s; } }", "perl_require %s;"}
	for file, lines := range map[string][]string{nginxConf: main, inHTTP: inHTTPBlock, inServer: inServerBlock} {
		for _, line := range lines {
			trace := filepath.Join(out, "made")
			b := good(t)
			b.Add(".platform/nginx/x.so", 0o644, image)
			line = strings.ReplaceAll(line, "%s", trace)
			if file == nginxConf {
				b.Add(file, 0o644, []byte(line+"\n"+string(b.text(file))))
			} else {
				b.Add(file, 0o644, []byte(line+"\n"))
			}
			before := entries(t, out)
			findings := Run(t.Context(), b, Options{Platform: Go})
			if after := entries(t, out); !slices.Equal(before, after) {
				t.Errorf("%s: lint has made %v of %v", line, after, before)
			}
			for _, f := range findings {
				if f.Check == "nginx-test" && strings.Contains(f.What, "beanpole-nginx") {
					t.Errorf("%s: the finding names lint's folder: %s", line, f.What)
				}
			}
		}
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// What nginx gets is what lint has read: a word is one word to both, whatever stands in it.
func FuzzQuote(f *testing.F) {
	for _, word := range []string{"a b", `a\"; load_module x; "`, "\n}\n", `\\`, "${a}", "#", "'", "\x00", `\n`} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if len(word) > maxWord/2 {
			t.Skip()
		}
		list, err := tokens(quote(word) + " " + quote("next") + ";")
		if err != nil || len(list) != 3 || list[0].text != word || list[1].text != "next" {
			t.Errorf("quote(%q) is read as %v, %v", word, list, err)
		}
	})
}

func TestZipsAreBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("Procfile")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, 64<<20); err != nil { // 64 kB in the zip
		t.Fatal(err)
	}
	for i := range maxFiles {
		if _, err := z.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		if i == 10 {
			if err := z.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("Open of a zip with %d files = %v", maxFiles+1, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// hostile makes a repository whose configuration and attributes have Git run a program wherever it can, in a folder.
func hostile(t *testing.T, dir, trace string) {
	t.Helper()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-q", "-m", "first")
	run := "touch " + trace + "; false"
	for _, key := range []string{"core.fsmonitor", "filter.x.process", "filter.x.clean", "filter.x.smudge", "diff.external", "diff.x.textconv", "core.pager", "gpg.program", "core.sshCommand", "tar.tar.command"} {
		git("config", key, run)
	}
	hooks := filepath.Join(dir, ".git", "hooks")
	attributes := filepath.Join(dir, ".git", "info", "attributes")
	err := errors.Join(os.MkdirAll(hooks, 0o755), os.MkdirAll(filepath.Dir(attributes), 0o755), os.WriteFile(attributes, []byte("* filter=x diff=x export-subst\n"), 0o644),
		os.WriteFile(filepath.Join(hooks, "post-index-change"), []byte("#!/bin/sh\n"+run), 0o755))
	if err != nil {
		t.Fatal(err)
	}
}

// A repository has nothing run by being looked at, and is seen as it is all the same.
func TestRepositoriesRunNothing(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir, trace := folderOf(t, good(t)), filepath.Join(t.TempDir(), "trace")
	hostile(t, dir, trace)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "Procfile"), []byte("web: bin/other\n"), 0o644), os.WriteFile(filepath.Join(dir, "new"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(trace)
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := os.Stat(trace); err == nil {
		t.Error("lint has run what the repository's configuration says")
	}
	if !b.Commit || string(b.text("Procfile")) != "web: bin/application\n" || !slices.Equal(b.changed, []string{"Procfile", "new"}) {
		t.Errorf("the commit has Procfile %q, and the folder is said to differ in %v", b.text("Procfile"), b.changed)
	}
}

// Objects that another repository has are not read, and that is said.
func TestBorrowedObjectsAreNotRead(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	from, dir := folderOf(t, good(t)), filepath.Join(t.TempDir(), "x")
	hostile(t, from, os.DevNull)
	if out, err := exec.CommandContext(t.Context(), "git", "-c", "core.fsmonitor=false", "clone", "-q", "--shared", from, dir).CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Commit || !slices.ContainsFunc(Run(t.Context(), b, Options{Nginx: "off"}), func(f Finding) bool { return f.Check == "not-read" && f.File == "" }) {
		t.Error("objects of another repository were read, or nothing is said of them")
	}
}
