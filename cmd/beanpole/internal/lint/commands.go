package lint

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// What configuration files have instances do before the application is there: commands, container_commands, packages
// and files. Sources: customize-containers-ec2, and cfn-init, which runs all but container_commands.

// commandKeys are what a command may have.
var commandKeys = []string{"command", "cwd", "env", "test", "ignoreErrors", "leader_only", "waitAfterCompletion"}

// packageManagers are those of Amazon Linux.
var packageManagers = []string{"yum", "dnf", "rpm", "rubygems", "python"}

func checkCommands(m *model) {
	for _, c := range m.configs {
		for _, kv := range pairs(c.root) {
			switch section := scalar(kv.Key); section {
			case "commands", "container_commands":
				for _, cmd := range pairs(kv.Value) {
					m.command(c, section, cmd)
				}
			case "packages":
				for _, manager := range pairs(kv.Value) {
					m.packages(c, manager)
				}
			case "files":
				for _, f := range pairs(kv.Value) {
					m.file(c, f)
				}
			}
		}
	}
}

func (m *model) command(c config, section string, kv *ast.MappingValueNode) {
	name, line := scalar(kv.Key), lineOf(kv.Key)
	if text, _ := find(kv.Value, "command"); text == nil || text.Type() == ast.NullType {
		m.add(Finding{Check: "command-missing", Severity: Error, File: c.name, Line: line, What: fmt.Sprintf("%s of %s has no command", name, section),
			Why: "there is nothing to run: the deployment fails", Fix: "write what to run behind `command:`, indented below " + name})
		return
	}
	_, tested := find(kv.Value, "test")
	for _, part := range pairs(kv.Value) {
		key, value := scalar(part.Key), scalar(part.Value)
		f := Finding{Check: "command-key", Severity: Warning, File: c.name, Line: lineOf(part.Key), Why: "it has no effect"}
		switch {
		case key == "leader_only" && section == "commands":
			f.Check, f.Severity, f.What = "command-leader", Error, "leader_only is of container_commands alone"
			f.Why, f.Fix = "commands run on every instance, at every deployment: a migration of a database runs several times at once", "move "+name+" to container_commands"
		case (key == "leader_only" || key == "ignoreErrors") && !truth.MatchString(value):
			f.What, f.Fix = fmt.Sprintf("%s is %q", key, value), "write true or false"
		case key == "leader_only" && tested && strings.EqualFold(value, "true"):
			f.Check, f.What = "command-leader", name+" has a test and leader_only"
			f.Why, f.Fix = "leader_only takes precedence: the test is not made", "put the test into the command, as a shell's if"
		case !slices.Contains(commandKeys, key):
			f.What, f.Fix = fmt.Sprintf("a command has no %s", key), didYouMean(key, commandKeys)
		default:
			continue
		}
		m.add(f)
	}
	m.early(c, section, kv)
	text, _ := find(kv.Value, "command")
	m.unanswered(c.name, lineOf(text), []byte(scalar(text)))
}

// truth is what a boolean may be, in YAML 1.1.
var truth = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off)$`)

// early finds commands that are run before the application has been unpacked, and are files of it.
func (m *model) early(c config, section string, kv *ast.MappingValueNode) {
	text, _ := find(kv.Value, "command")
	if _, elsewhere := find(kv.Value, "cwd"); section != "commands" || elsewhere {
		return
	}
	words := strings.Fields(scalar(text))
	for i, word := range words {
		if i > 1 || i == 1 && !shells.MatchString(words[0]) {
			return
		}
		if name := path.Clean(word); !path.IsAbs(word) && strings.Contains(word, "/") && m.bundle.has(name) {
			m.add(Finding{Check: "command-early", Severity: Error, File: c.name, Line: lineOf(kv.Key), What: fmt.Sprintf("commands run before the application is unpacked: %s is not there", name),
				Why: "they run in /; the deployment fails with `No such file or directory`", Fix: "move it to container_commands, or make it a hook in .platform/hooks/prebuild"})
		}
	}
}

var shells = regexp.MustCompile(`^(sudo|source|\.|(/usr)?/bin/(ba)?sh|(ba)?sh)$`)

// debian matches names of packages that only Debian and what comes of it have.
var debian = regexp.MustCompile(`^(build-essential|apt-.*|(lib|python|ruby|default-)[\w.+-]*-dev)$`)

func (m *model) packages(c config, manager *ast.MappingValueNode) {
	name := scalar(manager.Key)
	f := Finding{Check: "package-manager", Severity: Error, File: c.name, Line: lineOf(manager.Key), Why: "the deployment fails: Amazon Linux has yum, and no other source of packages of the system"}
	switch {
	case name == "apt" || name == "apt-get":
		f.What, f.Fix = name+" is of Debian and Ubuntu", "yum, with the names that packages have there: -devel in the place of -dev"
	case !slices.Contains(packageManagers, name):
		f.What, f.Fix = "no package manager is called "+name, "one of yum, rpm, rubygems and python; in a hook whatever is installed"
	case name == "yum" || name == "dnf":
		for _, p := range pairs(manager.Value) {
			if pkg := scalar(p.Key); debian.MatchString(pkg) {
				m.add(Finding{Check: "package-name", Severity: Error, File: c.name, Line: lineOf(p.Key), What: pkg + " is a package of Debian",
					Why: "yum does not find it, and the deployment fails", Fix: "see `yum search` on an instance; -devel in the place of -dev, gcc and make in the place of build-essential"})
			}
		}
		return
	default:
		return
	}
	m.add(f)
}

// octal is a mode, with what kind of file it is in front or without.
var octal = regexp.MustCompile(`^[0-7]{3,6}$`)

func (m *model) file(c config, kv *ast.MappingValueNode) {
	name := scalar(kv.Key)
	if !path.IsAbs(name) {
		m.add(Finding{Check: "file-path", Severity: Error, File: c.name, Line: lineOf(kv.Key), What: fmt.Sprintf("%q does not begin with /", name),
			Why: "files are written before the application is unpacked, and not into its folder", Fix: "the whole path on the instance; what belongs to the application, ship in the bundle"})
	}
	if mode, ok := find(kv.Value, "mode"); ok && mode.Type() == ast.StringType && !octal.MatchString(scalar(mode)) {
		m.add(Finding{Check: "file-mode", Severity: Error, File: c.name, Line: lineOf(mode), What: fmt.Sprintf("mode is %q", scalar(mode)),
			Why: "it is read as an octal number: the deployment fails", Fix: `mode: "000644", or "000755" for what is executed`})
	}
	_, content := find(kv.Value, "content")
	if source, ok := find(kv.Value, "source"); ok && content {
		m.add(Finding{Check: "file-content", Severity: Error, File: c.name, Line: lineOf(source), What: "the file has content and source",
			Why: "only one of them is allowed", Fix: "delete one"})
	}
}
