package server_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentShowsCompiledCode compares the Go code of docs/api.md with the examples of this package.
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
	document, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllSubmatch(document, -1)
	if len(blocks) < 15 {
		t.Fatalf("%d blocks", len(blocks))
	}
	compiled := flat(string(examples))
	for _, block := range blocks {
		if !strings.Contains(compiled, flat(string(block[1]))) {
			t.Errorf("docs/api.md shows code that is in no example:\n%s", block[1])
		}
	}
}
