package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// What CloudWatch takes of the application, and what policies and alarms want of it: they go by one metric of one
// namespace with one set of dimensions, to the letter, and are silent about any other.

// figureSpace is the namespace of the figures, and figureDimension their only dimension.
const figureSpace, figureDimension = "Beanpole", "EnvironmentName"

// figureUnits are the figures that a host writes, with their units: server/host, cloudwatch.go.
var figureUnits = map[string]string{
	"Sessions": "Count", "Handshakes": "Count", "Refused": "Count", "PacketsIn": "Count", "PacketsOut": "Count",
	"MemoryPercent": "Percent", "ProcessMemoryPercent": "Percent", "MachineMemoryPercent": "Percent",
}

// metric is one that a resource goes by.
type metric struct {
	name, namespace, unit string
	dimensions            []string
	line                  int
}

// metricsOf returns those that stand somewhere in a resource.
func metricsOf(node ast.Node) (list []metric) {
	if items, ok := node.(*ast.SequenceNode); ok {
		for _, item := range items.Values {
			list = append(list, metricsOf(item)...)
		}
		return list
	}
	name, named := find(node, "MetricName")
	if space, ok := find(node, "Namespace"); ok && named {
		one := metric{name: scalar(name), namespace: scalar(space), unit: textAt(node, "Unit"), line: lineOf(name)}
		if by, ok := find(node, "Dimensions"); ok {
			if items, ok := by.(*ast.SequenceNode); ok {
				for _, item := range items.Values {
					one.dimensions = append(one.dimensions, textAt(item, "Name"))
				}
			}
		}
		list = append(list, one)
	}
	for _, kv := range pairs(node) {
		list = append(list, metricsOf(kv.Value)...)
	}
	return list
}

// checkFigures looks for policies and alarms that go by what nobody writes.
func checkFigures(m *model) {
	written := m.property("BEANPOLE_CLOUDWATCH_METRICS", "")
	for _, c := range m.configs {
		for _, name := range keys(c.resources) {
			r := c.resources[name]
			if r.kind != "AWS::AutoScaling::ScalingPolicy" && r.kind != "AWS::CloudWatch::Alarm" {
				continue
			}
			for _, goes := range metricsOf(r.node) {
				if !strings.EqualFold(goes.namespace, figureSpace) {
					continue
				}
				if written.value == "" {
					m.add(Finding{Check: "metrics-off", Severity: Warning, File: c.name, Line: r.line, What: name + " goes by figures of the application, which writes none",
						Why: "without data nothing is scaled by it", Fix: "BEANPOLE_CLOUDWATCH_METRICS, as in .ebextensions/26-instance.config"})
					return
				}
				if fix := goes.written(); fix != "" {
					m.add(Finding{Check: "metric-unknown", Severity: Error, File: c.name, Line: goes.line, What: fmt.Sprintf("%s goes by %s of %s, which no server writes so", name, goes.name, goes.namespace),
						Why: "it never has data: nothing is scaled by it, and no alarm tells", Fix: fix})
				}
				m.limit(c, name, r, goes)
			}
		}
	}
}

// written returns "" for a metric that a host writes, or what to change.
func (goes metric) written() string {
	unit, known := figureUnits[goes.name]
	switch {
	case goes.namespace != figureSpace:
		return "Namespace: " + figureSpace
	case !known:
		return didYouMean(goes.name, keys(figureUnits))
	case goes.unit != "" && goes.unit != unit:
		return "Unit: " + unit
	case !slices.Equal(goes.dimensions, []string{figureDimension}):
		return "one dimension, with the Name " + figureDimension
	}
	return ""
}

// limit looks whether a policy for sessions can ever have as many as it waits for.
func (m *model) limit(c config, name string, r resource, goes metric) {
	target := atoi(textAt(r.node, "Properties", "TargetTrackingConfiguration", "TargetValue"), 0)
	most := m.property("BEANPOLE_MAX_SESSIONS", "0")
	if n := atoi(most.value, 0); goes.name == "Sessions" && n > 0 && n <= target {
		m.add(Finding{Check: "max-sessions", Severity: Error, File: most.file, Line: most.line, What: fmt.Sprintf("BEANPOLE_MAX_SESSIONS is %d, and %s (%s) waits for more than %d", n, name, c.name, target),
			Why: "no instance ever has so many: clients are refused, and no instance is added", Fix: "a TargetValue well below BEANPOLE_MAX_SESSIONS"})
	}
}
