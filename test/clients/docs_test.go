package clients

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	block = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")
	// address is the server of the documents; the programs have it in a variable.
	address = regexp.MustCompile(`"https://api\.example\.com(/[^"]*)?"`)
	comment = regexp.MustCompile(`\s*(//|#) .*`)
)

// tested says which files a language's lines in docs/clients.md come from.
var tested = map[string]string{
	"js":     "programs/js/*.mjs",
	"java":   "programs/java/*.java",
	"python": "programs/python/*.py",
	"rust":   "programs/rust/src/*.rs",
}

// TestDocumentedSettings holds the code of docs/clients.md to the programs: each line of it is one of theirs.
func TestDocumentedSettings(t *testing.T) {
	document, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, m := range block.FindAllStringSubmatch(string(document), -1) {
		language, code := m[1], m[2]
		pattern, ok := tested[language]
		if !ok {
			continue // not run here
		}
		seen[language] = true
		have := linesOf(t, pattern)
		for line := range strings.Lines(code) {
			line = address.ReplaceAllStringFunc(line, func(s string) string {
				if path := address.FindStringSubmatch(s)[1]; path != "" {
					return `url + "` + path + `"`
				}
				return "url"
			})
			line = strings.TrimSpace(comment.ReplaceAllString(line, ""))
			// The page of the server itself is what the examples have, which a browser runs.
			if line != "" && line != "const socket = io();" && !have[line] {
				t.Errorf("%s: no program has the line %q", language, line)
			}
		}
	}
	for language := range tested {
		if !seen[language] {
			t.Errorf("no code in %s", language)
		}
	}
}

// linesOf returns the lines of the files, without comments.
func linesOf(t *testing.T, pattern string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	lines := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			lines[strings.TrimSpace(comment.ReplaceAllString(line, ""))] = true
		}
	}
	return lines
}
