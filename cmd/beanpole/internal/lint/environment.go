package lint

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/beanpole/beanpole/server/host"
)

// maxProperties is how many bytes all environment properties may have. Source: environments-cfg-softwaresettings.
const maxProperties = 4096

// standIns are values in the place of those that are known on the instance alone, for variables whose being set has
// consequences.
var standIns = map[string]string{
	"REDIS_URL":                       "redis://1:1",
	"BEANPOLE_NODE_SECRET":            "0123456789abcdef",
	"BEANPOLE_PROBE_TOKEN":            "0123456789abcdef",
	"BEANPOLE_ADMIN_UI_USERNAME":      "admin",
	"BEANPOLE_ADMIN_UI_PASSWORD_HASH": "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
}

// validName matches what systemd takes for the name of a variable.
var validName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkEnvironment reads the environment properties as the server does when it starts, and adds them up.
func checkEnvironment(m *model) {
	variables, set := m.variables()
	for _, p := range host.Problems(variables, m.folder) {
		s := set[p.Variable]
		if s.file == "" {
			s = m.firstOf(nsProperties)
		}
		f := Finding{File: s.file, Line: s.line}
		switch {
		case p.Err != nil:
			f.Check, f.Severity, f.What = "environment", Error, p.Err.Error()
			f.Why, f.Fix = "the server does not start: every request is answered 502 by nginx, and the deployment fails", "see docs/configuration.md"
		case p.Without != "":
			f.Check, f.Severity, f.What = "variable-idle", Warning, p.Variable+" does nothing without "+p.Without
			f.Why, f.Fix = "what it is to do is not done", "set "+p.Without+", or delete it"
		default:
			f.Check, f.Severity, f.What = "variable-unknown", Warning, "the server reads no variable "+p.Variable
			f.Why, f.Fix = "it has no effect, and what was meant has its default", "see docs/configuration.md"
			if p.Meant != "" {
				f.Fix = "did you mean " + p.Meant + "?"
			}
		}
		m.add(f)
	}
	for _, name := range []string{"BEANPOLE_DEVELOPMENT", "BEANPOLE_DEBUG_PAYLOADS"} {
		if on, _ := strconv.ParseBool(variables[name]); on {
			m.add(Finding{Check: "for-development", Severity: Warning, File: set[name].file, Line: set[name].line, What: name + " is on in an environment",
				Why: "it is for the programmer's own machine: it costs time with each event, and what clients send comes into the log", Fix: "delete it here"})
		}
	}
	sum, last := 0, setting{}
	for _, s := range m.settings {
		if s.namespace == nsProperties && m.platform != Docker && !validName.MatchString(s.option) {
			m.add(Finding{Check: "variable-name", Severity: Warning, File: s.file, Line: s.line, What: fmt.Sprintf("no variable can have the name %q", s.option),
				Why: "systemd, which starts the application, leaves it out", Fix: "letters, digits and _, and no digit first"})
		}
		if s.namespace == nsProperties {
			sum, last = sum+len(s.option)+len(s.value), s
		}
	}
	if sum > maxProperties {
		m.add(Finding{Check: "environment-size", Severity: Error, File: last.file, Line: last.line,
			What: fmt.Sprintf("the environment properties have %d bytes", sum), Why: "more than 4,096 are refused",
			Fix: "move large values into a file, or into Parameter Store with " + nsSecrets})
	}
}

// variables returns the environment in which the server will start, as far as it is known, and where each is set. Nobody changes them.
func (m *model) variables() (map[string]string, map[string]setting) {
	if m.values != nil {
		return m.values, m.set
	}
	values, set := make(map[string]string), make(map[string]setting)
	put := func(s setting, value string) {
		values[s.option], set[s.option] = value, s
	}
	if m.platform == Docker {
		for _, s := range m.imageVariables() {
			if !strings.Contains(s.value, "$") { // else an argument of the build
				put(s, s.value)
			}
		}
	}
	for _, s := range slices.Concat(m.settings, slices.Collect(maps.Values(m.assigned))) {
		stand, known := standIns[s.option]
		switch {
		case s.namespace == nsProperties && !strings.Contains(s.value, "`"):
			put(s, s.value)
		case s.namespace == nsProperties:
			if v := m.standIn(s.value); v != "1" {
				put(s, v)
			} else if known {
				put(s, stand)
			}
		case s.namespace == nsSecrets && known:
			put(s, stand)
		}
	}
	m.values, m.set = values, set
	return values, set
}

// imageVariables returns the variables that the last stage of the Dockerfile sets.
func (m *model) imageVariables() (vars []setting) {
	for _, i := range m.bundle.instructions() {
		switch i.name {
		case "FROM":
			vars = nil
		case "ENV":
			for word := range strings.FieldsSeq(i.args) {
				if k, v, ok := strings.Cut(word, "="); ok {
					vars = append(vars, setting{option: k, value: strings.Trim(v, `"'`), file: "Dockerfile", line: i.line})
				}
			}
		}
	}
	return vars
}

// standIn puts 1 into the places of a value that functions fill: `{"Fn::Join": …}` keeps the words it has.
func (m *model) standIn(value string) string {
	if !strings.Contains(value, "`") {
		return value
	}
	var function any
	if json.Unmarshal([]byte(strings.Trim(value, "`")), &function) != nil {
		return "1"
	}
	return joined(function)
}

func joined(function any) string {
	switch f := function.(type) {
	case string:
		return f
	case map[string]any:
		args, _ := f["Fn::Join"].([]any)
		if len(args) != 2 {
			return "1"
		}
		between, _ := args[0].(string)
		parts, _ := args[1].([]any)
		words := make([]string, 0, len(parts))
		for _, p := range parts {
			words = append(words, joined(p))
		}
		return strings.Join(words, between)
	}
	return "1"
}

// folder reports whether the server will find a folder: one of the bundle, which lies in /var/app/current, or one of
// which nothing is known here. On Docker it is the image's.
func (m *model) folder(name string) bool {
	name = strings.TrimPrefix(path.Clean(name), "/var/app/current/")
	if m.platform == Docker || path.IsAbs(name) {
		return true
	}
	return name == "." || len(m.bundle.under(name)) > 0
}
