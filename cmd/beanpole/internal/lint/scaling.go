package lint

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	nsGroup   = "aws:autoscaling:asg"
	nsTrigger = "aws:autoscaling:trigger"
	nsLogs    = "aws:elasticbeanstalk:cloudwatch:logs"
	nsUpdates = "aws:autoscaling:updatepolicy:rollingupdate"
	nsManaged = "aws:elasticbeanstalk:managedactions"
)

// checkScaling looks at how many instances there are, and who decides it.
func checkScaling(m *model) {
	m.overridden()
	m.trigger()
	small, large := m.option(nsGroup, "MinSize", "1"), m.option(nsGroup, "MaxSize", "4")
	if number(small.value) > number(large.value) && number(large.value) > 0 {
		m.add(Finding{Check: "size-order", Severity: Error, File: small.file, Line: small.line, What: fmt.Sprintf("MinSize is %s, MaxSize %s (%s)", small.value, large.value, large.where()),
			Why: "the environment refuses it", Fix: "a MaxSize that is not below MinSize"})
	}
	if size := m.option(nsCommand, "BatchSize", "100"); m.option(nsCommand, "BatchSizeType", "Percentage").value == "Percentage" && number(size.value) > 100 {
		m.add(Finding{Check: "batch-percentage", Severity: Error, File: size.file, Line: size.line, What: "BatchSize is " + size.value + " %",
			Why: "the environment refuses it", Fix: "1 to 100, or BatchSizeType: Fixed"})
	}
	managed := m.option(nsManaged, "ManagedActionsEnabled", "false")
	_, when := m.get(nsManaged, "PreferredStartTime")
	_, level := m.get(nsManaged+":platformupdate", "UpdateLevel")
	if managed.value == "true" && (!when || !level) {
		m.add(Finding{Check: "managed-actions", Severity: Error, File: managed.file, Line: managed.line, What: "ManagedActionsEnabled without PreferredStartTime and UpdateLevel",
			Why: "the environment refuses it: both have to be there", Fix: `PreferredStartTime: "Tue:09:00", and UpdateLevel: minor in ` + nsManaged + ":platformupdate"})
	}
	figures, stream := m.property("BEANPOLE_CLOUDWATCH_METRICS", ""), m.option(nsLogs, "StreamLogs", "false")
	if figures.value != "" && stream.value != "true" {
		m.add(Finding{Check: "logs-off", Severity: Error, File: figures.file, Line: figures.line, What: "BEANPOLE_CLOUDWATCH_METRICS is set, and StreamLogs is " + stream.value + " (" + stream.where() + ")",
			Why: "no agent takes the figures to CloudWatch: nothing is scaled by sessions, and no alarm tells", Fix: `StreamLogs: "true" in ` + nsLogs})
	}
}

// trigger looks whether the alarms of the trigger can have data, each metric has a unit, and Bytes is the default; and whether they
// contradict each other.
func (m *model) trigger() {
	upper, lower := m.option(nsTrigger, "UpperThreshold", "6000000"), m.option(nsTrigger, "LowerThreshold", "2000000")
	least, err := strconv.ParseFloat(lower.value, 64)
	most, err2 := strconv.ParseFloat(upper.value, 64)
	if err == nil && err2 == nil && least >= most && !m.single() {
		m.add(Finding{Check: "trigger-order", Severity: Error, File: lower.file, Line: lower.line, What: fmt.Sprintf("LowerThreshold is %s, UpperThreshold %s (%s)", lower.value, upper.value, upper.where()),
			Why: "what is between them is too much and too little: instances are added and taken away for ever", Fix: "a LowerThreshold below UpperThreshold"})
	}
	what, unit := m.option(nsTrigger, "MeasureName", "NetworkOut"), m.option(nsTrigger, "Unit", "Bytes")
	want := ""
	switch {
	case what.value == "CPUUtilization":
		want = "Percent"
	case strings.HasPrefix(what.value, "Network"):
		want = "Bytes"
	case what.value == "TargetResponseTime" || what.value == "Latency":
		want = "Seconds"
	case strings.HasSuffix(what.value, "Count"):
		want = "Count"
	}
	if want != "" && unit.value != want && unit.value != "None" && !m.single() {
		m.add(Finding{Check: "trigger-unit", Severity: Warning, File: what.file, Line: what.line, What: fmt.Sprintf("MeasureName is %s, Unit %s (%s)", what.value, unit.value, unit.where()),
			Why: "no figure of that unit comes: the alarms never have data, and nothing is scaled", Fix: "Unit: " + want})
	}
}

// overridden finds options of which `eb create` leaves nothing: what it sends wins over .ebextensions, be it its own or what
// the saved configuration has that it takes by itself. Source: aws-elastic-beanstalk-cli, CreateEnvironmentRequest.
func (m *model) overridden() {
	switch eb := m.bundle.eb; {
	case !eb.used:
	case eb.savedName != "":
		for _, s := range savedSettings(eb.savedName, eb.saved) {
			m.wins(s, "saved-option", fmt.Sprintf("the saved configuration has %s (%s)", s.value, s.where()), "take it out of "+s.file)
		}
	default:
		for namespace, list := range options() {
			for name, o := range list {
				if o.sent != "" {
					m.wins(setting{namespace: namespace, option: name, value: o.sent}, "sent-option", "eb create sends "+o.sent,
						"deploy/ebcli/default.cfg.yml as .elasticbeanstalk/default.cfg.yml before eb create (beanpole init writes it), remove-sent-options.sh afterwards")
				}
			}
		}
	}
}

// wins complains about an option of the bundle that has another value than what wins over it.
func (m *model) wins(s setting, check, what, fix string) {
	if own, ok := m.get(s.namespace, s.option); ok && !strings.EqualFold(own.value, s.value) {
		m.add(Finding{Check: check, Severity: Warning, File: own.file, Line: own.line, What: fmt.Sprintf("%s is %s here, and %s", own.option, own.value, what),
			Why: "what eb create sends wins over .ebextensions, for good", Fix: fix})
	}
}

// savedSettings are the options of a saved configuration, whose namespaces may have a resource in front.
func savedSettings(name string, text []byte) []setting {
	file, err := parseYAML(text, nil)
	if err != nil {
		return nil // the EB CLI refuses it
	}
	var saved model
	for _, doc := range file.Docs {
		if list, ok := find(doc.Body, "OptionSettings"); ok {
			saved.readOptions(name, list)
		}
	}
	for i := range saved.settings {
		s := &saved.settings[i]
		s.namespace = s.namespace[max(0, strings.Index(s.namespace, "aws:")):]
	}
	return saved.settings
}
