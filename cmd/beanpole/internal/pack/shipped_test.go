package pack

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

const key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"

// No file goes to a server that is hidden, ignored, secret, or behind a link, in whatever folder it lies.
func TestPackLeavesOutWhatIsNotMeant(t *testing.T) {
	dir := folder(t)
	elsewhere := t.TempDir()
	put(t, elsewhere, "passwd", "root:x:0:0\n")
	for _, top := range []string{"", ".ebextensions/", ".platform/files/", "internal/"} {
		put(t, dir, top+".env", "A=1\n")
		put(t, dir, top+".hidden/x.txt", "x\n")
		put(t, dir, top+"server.key", "x\n")
		put(t, dir, top+"id_ed25519", "x\n")
		put(t, dir, top+"prod.env", "A=1\n")
		put(t, dir, top+"terraform.tfstate", "{}\n")
		put(t, dir, top+"tls/all.pem", key)
		put(t, dir, top+"local-ignored/x.txt", "x\n")
		put(t, dir, top+"x.ebignored", "x\n")
		if err := os.Symlink(filepath.Join(elsewhere, "passwd"), filepath.Join(dir, top, "linked")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(elsewhere, filepath.Join(dir, top, "linked-folder")); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, "internal/tls/ca.pem", "-----BEGIN CERTIFICATE-----\n")
	put(t, dir, "internal/key.go", "package internal\n\nconst begin = `-----BEGIN PRIVATE KEY-----`\n")
	put(t, dir, ".gitignore", "local-ignored/\n")
	put(t, dir, ".ebignore", "*.ebignored\n")
	if said, err := exec.Command("git", "-C", dir, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	put(t, dir, "web/local-ignored/page.html", "<h1>\n") // built, and asked for
	put(t, dir, "web/.well-known/x", "x\n")

	out := filepath.Join(t.TempDir(), "app.zip")
	r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off", Include: []string{"web/local-ignored", "web/.well-known"}})
	if err != nil {
		t.Fatalf("%v: %v", err, r.Findings)
	}
	files := unpack(t, out)
	for name := range files {
		for _, bad := range []string{".env", ".hidden", "server.key", "id_ed25519", "tfstate", "all.pem", "linked", "ebignored", ".gitignore"} {
			if strings.Contains(name, bad) {
				t.Errorf("%s is shipped", name)
			}
		}
		if strings.Contains(name, "local-ignored") && !strings.HasPrefix(name, "web/") {
			t.Errorf("%s is shipped", name)
		}
	}
	for _, name := range []string{"internal/tls/ca.pem", "internal/key.go", "web/local-ignored/page.html", "web/.well-known/x", ".ebextensions/30-redis.config"} {
		if files[name] == nil {
			t.Errorf("%s is not shipped", name)
		}
	}
	// What somebody may have counted on is said.
	for _, name := range []string{"internal/server.key", "internal/tls/all.pem", "internal/linked", ".platform/files/prod.env"} {
		if !slices.ContainsFunc(r.Findings, func(f lint.Finding) bool { return f.File == name && f.Severity == lint.Warning }) {
			t.Errorf("nothing is said of %s", name)
		}
	}
	if _, err := Pack(t.Context(), Options{Dir: dir, Output: out, Nginx: "off", Include: []string{"internal/linked-folder/passwd"}}); err == nil {
		t.Error("a way over a link is taken")
	}
}

// What a repository and .ebignore ignore is left out wherever the project lies in it, and of the repositories in the project too.
func TestPackLeavesOutWhatIsIgnoredAnywhere(t *testing.T) {
	git := func(dir string, args ...string) {
		t.Helper()
		if said, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, said)
		}
	}
	for _, around := range []struct {
		name, ignored string // by the repository around it
		repository    bool
	}{
		{"a repository of its own", "", true},
		{"a folder of a repository", "from-above/\n", true},
		{"a folder that the repository ignores", "services/\n", true},
		{"no repository", "", false},
	} {
		t.Run(around.name, func(t *testing.T) {
			outer, dir := t.TempDir(), folder(t)
			if around.ignored != "" {
				to := filepath.Join(outer, "services", "chat")
				if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.Rename(dir, to)); err != nil {
					t.Fatal(err)
				}
				dir = to
				put(t, outer, ".gitignore", around.ignored)
				put(t, outer, ".ebignore", "web\n/internal\n") // another project's
			} else {
				outer = dir
			}
			put(t, dir, ".ebignore", "/fixtures/\n*.ebignored\nweb/*\n!web/kept.txt\n")
			for _, name := range []string{"fixtures/x.txt", "web/x.ebignored", "web/x.txt", "web/kept.txt", "web/fixtures/x.txt", "internal/shipped.txt"} {
				put(t, dir, name, "x\n")
			}
			bad := []string{"fixtures/x.txt", "web/x.ebignored", "web/x.txt", "web/fixtures/x.txt"}
			if around.repository {
				git(outer, "init", "-q")
				put(t, dir, ".gitignore", "/private/\n*.tracked\n")
				put(t, dir, "internal/.gitignore", "built/\n")
				bad = append(bad, "private/x.txt", "internal/built/x.txt", "internal/x.tracked", "modules/one/private-too/x.txt")
				put(t, dir, "modules/one/.gitignore", "private-too/\n")
				git(filepath.Join(dir, "modules/one"), "init", "-q")
				if around.ignored == "from-above/\n" {
					bad = append(bad, "internal/from-above/x.txt")
				}
				for _, name := range bad {
					put(t, dir, name, "x\n")
				}
				git(outer, "add", "-f", filepath.Join(dir, "internal/x.tracked"))
			}
			out := filepath.Join(t.TempDir(), "app.zip")
			if r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off"}); err != nil {
				t.Fatalf("%v: %v", err, r.Findings)
			}
			files := unpack(t, out)
			for _, name := range bad {
				if files[name] != nil {
					t.Errorf("%s is shipped", name)
				}
			}
			for _, name := range []string{"internal/shipped.txt", "web/kept.txt"} {
				if files[name] == nil {
					t.Errorf("%s is not shipped", name)
				}
			}
		})
	}
}

// Where nobody says what is ignored, nothing is shipped.
func TestPackRefusesWhenIgnoredIsUnknown(t *testing.T) {
	for name, breaks := range map[string]func(t *testing.T, dir string){
		"a broken repository":               func(t *testing.T, dir string) { put(t, dir, ".git/HEAD", "nonsense\n") },
		"a broken repository in a folder":   func(t *testing.T, dir string) { put(t, dir, "web/.git/HEAD", "nonsense\n") },
		"a repository, and no Git":          func(t *testing.T, dir string) { put(t, dir, ".git/HEAD", "x\n"); t.Setenv("PATH", goOnly(t)) },
		"an .ebignore that is not followed": func(t *testing.T, dir string) { _ = os.Symlink("Procfile", filepath.Join(dir, ".ebignore")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, out := folder(t), filepath.Join(t.TempDir(), "app.zip")
			breaks(t, dir)
			r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off"})
			if !errors.Is(err, ErrRefused) || !slices.ContainsFunc(r.Findings, func(f lint.Finding) bool { return f.Check == "not-read" && strings.Contains(f.What, "ignored") }) {
				t.Errorf("%v: %v", err, r.Findings)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("it is shipped")
			}
		})
	}
	t.Run("a broken repository in what is not shipped", func(t *testing.T) {
		dir := folder(t)
		put(t, dir, "test/x/.git/HEAD", "nonsense\n")
		if r, err := Pack(t.Context(), Options{Dir: dir, Output: filepath.Join(t.TempDir(), "app.zip"), Kind: Source, Nginx: "off"}); err != nil {
			t.Errorf("%v: %v", err, r.Findings)
		}
	})
}

// Neither a variant nor the place of the zip is taken over a link out of the folder.
func TestPackGoesOverNoLink(t *testing.T) {
	for name, c := range map[string]struct {
		link string
		o    Options
	}{
		"a variant":              {"deploy/mine", Options{Variants: []string{"mine"}, Output: filepath.Join(t.TempDir(), "app.zip")}},
		"the folder of variants": {"deploy", Options{Variants: []string{"mine"}, Output: filepath.Join(t.TempDir(), "app.zip")}},
		"the place of the zip":   {"build", Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, outside := folder(t), t.TempDir()
			put(t, outside, "mine/private.txt", "not yours")
			put(t, outside, "private.txt", "not yours")
			_ = os.RemoveAll(filepath.Join(dir, c.link))
			if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, c.link)), 0o755), os.Symlink(outside, filepath.Join(dir, c.link))); err != nil {
				t.Fatal(err)
			}
			c.o.Dir, c.o.Kind, c.o.Nginx = dir, Source, "off"
			if _, err := Pack(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), "is a link") {
				t.Errorf("Pack returned %v", err)
			}
			if _, err := os.Stat(filepath.Join(outside, "application.zip")); err == nil {
				t.Error("the zip is outside")
			}
		})
	}
}

// goOnly returns a folder for PATH that has the go command and no Git.
func goOnly(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("go")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(program, filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// der is a private key without letters around it.
func der(t *testing.T) []byte {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// compressed is a text as gzip has it.
func compressed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What opens other doors, and whole databases, are not shipped either, not by --include.
func TestPackShipsNoKeysAndDumps(t *testing.T) {
	dir := folder(t)
	bad := map[string]string{
		"kubeconfig": "apiVersion: v1\n", "prod-kubeconfig.yaml": "apiVersion: v1\n", "server.ppk": "x\n", "shop.dump": "x\n", "dump-2026.sql": "x\n", "backup.sql": "x\n",
		"shop.sql.gz": "x\n", "cache.rdb": "x\n", "shop.bak": "x\n", "terraform.tfstate.backup": "{}\n",
		"cluster.yaml": "kind: Config\nusers:\n- user:\n    client-key-data: eA==\n", "putty.txt": "PuTTY-User-Key-File-3: ssh-ed25519\n",
		"flow.yaml": "kind: Config\nusers:\n- name: x\n  user: {token: abcdefghijklmnop}\n", "cluster.json": `{"apiVersion":"v1","kind":"Config","users":[{"name":"a","user":{"token":"abcdefgh"}}]}`,
		"pgp.txt": "-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n", "users.bin": database + "x", "aws.ini": "aws_access_key_id = AKIAIOSFODNN7EXAMPLF\n", "npmrc": "//registry.npmjs.org/:_authToken=abcdefgh\n",
		"docker.json": `{"auths":{"x":{"auth":"dTpwYXNzd29yZA=="}}}`, "env.production": "A=1\n", "pkcs8": string(der(t)), "store": "\x30\x82\x0a\x10\x02\x01\x03\x30\x82\x09\xd6\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01",
		"compressed.gz": compressed(t, "-- PostgreSQL database dump\n"), "archive.tgz": compressed(t, "a.pem\x00\x00"+key),
		"everything.sql": "--\n-- PostgreSQL database dump\n--\n", "more.sql": "-- MySQL dump 10.13\n", "custom": "PGDMP\x01\x0e", "redis": "REDIS0011\xfa",
	}
	good := map[string]string{"001_users.sql": "CREATE TABLE users (id int);\n", "dumplings.html": "<p>\n", "kube.yaml": "kind: Deployment\n", "config.yaml": "kind: Config\nusers: 10\n", "words.gz": compressed(t, "words\n"), "certificate.der": "\x30\x82\x01\x02\x30\x03", "lookup.db": database + "x", "notes.txt": "REDIS is a database, PGDMP a format\n"}
	for name, text := range bad {
		put(t, dir, "data/"+name, text)
	}
	for name, text := range good {
		put(t, dir, "data/"+name, text)
	}
	out := filepath.Join(t.TempDir(), "app.zip")
	r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Kind: Source, Nginx: "off", Include: []string{"data", "data/shop.dump", "data/lookup.db"}})
	if err != nil {
		t.Fatalf("%v: %v", err, r.Findings)
	}
	files := unpack(t, out)
	for name := range bad {
		if files["data/"+name] != nil {
			t.Errorf("%s is shipped", name)
		}
		if !slices.ContainsFunc(r.Findings, func(f lint.Finding) bool {
			return f.File == "data/"+name && (f.Check == "secret-file" || f.Check == "backup-file" && backupName.MatchString(name))
		}) {
			t.Errorf("nothing is said of %s", name)
		}
	}
	for name := range good {
		if files["data/"+name] == nil {
			t.Errorf("%s is not shipped", name)
		}
	}
}

// The program is for the instances that the bundle asks for.
func TestArchitectureOfTheBundle(t *testing.T) {
	for text, want := range map[string]Kind{
		"": AMD64, "    SupportedArchitectures: arm64\n": ARM64, "    SupportedArchitectures: \"x86_64\"\n": AMD64, "    # SupportedArchitectures: arm64\n": AMD64,
	} {
		b := &lint.Bundle{}
		b.Add(".ebextensions/15.config", 0o644, []byte("option_settings:\n  aws:ec2:instances:\n"+text))
		if got := architecture(b); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// An image that is built on the instance, where there is no repository, knows what it was built from.
func TestImageKnowsItsVersion(t *testing.T) {
	dir := folder(t)
	git := func(args ...string) string {
		said, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, said)
		}
		return strings.TrimSpace(string(said))
	}
	shipped := func() string {
		out := filepath.Join(t.TempDir(), "app.zip")
		if r, err := Pack(t.Context(), Options{Dir: dir, Output: out, Platform: lint.Docker, Nginx: "off"}); err != nil {
			t.Fatalf("%v: %v", err, r.Findings)
		}
		_, line, _ := strings.Cut(string(content(t, unpack(t, out)["Dockerfile"])), "\nENV BEANPOLE_VERSION=")
		line, _, _ = strings.Cut(line, "\n")
		return line
	}
	if got := shipped(); got != "" {
		t.Errorf("outside a repository it is %q", got)
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "one")
	if got, want := shipped(), git("rev-parse", "--short=12", "HEAD"); got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
	put(t, dir, "new.go", "package main\n")
	if got, want := shipped(), git("rev-parse", "--short=12", "HEAD")+"-modified"; got != want {
		t.Errorf("with a new file it is %q, want %q", got, want)
	}
}
