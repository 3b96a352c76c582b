package contract

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// changes are what somebody could do to the handlers and events of each example, and what the compiler then says of its page.
// The program of zishang has no contract: that library's handlers have no types.
var changes = map[string]struct{ file, old, new, says string }{
	"auth":   {"gate.go", "Name    string    `json:\"name\"`", "Name    string    `json:\"user\"`", "'name' does not exist on type 'Session'"},
	"chat":   {"chat.go", "typing(s *server.Socket) error", "typing(s *server.Socket, draft string) error", "Expected 2-3 arguments, but got 1"},
	"game":   {"game.go", "join(s *server.Socket, name string)", "join(s *server.Socket, name string, team int)", "Expected 4 arguments, but got 3"},
	"scores": {"scores.go", `("live")`, `("caught up")`, `'"live"' is not assignable`},
	"ticker": {"ticker.go", `io.On("unfollow"`, `io.On("drop"`, `'"unfollow"' is not assignable`},
}

// TestExamplesCompileAgainstTheirContracts compiles the pages of all examples against what their programs say now, which is what
// is written beside them, and as AsyncAPI is what that wants; and against that of changed ones, which the compiler complains of in each page.
func TestExamplesCompileAgainstTheirContracts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every example twice")
	}
	install(t)
	beanpole := filepath.Join(t.TempDir(), "beanpole")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", beanpole, root+"/cmd/beanpole").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	types := func(env []string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), beanpole, append([]string{"types"}, args...)...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	same, changed := pages(t), pages(t)
	webs, err := filepath.Glob(filepath.Join(root, "examples/*/web"))
	if err != nil || len(webs) != len(changes)+1 {
		t.Fatalf("pages %q, and changes of %d: %v", webs, len(changes), err)
	}
	for name, c := range changes {
		events := filepath.Join("examples", name, "events.ts")
		if out, err := types(nil, "--check", "-o", events, "./examples/"+name); err != nil {
			t.Errorf("%s: %v\n%s", events, err, out)
		}
		document := filepath.Join(t.TempDir(), "asyncapi.json")
		if out, err := types(nil, "--asyncapi", document, "./examples/"+name); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if raw, err := os.ReadFile(document); err == nil {
			look(t, raw, []message{})
		}
		overlay := "GOFLAGS=" + strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlaid(t, filepath.Join(root, "examples", name, c.file), c.old, c.new))
		if out, err := types([]string{overlay}, "-o", filepath.Join(changed, events), "./examples/"+name); err != nil || !strings.Contains(out, "wrote ") {
			t.Errorf("%s with other handlers: %v\n%s", events, err, out)
		}
	}
	if got := compileExamples(t, same); got != "" {
		t.Errorf("the compiler says\n%s", got)
	}
	got := compileExamples(t, changed)
	for name, c := range changes {
		if of := complaints(got, name); !strings.Contains(of, c.says) {
			t.Errorf("of %s with other handlers the compiler does not say %q, but\n%s", name, c.says, of)
		}
	}
}

// complaints returns what the compiler says of the page of an example; what belongs to a line is indented.
func complaints(all, name string) string {
	var b strings.Builder
	of := false
	for line := range strings.Lines(all) {
		if !strings.HasPrefix(line, " ") {
			of = strings.HasPrefix(line, name+"/web/")
		}
		if of {
			b.WriteString(line)
		}
	}
	return b.String()
}

// pages returns a folder with what is compiled of the examples, in the folders where it is in the project.
func pages(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	for _, pattern := range []string{"examples/tsconfig.json", "examples/*/events.ts", "examples/*/web/*.js", "internal/look/web/*.js"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			copyTo(t, file, filepath.Join(to, strings.TrimPrefix(file, root+"/")))
		}
	}
	modules, err := filepath.Abs("node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(to, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return to
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// overlaid returns the file that has go build a package with a piece of one of its files changed.
func overlaid(t *testing.T, file, old, now string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte(old)); n != 1 {
		t.Fatalf("%s has %q %d times", file, old, n)
	}
	dir := t.TempDir()
	other := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(other, bytes.Replace(raw, []byte(old), []byte(now), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if file, err = filepath.Abs(file); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: other}})
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(at, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// compileExamples compiles the pages in a folder that pages has made, and returns what the compiler says.
func compileExamples(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "node_modules/.bin/tsc"), "-p", ".")
	cmd.Dir = filepath.Join(dir, "examples")
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	return string(out)
}
