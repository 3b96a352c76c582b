package house

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/internal/version"
)

// TestOneClient wants everyone who names a version of socket.io-client to name that of package.json first: sources, documents,
// and the tests that run it by its own name.
func TestOneClient(t *testing.T) {
	want := dependencies(t, "package.json")["socket.io-client"]
	if version.Client != want {
		t.Errorf("internal/version: Client is %s, package.json has %s", version.Client, want)
	}
	texts := documents(t)
	for _, p := range packages(t) {
		for _, file := range p.GoFiles {
			raw, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			texts[p.name()+"/"+file] = string(raw)
		}
	}
	named, n := regexp.MustCompile("socket\\.io-client(?:[ @]|`[^0-9\n|,]{0,60}\\| )(4\\.\\d+\\.\\d+)"), 0
	for where, text := range texts {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			n++
			if m[1] != want {
				t.Errorf("%s: %s, package.json has %s", where, m[0], want)
			}
		}
	}
	if n < 5 {
		t.Errorf("%d places name a version", n)
	}
	tests, err := filepath.Glob(filepath.Join(root, "test/*/package.json"))
	if err != nil || len(tests) == 0 {
		t.Fatal(tests, err)
	}
	for _, file := range tests {
		file, _ = strings.CutPrefix(file, root+"/")
		if got, ok := dependencies(t, file)["socket.io-client"]; ok && strings.TrimPrefix(got, "^") != want {
			t.Errorf("%s: %s, package.json has %s", file, got, want)
		}
	}
}

// dependencies returns what a package.json wants, of either kind.
func dependencies(t *testing.T, file string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Dependencies, DevDependencies map[string]string }
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	all := p.Dependencies
	if all == nil {
		all = map[string]string{}
	}
	for name, v := range p.DevDependencies {
		all[name] = v
	}
	return all
}

// TestChangelogSaysItOnce looks for entries that a merge has doubled: those that begin with the same line, or nearly.
func TestChangelogSaysItOnce(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(documents(t)["CHANGELOG.md"]) {
		start, ok := strings.CutPrefix(line, "- ")
		if start = start[:min(len(start), 80)]; ok && seen[start] {
			t.Errorf("two entries begin with %q", start)
		}
		seen[start] = seen[start] || ok
	}
}
