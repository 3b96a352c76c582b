package foreign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{filepath.Join(dir, "a"): "a", filepath.Join(dir, "sub", "b"): "b", filepath.Join(out, "c"): "c"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"device": "/dev/zero", "inside": "a", "folder": "sub", "outside": filepath.Join(out, "c"), "away": out} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	names := map[string]error{"a": nil, "sub/b": nil, "./sub/../a": nil, "device": ErrNoFile, "inside": ErrNoFile, "folder/b": ErrNoFile, "outside": ErrNoFile, "away/c": ErrNoFile,
		"sub": ErrNoFile, "none": os.ErrNotExist, "sub/none": os.ErrNotExist}
	if exec.CommandContext(t.Context(), "mkfifo", filepath.Join(dir, "pipe")).Run() == nil {
		names["pipe"] = ErrNoFile
	}
	for name, want := range names {
		if _, err := ReadFile(dir, name, 10); !errors.Is(err, want) {
			t.Errorf("ReadFile(%s) = %v, want %v", name, err, want)
		}
		if got := IsFile(dir, name); got != (want == nil) {
			t.Errorf("IsFile(%s) = %v", name, got)
		}
	}
	if _, err := ReadFile(dir, "../"+filepath.Base(out)+"/c", 10); err == nil {
		t.Error("a name that leads out of the folder was read")
	}
	if _, err := ReadFile(dir, "a", 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("ReadFile of more than there may be = %v", err)
	}
}

// Walk tells of the same as package io/fs, and of what is too deep instead of what is in it.
func TestWalkIsThatOfTheStandardLibrary(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b/c", "a/z", "a.txt", "b/skip/x", "b/y", "c/1", "c/2-last", "c/3", "d/" + strings.Repeat("d/", MaxDepth-2) + "deepest"} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var told []string
	do := func(name string, d fs.DirEntry, err error) error {
		told = append(told, fmt.Sprint(name, d.IsDir(), err))
		if info, err := d.Info(); err != nil || info.IsDir() != d.IsDir() {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if d.Name() == "skip" || strings.HasSuffix(name, "-last") {
			return fs.SkipDir
		}
		return err
	}
	if err := fs.WalkDir(FS(root), ".", do); err != nil {
		t.Fatal(err)
	}
	want := told
	told = nil
	if err := Walk(root, ".", do); err != nil || !slices.Equal(told, want) {
		t.Errorf("Walk = %v, and tells of\n%q, not\n%q", err, told, want)
	}
	if err := os.Mkdir(filepath.Join(dir, "d", filepath.FromSlash(strings.Repeat("d/", MaxDepth-2)), "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d", filepath.FromSlash(strings.Repeat("d/", MaxDepth-1)), "e"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Walk(root, ".", do); !errors.Is(err, ErrTooDeep) {
		t.Errorf("Walk of what is too deep = %v", err)
	}
}

func TestNothingActsOnATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain, 日本 é\n\tx":           "plain, 日本 é\n\tx",
		"\x1b]0;title\x07\x1b[2J":    `\u001b]0;title\u0007\u001b[2J`,
		"\r\x7f\u009b31m\u0000":      `\u000d\u007f\u009b31m\u0000`,
		"a\u202eb\u2066c\u200fd":     `a\u202eb\u2066c\u200fd`,
		"\x9b31m":                    `\ufffd31m`,
		"line\u2028line\u2029\u0085": `line\u2028line\u2029\u0085`,
	} {
		if got := Visible(text); got != want {
			t.Errorf("Visible(%q) = %q, want %q", text, got, want)
		}
	}
	if got := Line("a\nb: nothing to complain about\t"); got != `a\u000ab: nothing to complain about\u0009` {
		t.Errorf("Line = %q", got)
	}
}

// What is JSON stays JSON, with the same in it.
func FuzzVisible(f *testing.F) {
	f.Add("\x1b[2J\u009b\u202e\x7f\xff")
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := json.Marshal(strings.ToValidUTF8(text, "?"))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := (Writer{&out}).Write(raw); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != strings.ToValidUTF8(text, "?") {
			t.Errorf("%q became %q, %v", text, got, err)
		}
		if strings.ContainsAny(out.String(), "\x1b\x07\x7f\u009b\u202e\r") {
			t.Errorf("%q is shown as %q", text, out.String())
		}
	})
}

// program runs a shell, which says what it was given.
func program(t *testing.T, script string) (string, bool, error) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	return Program(t.Context(), t.TempDir(), nil, sh, "-c", script)
}

func TestProgramsGetNothingOfTheEnvironment(t *testing.T) {
	t.Setenv("SECRET", "hunter2")
	said, content, err := program(t, "env >&2; exit 3")
	if err != nil || content || strings.Contains(said, "hunter2") || !strings.Contains(said, "LC_ALL=C") {
		t.Errorf("a program was run with %q, content %v, %v", said, content, err)
	}
}

func TestProgramsSayNoMoreThanIsRead(t *testing.T) {
	said, _, err := program(t, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done | head -c 5000000 >&2")
	if err != nil || len(said) != MaxText {
		t.Errorf("%d bytes were kept, %v", len(said), err)
	}
}

// repository makes one with a commit, and returns its folder.
func repository(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o755), os.WriteFile(filepath.Join(dir, "sub", "a.txt"), []byte("one\n"), 0o644),
		os.WriteFile(filepath.Join(dir, ".gitattributes"), []byte("a.txt export-ignore filter=x\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	run(t, dir, append([]string{"init", "-q"}, args...)...)
	run(t, dir, "add", "-A")
	run(t, dir, "commit", "-q", "-m", "first")
	return dir
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func open(t *testing.T, dir string) *Git {
	t.Helper()
	g, err := OpenGit(t.Context(), dir, Strangers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// A repository is seen as Git sees it: in a folder of it, in a worktree, with the other kind of names for objects, and before
// its first commit.
func TestRepositoriesAreSeenAsTheyAre(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir := repository(t)
	worktree := filepath.Join(t.TempDir(), "x")
	run(t, dir, "worktree", "add", "-q", worktree)
	for _, at := range []string{dir, filepath.Join(dir, "sub"), worktree, repository(t, "--object-format=sha256")} {
		g := open(t, at)
		if want := run(t, at, "rev-parse", "HEAD"); g.Commit != want {
			t.Errorf("the commit of %s is %q, want %q", at, g.Commit, want)
		}
		if g.Changed(t.Context()) {
			t.Errorf("%s is said to be changed", at)
		}
	}
	g := open(t, dir)
	file := filepath.Join(dir, "sub", "a.txt")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	// Of the same size and within the same tick of the clock as the index: only its content tells.
	if err := errors.Join(os.WriteFile(file, []byte("two\n"), 0o644), os.Chtimes(file, time.Time{}, info.ModTime())); err != nil {
		t.Fatal(err)
	}
	if !g.Changed(t.Context()) {
		t.Error("a change is not seen")
	}
	into := t.TempDir()
	within, err := open(t, filepath.Join(dir, "sub")).Checkout(t.Context(), "HEAD", into)
	text, readErr := os.ReadFile(filepath.Join(within, "a.txt"))
	if err != nil || readErr != nil || string(text) != "one\n" {
		t.Errorf("Checkout has %q in %s: %v, %v", text, within, err, readErr)
	}
	if out := run(t, dir, "status", "--porcelain"); out != "M sub/a.txt" {
		t.Errorf("the repository itself is another: %q", out)
	}
	empty := t.TempDir()
	run(t, empty, "init", "-q")
	if g := open(t, empty); g.Commit != "" {
		t.Errorf("the commit of an empty repository is %q", g.Commit)
	}
	if _, err := OpenGit(t.Context(), t.TempDir(), Strangers); err == nil {
		t.Error("a folder without a repository was opened")
	}
}

// A repository that says its files are elsewhere is none.
func TestWorkTreesElsewhereAreRefused(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir := repository(t)
	run(t, dir, "config", "core.worktree", filepath.Dir(dir))
	if _, err := OpenGit(t.Context(), dir, Strangers); err == nil {
		t.Error("it was opened")
	}
}

// A repository in which there is a pipe, that Git would open and wait at, is said to be none that can be read.
func TestPipesInARepositoryAreNotOpened(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"packed-refs", "HEAD", "config", "refs/heads/other"} {
		dir := repository(t)
		file := filepath.Join(dir, ".git", filepath.FromSlash(name))
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(file, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenGit(t.Context(), dir, Strangers); err == nil || errors.Is(err, ErrNoRepository) || !strings.Contains(err.Error(), "is no file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
