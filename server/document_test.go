package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentShowsCompiledCode compares the Go code of docs/api.md with the examples of this package and of host.
func TestDocumentShowsCompiledCode(t *testing.T) {
	flat := func(code string) string {
		var b strings.Builder
		for line := range strings.Lines(code) {
			if line = strings.TrimSpace(line); line != "" {
				b.WriteString(line + "\n")
			}
		}
		return b.String()
	}
	examples, err := os.ReadFile("api_example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	ofHost, err := os.ReadFile("host/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllSubmatch(document, -1)
	if len(blocks) < 15 {
		t.Fatalf("%d blocks", len(blocks))
	}
	compiled := flat(string(examples)) + flat(string(ofHost))
	for _, block := range blocks {
		if !strings.Contains(compiled, flat(string(block[1]))) {
			t.Errorf("docs/api.md shows code that is in no example:\n%s", block[1])
		}
	}
}

// Clients of all languages see the names of fields: code that is shown says them, or they begin with capitals.
func TestStructsThatAreShownNameTheirFields(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../README.md", "../docs/*.md", "../examples/*/*.md", "*example_test.go", "*/*example_test.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	structs := regexp.MustCompile(`\bstruct ?\{([^{}]*)\}`)
	bare := regexp.MustCompile("(?m)^[ \t]*([A-Z]\\w*(, *[A-Z]\\w*)*)[ \t]+[^`\\s][^`]*$")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range structs.FindAllSubmatch(text, -1) {
			for _, field := range bare.FindAllSubmatch(s[1], -1) {
				t.Errorf("%s: %s has no json tag", file, field[1])
			}
		}
	}
}
