package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// handlers is the app.go of a project.
func handlers(argument string) string {
	return `package main

import "github.com/beanpole/beanpole/server"

var said = server.Declare[string]("said")

func register(io *server.Server) {
	io.On("say", func(s *server.Socket, what ` + argument + `) (int, error) { return 1, said.Emit(s.Broadcast(), "x") })
	io.Sends(said)
}
`
}

func TestTypesOfAProject(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	for _, tool := range []string{"go", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "hello")
	if code, out := beanpole(t, "init", dir, "--region", "eu-central-1"); code != exitOK {
		t.Fatalf("init: %d %s", code, out)
	}
	t.Chdir(dir)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile("app.go", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	types := func(want int, says string, args ...string) {
		t.Helper()
		code, out := beanpole(t, append([]string{"types"}, args...)...)
		if code != want || !strings.Contains(out, says) {
			t.Errorf("types %q: %d, want %d\n%s", args, code, want, out)
		}
	}
	types(exitOK, "  said: (arg1: string) => void;") // of a new project
	types(exitOK, "  say: (arg1: string, ack: (answer: number | Failure) => void) => void;")
	write(handlers("string"))
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "one"}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	types(exitBadUsage, "wants the files", "--check")
	types(exitFailure, "events.ts is not what the handlers say", "--check", "-o", "events.ts")
	types(exitOK, "wrote events.ts", "-o", "events.ts", "--asyncapi", "events.json")
	types(exitOK, "", "--check", "-o", "events.ts", "--asyncapi", "events.json")
	if b, err := os.ReadFile("events.ts"); err != nil || !strings.Contains(string(b), "say: (arg1: string, ack:") {
		t.Errorf("%v\n%s", err, b)
	}
	types(exitOK, "nothing breaks clients of HEAD", "--diff", "HEAD")
	write(handlers("int"))
	types(exitFailure, "events.ts is not what the handlers say", "--check", "-o", "events.ts")
	types(exitFailure, `/: "say" from clients, argument 1 is string and not integer`, "--diff", "HEAD")
	types(exitFailure, "beanpole: git: ", "--diff", "nowhere")
	write("package main")
	types(exitFailure, "go run .: exit status 1", ".")
	if out, err := exec.CommandContext(t.Context(), "git", "worktree", "list").CombinedOutput(); err != nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
}
