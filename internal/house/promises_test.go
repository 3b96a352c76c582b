package house

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestPromisesNameTheirChecks: every check in docs/promises.md is one that there is, and every check of the
// simulation stands there.
func TestPromisesNameTheirChecks(t *testing.T) {
	doc, err := os.ReadFile(root + "/docs/promises.md")
	if err != nil {
		t.Fatal(err)
	}
	grep := func(pattern string, in ...string) string {
		cmd := exec.CommandContext(t.Context(), "grep", append([]string{"-rhoE", "--include=*.go", pattern}, in...)...)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	tests := grep(`^func Test\w+`, "server", "transport", "adapter")
	for _, name := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(doc), -1) {
		if !strings.Contains(tests+"\n", "func "+name[1]+"\n") {
			t.Errorf("docs/promises.md names %s, which is no test", name[1])
		}
	}
	checks := map[string]bool{"crash": true}
	for _, m := range regexp.MustCompile(`"([a-z-]+)"`).FindAllStringSubmatch(grep(`violated?\("[a-z-]+"`, "test/sim/world"), -1) {
		checks[m[1]] = true
	}
	for _, what := range []string{"acks", "queries"} {
		for _, m := range regexp.MustCompile(`"(-[a-z]+)"`).FindAllStringSubmatch(grep(`violated\(what\+"-[a-z]+"`, "test/sim/world"), -1) {
			checks[what+m[1]] = true
		}
	}
	named := map[string]bool{}
	for _, list := range regexp.MustCompile(`sim: ([a-z, -]+)`).FindAllStringSubmatch(string(doc), -1) {
		for name := range strings.SplitSeq(list[1], ", ") {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ") // "with the fault …" may follow
			named[name] = true
			if name != "name" && !checks[name] {
				t.Errorf("docs/promises.md names the check %q, which the simulation does not have", name)
			}
		}
	}
	for name := range checks {
		if !named[name] {
			t.Errorf("the simulation's check %q stands at no promise in docs/promises.md", name)
		}
	}
}
