package host

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const document = "../../docs/configuration.md"

// TestConfigurationDocument holds the table of docs/configuration.md against Config. After a change of
// Config: go test ./server/host -run ConfigurationDocument -update
func TestConfigurationDocument(t *testing.T) {
	raw, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), "<!-- table begins -->\n")
	_, after, ok2 := strings.Cut(rest, "<!-- table ends -->\n")
	if !ok || !ok2 {
		t.Fatal("no table in the document")
	}
	want := before + "<!-- table begins -->\n" + table(t) + "<!-- table ends -->\n" + after
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(raw) != want {
		t.Error("docs/configuration.md is not what Config says: run this test with -update")
	}
}

// table makes the table from the comments and tags of Config.
func table(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "Config" {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			comments[f.Names[0].Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
		}
		return false
	})
	var out strings.Builder
	out.WriteString("| Variable | Default | What it does | Allowed |\n|---|---|---|---|\n")
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if f.Tag.Get("env") == "-" {
			continue
		}
		def := f.Tag.Get("default")
		if f.Type.Kind() == reflect.Bool {
			def = "false"
		}
		if def != "" {
			def = "`" + def + "`"
		}
		escape := strings.NewReplacer("|", "\\|", "*", "\\*").Replace
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.Tag.Get("env"), def, escape(comments[f.Name]), escape(f.Tag.Get("allow")))
	}
	return out.String()
}

func TestDocumentedDefaultsAreTrue(t *testing.T) {
	cfg := Config{}.withDefaults()
	for name, want := range map[string]any{
		"Port": cfg.Port, "Path": cfg.Path, "ShutdownTimeout": cfg.ShutdownTimeout, "AccessLog": cfg.AccessLog,
		"PingInterval": transport.DefaultPingInterval, "PingTimeout": transport.DefaultPingTimeout,
		"UpgradeTimeout": transport.DefaultUpgradeTimeout, "ConnectTimeout": server.DefaultConnectTimeout,
		"MaxPayload": transport.DefaultMaxHTTPBufferSize, "MaxNamespaces": server.DefaultMaxNamespaces,
		"MaxBacklogBytes": transport.DefaultMaxBacklogBytes, "MaxBacklogPackets": transport.DefaultMaxBacklogPackets,
	} {
		f, _ := reflect.TypeFor[Config]().FieldByName(name)
		if got := f.Tag.Get("default"); got != fmt.Sprint(want) {
			t.Errorf("%s: the default tag says %q, the code %v", name, got, want)
		}
	}
}
