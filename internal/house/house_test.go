package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/beanpole/beanpole"
	root   = "../.."
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Name, Doc, Dir          string
	GoFiles                             []string
	Imports, TestImports, XTestImports  []string
	TestGoFiles, XTestGoFiles, CgoFiles []string
}

// name is the path within the module: "server/host".
func (p pkg) name() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// imports names, for the packages of the core, all packages of the project that they may import.
var imports = map[string][]string{
	"transport":      {},
	"adapter":        {},
	"server/packet":  {},
	"server":         {"transport", "adapter", "server/packet"},
	"server/metrics": {"transport", "server"},
	"server/tracing": {"server"},
	"server/adminui": {"transport", "adapter", "server", "server/packet"},
	"server/host":    {"transport", "adapter", "server", "server/packet", "server/metrics", "adapter/redis"},
	"server/zishang": {"transport", "adapter", "server", "server/packet"},
	"adapter/redis":  {"adapter", "server/packet"}, // the forms of MessagePack are those of packets
}

// homes names the only packages that may import a module of another, with what is below them.
var homes = map[string]string{
	"github.com/gin-gonic/":   "server/host",
	"github.com/gin-contrib/": "server/host",
	"github.com/redis/":       "adapter/redis",
	"github.com/zishang520/":  "server/zishang",
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			within, ours := strings.CutPrefix(imp, module+"/")
			allowed, core := imports[p.name()]
			if core && ours && !slices.Contains(allowed, within) {
				t.Errorf("%s imports %s; it may import %q of the project", p.name(), within, allowed)
			}
			if program := programOf(within); ours && program != "" && !below(p.name(), program) {
				t.Errorf("%s imports %s, which is a program's own", p.name(), within)
			}
			for prefix, home := range homes {
				// The example is an application of the library, which is its point.
				if strings.HasPrefix(imp, prefix) && !below(p.name(), home) && p.name() != "examples/zishang" {
					t.Errorf("%s imports %s, which belongs in %s alone", p.name(), imp, home)
				}
			}
		}
	}
}

// programOf returns the program that a package belongs to ("cmd/beanpole"), or "".
func programOf(name string) string {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) < 2 || (parts[0] != "cmd" && parts[0] != "examples") {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

// below reports whether the package is dir or lies in it.
func below(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

func TestEachPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 { // tests alone: go list has no comment for them
			continue
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.name())
		}
		if slices.Contains([]string{"util", "utils", "common", "types", "helpers"}, p.Name) {
			t.Errorf("%s: the name %s says nothing", p.name(), p.Name)
		}
	}
}

// maxLines is where a production file has more than one concept in it.
const maxLines = 430

func TestFilesAreShort(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			raw, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(raw, []byte("\n")); n > maxLines && !strings.HasSuffix(p.Name, "test") {
				t.Errorf("%s/%s has %d lines: split it by concept", p.name(), name, n)
			}
		}
	}
}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestDocumentsCompile builds every complete program that a document shows.
func TestDocumentsCompile(t *testing.T) {
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, filepath.Join(root, "README.md"))
	for _, document := range documents {
		raw, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		programs := 0
		for _, block := range goBlock.FindAllSubmatch(raw, -1) {
			if !bytes.HasPrefix(block[1], []byte("package ")) {
				continue
			}
			programs++
			vet(t, document, block[1])
		}
		if programs == 0 && filepath.Base(document) == "README.md" {
			t.Error("README.md shows no complete program")
		}
	}
}

// TestLinksLead checks the links of the documents to files of the project.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#: ]+)(#[^)]*)?\)`)
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		documents, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range documents {
			raw, err := os.ReadFile(document)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllSubmatch(raw, -1) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(document), string(m[1]))); err != nil {
					t.Errorf("%s links to %s, which is not there", filepath.Base(document), m[1])
				}
			}
		}
	}
}

// TestVariablesAreKnown holds what the documents say of variables against docs/configuration.md, which
// package host holds against its Config.
func TestVariablesAreKnown(t *testing.T) {
	table, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, filepath.Join(root, "README.md")) {
		raw, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`BEANPOLE_[A-Z0-9_]*[A-Z0-9]`).FindAll(raw, -1) {
			if !bytes.Contains(table, append([]byte("| `"), name...)) {
				t.Errorf("%s has %s, which is no variable", filepath.Base(document), name)
			}
		}
	}
}

func vet(t *testing.T, document string, program []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, program, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", file)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("a program in %s: %v\n%s", filepath.Base(document), err, out)
	}
}
