package lint

import (
	"fmt"
	"strings"
	"time"
)

// lifecycleLook is the time that may go by until a host sees that its instance has to go: server/host, lifecycle.go.
const lifecycleLook = 5 * time.Second

// checkLifecycle holds the lifecycle hooks of the bundle against what the host does: it completes the hook of its name when the instance goes.
func checkLifecycle(m *model) {
	var names []string
	known := true
	wanted := m.property("BEANPOLE_LIFECYCLE_HOOK", "")
	for _, c := range m.configs {
		for _, id := range keys(c.resources) {
			r := c.resources[id]
			if r.kind != "AWS::AutoScaling::LifecycleHook" {
				continue
			}
			at := func(property string) string { return textAt(r.node, "Properties", property) }
			bad := func(severity Severity, what, why, fix string) {
				m.add(Finding{Check: "lifecycle-hook", Severity: severity, File: c.name, Line: r.line, What: id + what, Why: why, Fix: fix})
			}
			name := at("LifecycleHookName")
			names, known = append(names, name), known && name != ""
			waits := atoi(at("HeartbeatTimeout"), 3600)
			drain, _ := m.duration("BEANPOLE_DRAIN_TIME", 5*time.Second)
			switch {
			case waits < 30 || waits > 7200: // PutLifecycleHook
				bad(Error, fmt.Sprintf(" has a HeartbeatTimeout of %d s", waits), "the stack fails", "30 to 7200")
			case name == "" || name != wanted.value:
			case strings.HasSuffix(at("LifecycleTransition"), ":EC2_INSTANCE_LAUNCHING"):
				bad(Error, ", which the application completes when its instance goes, is for instances that come", "an instance that goes is not waited for, and clients are cut off; each that comes waits for the whole of HeartbeatTimeout",
					"LifecycleTransition: autoscaling:EC2_INSTANCE_TERMINATING")
			case time.Duration(waits)*time.Second <= drain+lifecycleLook:
				bad(Error, fmt.Sprintf(" waits for %d s, a drain takes %v and begins within %v", waits, drain, lifecycleLook), "the instance is gone in the midst of the drain", "a longer HeartbeatTimeout, or a shorter BEANPOLE_DRAIN_TIME")
			}
		}
	}
	if wanted.value != "" && !strings.Contains(wanted.value, "`") && known && len(names) > 0 && !contains(names, wanted.value) {
		m.add(Finding{Check: "lifecycle-hook", Severity: Warning, File: wanted.file, Line: wanted.line, What: "no lifecycle hook of the bundle is called " + wanted.value,
			Why: "nobody completes the one that there is: each instance that goes stays for the whole of its HeartbeatTimeout", Fix: didYouMean(wanted.value, names)})
	}
}
