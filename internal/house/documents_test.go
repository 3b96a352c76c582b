package house

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is a piece of code that a document shows.
type block struct {
	document, language, code string
}

func (b block) String() string { return fmt.Sprintf("%s, in %s:\n%s", b.document, b.language, b.code) }

// documents returns the text of every document by its path within the project.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md", "deploy/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.ToSlash(name)] = string(raw)
		}
	}
	return all
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// blocks returns what all documents show in the languages.
func blocks(t *testing.T, languages ...string) []block {
	t.Helper()
	var all []block
	for document, text := range documents(t) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if slices.Contains(languages, m[1]) {
				all = append(all, block{document, m[1], m[2]})
			}
		}
	}
	return all
}

// tool returns the path of a program that the test runs. Without it the test is skipped, not so in CI.
func tool(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEachBlockHasALanguage wants every piece of code to be in a language that a test of its own reads.
func TestEachBlockHasALanguage(t *testing.T) {
	known := []string{
		"go", "js", "html", "sh", // the tests below
		"text",                       // is no code
		"ts", "tsx", "vue", "svelte", // packages contract and frameworks of the black-box tests compile it
		"java", "python", "rust", "swift", // clients: package clients runs what it can get hold of
		"dart", "cpp", "csharp",
	}
	for document, text := range documents(t) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s shows code in the language %q:\n%s", document, m[1], m[2])
			}
		}
		if m := regexp.MustCompile(`(?m)^\n {4}\S.*`).FindString(fence.ReplaceAllString(text, "")); m != "" {
			t.Errorf("%s shows code by indentation, in no language: %s", document, strings.TrimSpace(m))
		}
	}
}

// TestGoCompiles vets the programs that documents show, runs those that are tests, and looks for each piece of one in the
// examples that are compiled with the tests.
func TestGoCompiles(t *testing.T) {
	var compiled strings.Builder
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			if !strings.HasSuffix(name, "example_test.go") {
				continue
			}
			raw, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			compiled.WriteString(flat(string(raw)))
		}
	}
	for _, b := range blocks(t, "go") {
		if b.document == "docs/tutorial.md" {
			continue // its files are parts of one program, which package e2e builds and runs
		}
		if strings.HasPrefix(b.code, "package ") {
			t.Run(b.document, func(t *testing.T) {
				t.Parallel()
				file := program(t, b)
				run(t, b, "vet", file)
				if strings.HasSuffix(file, "_test.go") {
					run(t, b, "test", "-count=1", file)
				}
			})
		} else if !strings.Contains(compiled.String(), flat(b.code)) {
			t.Errorf("code that is in no example_test.go: %s", b)
		}
	}
}

// flat is code without its indentation and empty lines.
func flat(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// run runs a command of go on what is of that block.
func run(t *testing.T, b block, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s\n%v\n%s", b, err, out)
	}
}

// program writes a program as main.go, or as main_test.go if it has tests, with the page of its document beside it, and
// returns its path.
func program(t *testing.T, b block) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "public"), 0o700); err != nil {
		t.Fatal(err)
	}
	page := "<!doctype html>"
	if m := regexp.MustCompile("(?ms)^```html\n(.*?)^```$").FindStringSubmatch(documents(t)[b.document]); m != nil {
		page = m[1]
	}
	if err := os.WriteFile(filepath.Join(dir, "public", "index.html"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	name := "main.go"
	if strings.Contains(b.code, "testing.T)") {
		name = "main_test.go"
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(b.code), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestJavaScriptParses has Node parse the JavaScript of the documents, and that of their pages. Where a
// block shows several ways, each begins with a comment after an empty line.
func TestJavaScriptParses(t *testing.T) {
	script := regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	var all [][2]string
	for _, b := range blocks(t, "js") {
		for way := range strings.SplitSeq(strings.ReplaceAll(b.code, "\n\n//", "\n\x00//"), "\x00") {
			all = append(all, [2]string{b.document, way})
		}
	}
	for _, b := range blocks(t, "html") {
		for _, m := range script.FindAllStringSubmatch(b.code, -1) {
			all = append(all, [2]string{b.document, m[1]})
		}
	}
	given, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool(t, "node"), "-e", `
		const AsyncFunction = (async () => {}).constructor;
		let status = 0;
		for (const [document, code] of JSON.parse(require("fs").readFileSync(0))) {
			try { new AsyncFunction(code); } catch (e) { status = 1; console.log(document + ": " + e + "\n" + code); }
		}
		process.exit(status);`)
	cmd.Stdin = bytes.NewReader(given)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCommandsExist looks at every command that documents show: for the targets of the Makefile, the
// packages and tests that go is given, the options of beanpole, and files.
func TestCommandsExist(t *testing.T) {
	var commands [][2]string
	for _, b := range blocks(t, "sh") {
		for line := range strings.Lines(b.code) {
			commands = append(commands, [2]string{b.document, line})
		}
	}
	inline := regexp.MustCompile("`((?:make|go|beanpole) [^`]+)`")
	for document, text := range documents(t) {
		for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			commands = append(commands, [2]string{document, m[1]})
		}
	}
	if len(commands) < 30 {
		t.Fatalf("found %d commands", len(commands))
	}
	known := shell{options: map[string]string{}}
	raw, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	known.makefile = string(raw)
	for _, c := range commands {
		if why := known.check(t, c[1]); why != "" {
			t.Errorf("%s: %s: %s", c[0], strings.TrimSpace(c[1]), why)
		}
	}
}

// shell is what commands of documents are held against.
type shell struct {
	makefile string
	options  map[string]string // of beanpole, by command: what --help says
}

// check returns what is wrong with a command, or "".
func (s *shell) check(t *testing.T, line string) string {
	t.Helper()
	line, _, _ = strings.Cut(line, " # ")
	assignments := regexp.MustCompile(`^([A-Z_]+=(\$\([^)]*\)|\S*)\s*)*`)
	line = regexp.MustCompile(`'[^']*'`).ReplaceAllStringFunc(line, func(quoted string) string { // one word
		return strings.ReplaceAll(strings.Trim(quoted, "'"), " ", "_")
	})
	for command := range strings.SplitSeq(assignments.ReplaceAllString(strings.TrimSpace(line), ""), " && ") {
		words := strings.Fields(command)
		if len(words) == 0 {
			continue
		}
		why := ""
		switch words[0] {
		case "make":
			why = s.target(words[1:])
		case "go":
			why = goCommand(words[1:])
		case "beanpole":
			why = s.beanpole(t, words[1:])
		case "cp":
			if _, err := os.Stat(filepath.Join(root, words[len(words)-2])); err != nil {
				why = err.Error()
			}
		case "cd", "curl", "eb", "export", "mkdir", "npm", "node":
		default:
			why = "unknown command"
		}
		if why != "" {
			return why
		}
	}
	return ""
}

func (s *shell) target(words []string) string {
	for _, w := range words {
		if name, _, isVariable := strings.Cut(w, "="); isVariable {
			if !regexp.MustCompile(`(?m)^` + name + ` *\?=`).MatchString(s.makefile) {
				return "no variable " + name
			}
		} else if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(w) + `:`).MatchString(s.makefile) {
			return "no target " + w
		}
	}
	return ""
}

func goCommand(words []string) string {
	if words[0] == "work" {
		return "" // its folders are the reader's
	}
	tests := ""
	for i, w := range words {
		if w == "-run" && i+1 < len(words) {
			tests = words[i+1]
		}
	}
	for _, w := range words {
		w, _, _ = strings.Cut(strings.TrimPrefix(w, module+"/"), "@")
		switch {
		case strings.HasPrefix(w, "./"), strings.HasPrefix(w, "cmd/"):
		default:
			continue
		}
		dir := filepath.Join(root, strings.TrimSuffix(w, "..."))
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 && !strings.HasSuffix(w, "...") {
			return "no package " + w
		}
		if tests != "" && !hasTest(files, tests) {
			return "no test " + tests
		}
	}
	return ""
}

// hasTest reports whether a pattern of -run, whose alternatives are words, finds tests in the files.
func hasTest(files []string, pattern string) bool {
	for want := range strings.SplitSeq(pattern, "|") {
		test := regexp.MustCompile(`(?m)^func Test\w*` + regexp.QuoteMeta(want))
		if !slices.ContainsFunc(files, func(file string) bool {
			raw, err := os.ReadFile(file)
			return err == nil && test.Match(raw)
		}) {
			return false
		}
	}
	return true
}

func (s *shell) beanpole(t *testing.T, words []string) string {
	t.Helper()
	command := words[0]
	help, ok := s.options[command]
	if !ok {
		cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/beanpole", command, "--help")
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "no command " + command
		}
		help = string(out)
		s.options[command] = help
	}
	for _, w := range words[1:] {
		name, _, _ := strings.Cut(w, "=")
		if strings.HasPrefix(name, "--") && !regexp.MustCompile(regexp.QuoteMeta(name)+`\b`).MatchString(help) {
			return "no option " + name
		}
	}
	return ""
}

// TestNamesExist looks for the functions, types and fields that documents name in their text and tables.
func TestNamesExist(t *testing.T) {
	known := map[string][]string{}
	for _, p := range packages(t) {
		if name := path.Base(p.name()); !strings.HasPrefix(p.name(), "examples/") && !strings.HasPrefix(p.name(), "test/") {
			known[name] = append(known[name], exported(t, p)...)
		}
	}
	known["io"], known["s"] = known["server"], known["server"]
	code := regexp.MustCompile("`[^`\n]+`")
	name := regexp.MustCompile(`(?:^|[^\w.*/])([a-z]+)((?:\.[A-Z]\w*)+)`)
	for document, text := range documents(t) {
		if document == "docs/zishang.md" {
			continue // names of another library
		}
		text, _, _ = strings.Cut(text, "## From github.com/zishang520") // likewise
		for _, span := range code.FindAllString(fence.ReplaceAllString(text, ""), -1) {
			for _, m := range name.FindAllStringSubmatch(strings.Trim(span, "`"), -1) {
				list, ours := known[m[1]]
				for part := range strings.SplitSeq(m[2][1:], ".") {
					if ours && !slices.Contains(list, part) {
						t.Errorf("%s: %s: there is no %s", document, span, part)
					}
				}
			}
		}
	}
}

// parsed returns the files of a package, without its tests.
func parsed(t *testing.T, p pkg) (files []*ast.File) {
	t.Helper()
	for _, file := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// exported returns the names that a package shows: of functions, methods, types, fields and values.
func exported(t *testing.T, p pkg) []string {
	t.Helper()
	var names []string
	for _, f := range parsed(t, p) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names = append(names, n.Name.Name)
				return false
			case *ast.TypeSpec:
				names = append(names, n.Name.Name)
			case *ast.ValueSpec:
				for _, name := range n.Names {
					names = append(names, name.Name)
				}
			case *ast.Field:
				for _, name := range n.Names {
					names = append(names, name.Name)
				}
			}
			return true
		})
	}
	return names
}

// TestLinksLead checks the links of the documents to files of the project and to headings in them.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#: ]*)(?:#([^)]*))?\)`)
	all := documents(t)
	for document, text := range all {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			to := document
			if m[1] != "" {
				to = path.Join(path.Dir(document), m[1])
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s, which is not there", document, m[1])
			}
			if m[2] != "" && !slices.Contains(anchors(all[to]), m[2]) {
				t.Errorf("%s links to %s#%s, which has no such heading", document, to, m[2])
			}
		}
	}
}

// anchors returns the names that a document's headings can be linked by.
func anchors(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestVariablesAreKnown holds what the documents say of variables against docs/configuration.md, which
// package host holds against its Config.
func TestVariablesAreKnown(t *testing.T) {
	all := documents(t)
	for document, text := range all {
		for _, name := range regexp.MustCompile(`BEANPOLE_[A-Z0-9_]*[A-Z0-9]`).FindAllString(text, -1) {
			if !strings.Contains(all["docs/configuration.md"], "| `"+name) {
				t.Errorf("%s has %s, which is no variable", document, name)
			}
		}
	}
}
