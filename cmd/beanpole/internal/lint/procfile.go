package lint

import (
	"fmt"
	"path"
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
	lines := m.processLines("Procfile")
	if len(lines) == 0 {
		return
	}
	first := lines[0]
	if name, _, _ := strings.Cut(first.text, ":"); name != "web" {
		m.add(Finding{Check: "procfile-web", Severity: Error, File: "Procfile", Line: first.line,
			What: fmt.Sprintf("the first process is named %q", name),
			Why:  "nginx passes requests to the process named web, which must come first", Fix: "name it web"})
	}
	seen := make(map[string]int)
	for _, l := range lines {
		name, command, _ := strings.Cut(l.text, ":")
		if first, ok := seen[name]; ok {
			m.add(Finding{Check: "procfile-twice", Severity: Warning, File: "Procfile", Line: l.line, What: fmt.Sprintf("a process named %s stands at line %d already", name, first),
				Why: "there is one service of a name: one of the two is never run", Fix: "give each its own name"})
		}
		seen[name] = l.line
		command = strings.TrimSpace(command)
		word := started(command)
		m.runs(path.Clean(word), "Procfile", l.line)
		if strings.HasPrefix(command, "go run ") {
			m.add(Finding{Check: "procfile-go-run", Severity: Warning, File: "Procfile", Line: l.line, What: "go run builds the application whenever it starts",
				Why: "until it is built, which takes minutes on a small instance, every request is answered 502; it needs the source, the modules and the platform's Go", Fix: "build it in a Buildfile, or before: beanpole pack"})
		}
		if !strings.Contains(word, "/") && m.bundle.has(word) {
			m.add(Finding{Check: "procfile-path", Severity: Error, File: "Procfile", Line: l.line, What: word + " is looked for in PATH, and not in the bundle",
				Why: "the process ends with `command not found`: every request is answered 502 by nginx", Fix: "write ./" + word})
		}
		if strings.HasSuffix(command, "&") || word == "nohup" {
			m.add(Finding{Check: "procfile-background", Severity: Error, File: "Procfile", Line: l.line,
				What: "the command puts itself into the background",
				Why:  "systemd sees the process end and starts another", Fix: "take the & or nohup away"})
		}
		// Names of what is built on the instance are taken from Buildfile.
		if p := strings.TrimPrefix(word, "./"); strings.Contains(p, "/") && !strings.HasPrefix(p, "/") &&
			!m.bundle.has(p) && !m.mentions(p, "Buildfile") && !(p == "bin/application" && m.bundle.has("application.go")) {
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
	for _, l := range m.processLines("Buildfile") {
		_, command, _ := strings.Cut(l.text, ":")
		word := started(strings.TrimSpace(command))
		m.runs(path.Clean(word), "Buildfile", l.line)
		if strings.HasPrefix(word, "./") && strings.HasSuffix(word, ".sh") && !m.bundle.has(path.Clean(word)) {
			m.add(Finding{Check: "buildfile-missing", Severity: Error, File: "Buildfile", Line: l.line, What: word + " is not in the bundle",
				Why: "the build on the instance fails and the deployment with it", Fix: "ship it: see .ebignore"})
		}
		if strings.Contains(l.text, "go build") && !m.bundle.has("go.mod") {
			m.add(Finding{Check: "buildfile-module", Severity: Error, File: "Buildfile", Line: l.line,
				What: "go build without go.mod in the bundle", Why: "the build on the instance fails and the deployment with it",
				Fix: "ship go.mod, go.sum and the source, or a binary without Buildfile"})
		}
	}
}

// readProcfile takes what the Procfile sets for the process web, and that wins over the properties of the environment. What the
// shell makes of something else is not known.
func (m *model) readProcfile() {
	if m.platform != Go {
		return
	}
	n := 0
	for l := range strings.Lines(string(unixText(m.bundle.text("Procfile")))) {
		n++
		name, command, _ := strings.Cut(l, ":")
		if name != "web" || !procLine.MatchString(strings.TrimSpace(l)) {
			continue
		}
		m.assigned = make(map[string]setting)
		for _, word := range strings.Fields(command) {
			if !assignment.MatchString(word) {
				break
			}
			option, value, set := strings.Cut(word, "=")
			if value = strings.Trim(value, `"'`); set && !strings.ContainsAny(value, "$`\"'\\") {
				m.assigned[option] = setting{nsProperties, option, value, "Procfile", n}
			}
		}
		return
	}
}

// assignment is what may stand before the program.
var assignment = regexp.MustCompile(`^([A-Za-z_]\w*=\S*|exec|env)$`)

// started is the word of a command that names what is run.
func started(command string) string {
	words := strings.Fields(command)
	for len(words) > 1 && assignment.MatchString(words[0]) {
		words = words[1:]
	}
	return words[0]
}

type line struct {
	text string
	line int
}

// processLines returns the good lines of a file and reports the others.
func (m *model) processLines(name string) (lines []line) {
	text := m.bundle.text(name)
	m.checkText(name, text, lineText)
	n := 0
	for l := range strings.Lines(string(text)) {
		n++
		l = strings.TrimRight(l, "\r\n")
		switch {
		case strings.TrimSpace(l) == "":
		case !procLine.MatchString(l):
			m.add(Finding{Check: "procfile-line", Severity: Error, File: name, Line: n, What: fmt.Sprintf("%q is not `name: command`", l),
				Why: "the platform refuses the file; comments are not allowed either", Fix: "write `web: bin/application`"})
		default:
			lines = append(lines, line{l, n})
		}
	}
	if len(lines) == 0 {
		m.add(Finding{Check: "procfile-line", Severity: Error, File: name, What: "the file names no process",
			Why: "there is nothing to run", Fix: "write `web: bin/application`"})
	}
	return lines
}

// checkGoSource looks at what the Go platform builds without a Buildfile.
func checkGoSource(m *model) {
	if m.platform != Go || !m.bundle.has("application.go") || m.bundle.has("Buildfile") {
		return
	}
	for _, name := range m.bundle.ordered() {
		if name != "application.go" && !strings.Contains(name, "/") && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			m.add(Finding{Check: "application-go", Severity: Error, File: name, What: "the main package has a second file",
				Why: "without Buildfile the platform runs `go build -o bin/application application.go`, which sees one file only",
				Fix: "add a Buildfile with `build: go build -o bin/application .`, or ship a binary"})
			return
		}
	}
}
