package lint

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// procLine is a line of a Procfile or Buildfile. Source: go-procfile, go-buildfile.
var procLine = regexp.MustCompile(`^[A-Za-z0-9_-]+:\s*[^\s].*$`)

// checkProcfile holds the Procfile against the platform's rules.
func checkProcfile(m *model) {
	f := m.bundle.Files["Procfile"]
	if f == nil || m.platform != Go {
		return
	}
	lines := m.processLines(f)
	if len(lines) == 0 {
		return
	}
	first := lines[0]
	if name, _, _ := strings.Cut(first.text, ":"); name != "web" {
		m.add(Finding{Check: "procfile-web", Severity: Error, File: "Procfile", Line: first.line,
			What: fmt.Sprintf("the first process is named %q", name),
			Why:  "nginx passes requests to the process named web, which must come first", Fix: "name it web"})
	}
	for _, l := range lines {
		_, command, _ := strings.Cut(l.text, ":")
		command = strings.TrimSpace(command)
		word := strings.Fields(command)[0]
		if strings.HasSuffix(command, "&") || word == "nohup" {
			m.add(Finding{Check: "procfile-background", Severity: Error, File: "Procfile", Line: l.line,
				What: "the command puts itself into the background",
				Why:  "systemd sees the process end and starts another", Fix: "take the & or nohup away"})
		}
		// Names of what is built on the instance are taken from Buildfile.
		if p := strings.TrimPrefix(word, "./"); strings.Contains(p, "/") && !strings.HasPrefix(p, "/") &&
			!m.bundle.has(p) && !bytes.Contains(m.bundle.text("Buildfile"), []byte(p)) && !(p == "bin/application" && m.bundle.has("application.go")) {
			m.add(Finding{Check: "procfile-missing", Severity: Error, File: "Procfile", Line: l.line,
				What: fmt.Sprintf("%s is neither in the bundle nor built by Buildfile", p),
				Why:  "the process cannot start: every request is answered 502 by nginx",
				Fix:  "build it before packing (beanpole pack does), see that .ebignore does not leave out bin/, or add a Buildfile"})
		}
	}
}

// checkBuildfile does so for the Buildfile.
func checkBuildfile(m *model) {
	f := m.bundle.Files["Buildfile"]
	if f == nil || m.platform != Go {
		return
	}
	for _, l := range m.processLines(f) {
		if strings.Contains(l.text, "go build") && !m.bundle.has("go.mod") {
			m.add(Finding{Check: "buildfile-module", Severity: Error, File: "Buildfile", Line: l.line,
				What: "go build without go.mod in the bundle", Why: "the build on the instance fails and the deployment with it",
				Fix: "ship go.mod, go.sum and the source, or a binary without Buildfile"})
		}
	}
}

type line struct {
	text string
	line int
}

// processLines returns the good lines of f and reports the others.
func (m *model) processLines(f *File) (lines []line) {
	text := f.text()
	m.checkText(f.Name, text)
	n := 0
	for l := range strings.Lines(string(text)) {
		n++
		l = strings.TrimRight(l, "\r\n")
		switch {
		case strings.TrimSpace(l) == "":
		case !procLine.MatchString(l):
			m.add(Finding{Check: "procfile-line", Severity: Error, File: f.Name, Line: n, What: fmt.Sprintf("%q is not `name: command`", l),
				Why: "the platform refuses the file; comments are not allowed either", Fix: "write `web: bin/application`"})
		default:
			lines = append(lines, line{l, n})
		}
	}
	if len(lines) == 0 {
		m.add(Finding{Check: "procfile-line", Severity: Error, File: f.Name, What: "the file names no process",
			Why: "there is nothing to run", Fix: "write `web: bin/application`"})
	}
	return lines
}

// checkText reports carriage returns and byte order marks in files that Linux reads.
func (m *model) checkText(name string, text []byte) {
	if i := bytes.Index(text, []byte("\r\n")); i >= 0 {
		m.add(Finding{Check: "crlf", Severity: Error, File: name, Line: 1 + bytes.Count(text[:i], []byte("\n")), What: "lines end with CR LF",
			Why: "Linux takes the CR as part of the word: `bad interpreter`, files not found", Fix: "save it with LF, or use beanpole pack, which converts"})
	}
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		m.add(Finding{Check: "byte-order-mark", Severity: Error, File: name, Line: 1, What: "the file starts with a byte order mark",
			Why: "it becomes part of the first word", Fix: "save it as UTF-8 without byte order mark"})
	}
}

// checkGoSource looks at what the Go platform builds without a Buildfile.
func checkGoSource(m *model) {
	if m.platform != Go || !m.bundle.has("application.go") || m.bundle.has("Buildfile") {
		return
	}
	for _, name := range m.bundle.Names() {
		if name != "application.go" && !strings.Contains(name, "/") && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			m.add(Finding{Check: "application-go", Severity: Error, File: name, What: "the main package has a second file",
				Why: "without Buildfile the platform runs `go build -o bin/application application.go`, which sees one file only",
				Fix: "add a Buildfile with `build: go build -o bin/application .`, or ship a binary"})
			return
		}
	}
}
