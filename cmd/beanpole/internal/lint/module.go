package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// Module is the one that applications are built on.
const Module = "github.com/beanpole/beanpole"

// moduleOf returns the go.mod by which the programs of a folder are built, or nil where it is not that alone: in a workspace
// a program may be built on modules that its own does not name.
func moduleOf(dir string) []byte {
	text, err := foreign.ReadFile(dir, "go.mod", foreign.MaxText)
	at, absolute := filepath.Abs(dir)
	if err != nil || absolute != nil {
		return nil
	}
	for {
		if _, err := os.Lstat(filepath.Join(at, "go.work")); err == nil {
			return nil
		}
		up := filepath.Dir(at)
		if up == at {
			return text
		}
		at = up
	}
}

// checkModule looks for Beanpole in the module, where the bundle asks for what it answers.
func checkModule(m *model) {
	text := m.bundle.module
	if text == nil && !m.bundle.has("go.work") {
		text = m.bundle.text("go.mod")
	}
	if text == nil || bytes.Contains(m.bundle.text("Buildfile"), []byte(" -C")) { // which builds another module's
		return
	}
	file, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil || file.Module == nil || file.Module.Mod.Path == Module ||
		slices.ContainsFunc(file.Require, func(r *modfile.Require) bool { return r.Mod.Path == Module }) {
		return
	}
	var asked []string
	if slices.ContainsFunc(m.settings, func(s setting) bool { return s.option == "HealthCheckPath" && s.value == "/healthz" }) {
		asked = append(asked, "/healthz")
	}
	if slices.ContainsFunc(m.bundle.under(".platform/hooks"), func(name string) bool { return bytes.Contains(m.bundle.begin(name), []byte("/drain")) }) {
		asked = append(asked, "POST /drain")
	}
	if len(asked) == 0 {
		return
	}
	m.add(Finding{Check: "no-beanpole", Severity: Warning, File: "go.mod", What: "the module does not require " + Module + ", and the bundle asks its programs for " + strings.Join(asked, " and "),
		Why: "a program that does not answer the health check loses every instance, and one without a drain its clients at each deployment",
		Fix: "do what beanpole init has said (go mod edit, go mod tidy), and have the program listen by server/host"})
}
