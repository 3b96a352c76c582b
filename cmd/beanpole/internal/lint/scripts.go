package lint

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/internal/near"
)

// script looks at a file that the kernel executes by its #!.
func (m *model) script(name string, text []byte) {
	if m.judged[name] {
		return // many lines may run one script
	}
	if m.judged == nil {
		m.judged = make(map[string]bool)
	}
	m.judged[name] = true
	first, _, _ := bytes.Cut(bytes.TrimPrefix(text, []byte(byteOrderMark)), []byte("\n"))
	if !bytes.HasPrefix(first, []byte("#!")) {
		return
	}
	m.checkText(name, text, scriptText)
	m.unanswered(name, 1, text)
	line := strings.TrimRight(string(first[2:]), "\r")
	words := strings.Fields(line)
	f := Finding{Check: "script-interpreter", Severity: Error, File: name, Line: 1, Why: "the deployment fails with `no such file or directory`, and means the interpreter", Fix: "#!/bin/bash"}
	switch {
	case len(words) == 0:
		f.What = "#! names no interpreter"
	case !path.IsAbs(words[0]):
		f.What = words[0] + " is no whole path"
	case path.Base(words[0]) == "env" && len(words) == 1:
		f.What = "env is told no program"
	case path.Base(words[0]) == "env" && len(words) > 2 && !strings.HasPrefix(words[1], "-"):
		f.What = fmt.Sprintf("env looks for a program that is called %q: all behind it is one word to Linux", strings.Join(words[1:], " "))
		f.Fix = "#!/bin/" + words[1] + ", and set -" + strings.TrimPrefix(words[2], "-") + " in a line of its own"
	case meantShell(words[0]) != "":
		f.What, f.Fix = words[0]+" is not on Amazon Linux", "#!"+meantShell(words[0])
	default:
		if program := path.Base(words[min(len(words)-1, strings.Count(path.Base(words[0]), "env"))]); program == "bash" || program == "sh" {
			m.scripts = append(m.scripts, name)
		}
		return
	}
	m.add(f)
}

// asking matches a package manager that waits for somebody to say yes.
var asking = regexp.MustCompile(`(?m)^\s*(?:sudo\s+)?(?:yum|dnf)\s+(?:-\S+\s+)*(?:(?:local|group|re)?install|update|upgrade|remove|erase|swap)\b[^\n|]*$`)

// assumed matches what answers it.
var assumed = regexp.MustCompile(`\s(-[a-zA-Z]*y[a-zA-Z]*|--assumeyes|--setopt=assumeyes=\S+)(\s|$)`)

// unanswered looks for commands that ask, where nobody is, in a script that begins in a line of a file.
func (m *model) unanswered(name string, line int, text []byte) {
	text = unixText(text)
	counted := 0
	for _, at := range asking.FindAllIndex(text, -1) {
		line += bytes.Count(text[counted:at[1]], []byte("\n"))
		counted = at[1]
		command := strings.TrimSpace(string(text[at[0]:at[1]]))
		if !assumed.MatchString(command) {
			m.add(Finding{Check: "package-asks", Severity: Error, File: name, Line: line, What: fmt.Sprintf("%q asks whether it may", command),
				Why: "nobody is there to say yes: it does nothing and fails, and the deployment with it", Fix: "yum -y"})
		}
	}
}

// meantShell returns the interpreter that a path is a slip of the pen for, or one of another system; or "".
func meantShell(name string) string {
	switch name {
	case "/usr/local/bin/bash", "/opt/homebrew/bin/bash":
		return "/bin/bash"
	case "/bin/dash", "/usr/bin/dash": // a shell too
		return ""
	}
	for _, right := range []string{"/bin/bash", "/usr/bin/bash", "/usr/bin/env", "/bin/sh"} {
		letters := func(s string) string { return string(slices.Sorted(slices.Values([]rune(s)))) }
		if d := near.Distance(name, right); d == 2 && letters(name) == letters(right) || d == 1 && right != "/bin/sh" && name != "/bin/env" {
			return right
		}
	}
	return ""
}

// syntax is what bash has said of scripts, by their text: those of a bundle are often the same.
var syntax sync.Map

var shellError = regexp.MustCompile(`line (\d+): (.*)`)

// checkShell has bash read the scripts, which does not run them. Without a bash on this machine nothing is said.
// On Amazon Linux sh is bash.
func (m *model) checkShell(ctx context.Context) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		return
	}
	for _, name := range m.scripts {
		if m.bundle.Files[name].Size > foreign.MaxText {
			continue // what is in it is more than a script
		}
		text := string(unixText(m.bundle.text(name))) // what is wrong with its ends has its own finding
		said, known := syntax.Load(text)
		if !known {
			out, content, err := foreign.Program(ctx, os.TempDir(), strings.NewReader(text), bash, "-n")
			if err != nil {
				return
			}
			if content {
				out = "" // warnings are none of ours
			}
			said = out
			syntax.Store(text, said)
		}
		if at := shellError.FindStringSubmatch(said.(string)); at != nil {
			n, _ := strconv.Atoi(at[1])
			m.add(Finding{Check: "script-syntax", Severity: Error, File: name, Line: n, What: "bash -n: " + at[2],
				Why: "the script ends there, and the deployment with it", Fix: "mend it"})
		}
	}
}

// runs looks at a script of the bundle that something runs by its name.
func (m *model) runs(name, by string, line int) {
	f := m.bundle.Files[name]
	if f == nil || f.planned {
		return
	}
	text := m.bundle.begin(name)
	m.script(name, text)
	if bytes.HasPrefix(text, []byte("#!")) && f.Mode&0o111 == 0 && !m.madeExecutable(path.Base(name)) {
		m.add(Finding{Check: "script-mode", Severity: Error, File: by, Line: line, What: name + " is not executable",
			Why: "`permission denied`", Fix: "chmod +x " + name + ", git update-index --chmod=+x; or run it by `bash " + name + "`"})
	}
}

// reader is who reads a text on the instance.
type reader int

const (
	scriptText reader = iota // the kernel and a shell
	lineText                 // the platform, line by line
	nginxText                // nginx, to which a CR is a blank
)

// checkText reports carriage returns and byte order marks where they are in the way. YAML and Dockerfiles may have both.
func (m *model) checkText(name string, text []byte, by reader) {
	if i := bytes.Index(text, []byte("\r\n")); i >= 0 && by != nginxText {
		f := Finding{Check: "crlf", Severity: Error, File: name, Line: 1 + bytes.Count(text[:i], []byte("\n")), What: "lines end with CR LF",
			Why: "Linux takes the CR as part of the word: `bad interpreter: /bin/bash^M`", Fix: "save it with LF; `* text=auto eol=lf` in .gitattributes keeps Git on Windows from changing it; beanpole pack converts"}
		if by == lineText {
			f.Severity, f.Why = Warning, "what does not take the CR away looks for a program whose name ends with it"
		}
		m.add(f)
	}
	if bytes.HasPrefix(text, []byte(byteOrderMark)) {
		m.add(Finding{Check: "byte-order-mark", Severity: Error, File: name, Line: 1, What: "the file starts with a byte order mark",
			Why: "it becomes part of the first word", Fix: "save it as UTF-8 without byte order mark"})
	}
}

const byteOrderMark = "\xef\xbb\xbf"

// unixText is a text as those read it who take CR LF for the end of a line and know byte order marks.
func unixText(text []byte) []byte {
	return bytes.ReplaceAll(bytes.TrimPrefix(text, []byte(byteOrderMark)), []byte("\r\n"), []byte("\n"))
}
