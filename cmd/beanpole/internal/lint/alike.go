package lint

import (
	"fmt"
	"net/url"
	"strings"
)

// checkAlike looks at what all instances have alike, as properties are, and should not.
func checkAlike(m *model) {
	most := m.option(nsGroup, "MaxSize", "4")
	if m.single() || atoi(most.value, 4) < 2 || len(m.configs) == 0 {
		return
	}
	if name := m.property("BEANPOLE_INSTANCE", ""); fixed(name) {
		m.add(Finding{Check: "same-on-all", Severity: Warning, File: name.file, Line: name.line, What: "all instances have the name " + name.value,
			Why: "answers, logs and `beanpole doctor` tell no instance from another", Fix: "leave BEANPOLE_INSTANCE out: each has a name of its own"})
	}
	node := m.property("BEANPOLE_NODE_URL", "")
	u, err := url.Parse(node.value)
	if !fixed(node) || err != nil {
		return // what cannot be read has its own finding
	}
	port := m.property("PORT", "5000")
	switch {
	case u.Hostname() != "":
		m.add(Finding{Check: "same-on-all", Severity: Error, File: node.file, Line: node.line, What: "all instances say that they are reached at " + u.Host,
			Why: "requests of a session that is elsewhere are forwarded to one that does not know it, and answered 400", Fix: fmt.Sprintf("leave BEANPOLE_NODE_URL out, or http://:%s, which has the address of each", port.value)})
	case m.platform == Go && u.Port() != "" && u.Port() != port.value:
		m.add(Finding{Check: "port-mismatch", Severity: Error, File: node.file, Line: node.line, What: fmt.Sprintf("BEANPOLE_NODE_URL is port %s, PORT is %s (%s)", u.Port(), port.value, port.where()),
			Why: "the other instances forward requests to where nobody listens", Fix: "make both the same"})
	}
}

// fixed reports whether a property is set to a text, and not to what a function makes.
func fixed(s setting) bool { return s.value != "" && !strings.Contains(s.value, "`") }
