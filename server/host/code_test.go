package host

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// elsewhere are the variables that are no setting of a host's own, with the field of Config that stands in their place, or
// with what they belong to and are set by.
var elsewhere = map[string]string{
	"OTEL_SERVICE_NAME": "Traces", "OTEL_RESOURCE_ATTRIBUTES": "Traces", "OTEL_TRACES_SAMPLER": "Traces", "OTEL_TRACES_SAMPLER_ARG": "Traces",
	"OTEL_BSP_MAX_QUEUE_SIZE": "Traces", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "Traces",
	"OTEL_BSP_SCHEDULE_DELAY": "Traces", "OTEL_BSP_EXPORT_TIMEOUT": "Traces", "OTEL_EXPORTER_OTLP_PROTOCOL": "Traces",
	"GOGC": "debug.SetGCPercent", "GOMEMLIMIT": "debug.SetMemoryLimit", "SSL_CERT_FILE": "crypto/x509",
	"KUBERNETES_SERVICE_HOST": "set by Kubernetes", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "AWS, for its test servers",
	"AWS_ENDPOINT_URL_AUTO_SCALING": "AWS, for its test servers",
}

// Settable from code is all that the host reads from variables: each that its source or docs/configuration.md names is a field of Config,
// has a field in its place, or is not the host's.
func TestAllVariablesHaveAFieldInCode(t *testing.T) {
	fields := make(map[string]bool)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		fields[f.Name] = true
		if name := f.Tag.Get("env"); name != "-" {
			fields[name] = true
		}
	}
	named := make(map[string]string)
	variable := regexp.MustCompile(`\b(?:BEANPOLE|OTEL|REDIS|AWS|SSL|KUBERNETES)_[A-Z0-9_]*[A-Z0-9]\b|\bGO(?:GC|MEMLIMIT)\b`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				for _, name := range variable.FindAllString(text, -1) {
					named[name] = file
				}
			}
			return true
		})
	}
	document, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range variable.FindAllString(string(document), -1) {
		named[name] = "docs/configuration.md"
	}
	for name, where := range named {
		if instead := elsewhere[name]; !fields[name] && instead == "" {
			t.Errorf("%s: %s is read from the environment, and no field of Config sets it in code", where, name)
		} else if instead == "Traces" && !fields[instead] {
			t.Errorf("%s: there is no field %s in the place of %s", where, instead, name)
		}
	}
	for name := range elsewhere {
		if named[name] == "" {
			t.Errorf("%s is named nowhere", name)
		}
	}
	if len(named) < 60 {
		t.Errorf("only %d variables found", len(named))
	}
}

// A provider made in code has the spans, whatever the variables say, and is not the host's to end.
func TestTracesInCode(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
	kept := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(kept))
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", Traces: provider})
	h.IO().On("works", func() bool { return true })
	done := running(t, h)
	session := connect(t, h)
	say(t, h, session, `421["works"]`)
	get(t, h, session)
	say(t, h, session, "1")
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Errorf("Run: %v", err)
	}
	var names []string
	for _, s := range kept.GetSpans() {
		names = append(names, s.Name)
	}
	if !slices.Contains(names, "socket.io receive works") {
		t.Errorf("spans: %q", names)
	}
	if _, span := provider.Tracer("x").Start(t.Context(), "after"); !span.IsRecording() {
		t.Error("the host has ended the provider")
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
