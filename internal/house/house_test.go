package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
	"transport":       {"internal/limit", "internal/logs", "internal/origin", "internal/pool", "internal/shrink"},
	"adapter":         {"internal/shrink"},
	"server/packet":   {},
	"client":          {"server/packet", "internal/shrink"},
	"server/contract": {},
	"server": {"transport", "adapter", "server/contract", "server/packet", "internal/limit", "internal/logs", "internal/names", "internal/near",
		"internal/pool", "internal/shrink", "internal/version"},
	"server/metrics": {"transport", "server"},
	"server/tracing": {"server"},
	"server/adminui": {"transport", "adapter", "server", "server/packet", "internal/limit", "internal/origin"},
	"server/host": {"internal/version", "transport", "adapter", "server", "server/contract", "server/packet", "server/metrics", "server/tracing",
		"server/adminui", "adapter/redis", "internal/limit", "internal/logs", "internal/near", "internal/origin"},
	"server/servertest": {"client", "server", "adapter"},
	"server/zishang":    {"transport", "adapter", "server", "server/packet", "internal/origin", "internal/shrink"},
	"internal/limit":    {"internal/shrink"},
	"internal/logs":     {},
	"internal/names":    {"internal/shrink"},
	"internal/near":     {},
	"internal/origin":   {},
	"adapter/redis":     {"adapter", "server/packet", "internal/logs", "internal/shrink"}, // the forms of MessagePack are those of packets
}

// homes names the only packages that may import a module of another, with what is below them.
var homes = map[string]string{
	"github.com/aws/":         "server/host",
	"github.com/gin-gonic/":   "server/host",
	"github.com/gin-contrib/": "server/host",
	"github.com/redis/":       "adapter/redis",
	"github.com/zishang520/":  "server/zishang",
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports { // a package that tests alone import is in no program
			within, ours := strings.CutPrefix(imp, module+"/")
			allowed, core := imports[p.name()]
			if core && ours && !slices.Contains(allowed, within) {
				t.Errorf("%s imports %s; it may import %q of the project", p.name(), within, allowed)
			}
			if imp == module && !below(p.name(), "cmd/beanpole") {
				t.Errorf("%s imports the bundle, which only the command is to carry", p.name())
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

// HTTP/3 comes with zishang's library, in a version that has an advisory (docs/security.md): it is in no program that
// does not import that library's package.
func TestHTTP3IsInNoOtherProgram(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line) // the package itself first
		has := slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "github.com/quic-go/") })
		seen = seen || has
		if has && !slices.Contains(names, module+"/server/zishang") {
			t.Errorf("%s has HTTP/3 in it", names[0])
		}
	}
	if !seen {
		t.Error("no package has HTTP/3: security.md need not speak of it")
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

// TestNoAdapterIsHidden: what has an adapter.Adapter in it, and so is one, says which, or it would hide what that can do beside the
// methods of the interface (adapter.As).
func TestNoAdapterIsHidden(t *testing.T) {
	found := 0
	for _, p := range packages(t) {
		around, says := []string{}, map[string]bool{}
		for _, f := range parsed(t, p) {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Recv != nil && n.Name.Name == "Unwrap" {
						says[strings.TrimPrefix(types.ExprString(n.Recv.List[0].Type), "*")] = true
					}
				case *ast.TypeSpec:
					s, _ := n.Type.(*ast.StructType)
					if s != nil && slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool {
						return f.Names == nil && types.ExprString(f.Type) == "adapter.Adapter"
					}) {
						around = append(around, n.Name.Name)
					}
				}
				return true
			})
		}
		for _, name := range around {
			if found++; !says[name] {
				t.Errorf("%s.%s has an adapter in it, and no method Unwrap() adapter.Adapter", p.name(), name)
			}
		}
	}
	if found == 0 {
		t.Error("nothing has an adapter in it: this looks in the wrong places")
	}
}
