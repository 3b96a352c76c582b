package lint

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// checkDirect looks at what nginx does for an application, and who else does it when the load balancer sends clients past
// it to the application's own port.
func checkDirect(m *model) {
	log, healthd := m.get(nsProperties, "BEANPOLE_HEALTHD_LOG")
	direct := !m.single() && m.direct()
	if !direct {
		if healthd && m.platform == Go {
			m.add(Finding{Check: "healthd-twice", Severity: Warning, File: log.file, Line: log.line, What: "BEANPOLE_HEALTHD_LOG is set, and clients come through nginx",
				Why: "nginx writes the same log: enhanced health counts each request twice, and one of the two cannot write when the other owns the files", Fix: "leave it out, or take the variant direct"})
		}
		return
	}
	port := m.processOption(m.socketProcess(), "Port", "80")
	if health, _ := m.get("aws:elasticbeanstalk:healthreporting:system", "SystemType"); health.value == "enhanced" && !healthd {
		m.add(Finding{Check: "direct-healthd", Severity: Warning, File: port.file, Line: port.line, What: "clients come past nginx, and BEANPOLE_HEALTHD_LOG is not set",
			Why: "enhanced health reads nginx's log of requests: it sees none, and no errors among them", Fix: "BEANPOLE_HEALTHD_LOG: /var/log/nginx/healthd, and the prebuild hook that makes it the application's"})
	}
	for _, name := range m.bundle.under(".platform/hooks/predeploy") {
		if strings.Contains(string(m.bundle.text(name)), "/drain") {
			m.add(Finding{Check: "direct-drain", Severity: Warning, File: name, What: "a hook drains before the application is stopped, and clients come past nginx",
				Why: "new clients are refused from then on; SIGTERM drains as well, when the platform is ready for the next version", Fix: "delete it and the one in confighooks; BEANPOLE_STOP_DRAIN_TIME: 200ms"})
		}
	}
	m.checkDirectGroups(port)
	protocol := m.processOption(m.socketProcess(), "Protocol", "HTTP")
	if cert, secure := m.certificate(); m.balancer() == "application" && secure != (protocol.value == "HTTPS") {
		at, want := protocol, "HTTP, or set BEANPOLE_TLS_CERT and BEANPOLE_TLS_KEY"
		if secure {
			at, want = cert, "HTTPS"
		}
		m.add(Finding{Check: "direct-tls", Severity: Error, File: at.file, Line: at.line, What: "the load balancer speaks " + protocol.value + " to the application, which speaks the other",
			Why: "with BEANPOLE_TLS_CERT the port speaks TLS alone, and without it HTTP: every instance is unhealthy", Fix: "Protocol of the process: " + want})
	}
}

// checkDirectGroups looks for the rules that let the load balancer reach the port. By itself Elastic Beanstalk opens 80, as
// exported environments show; the developer guide has such rules for another port ("Configuring end-to-end encryption").
func (m *model) checkDirectGroups(port setting) {
	_, balancers := m.get(nsBalancer, "SecurityGroups")
	_, instances := m.get("aws:autoscaling:launchconfiguration", "SecurityGroups")
	if m.balancer() != "application" || balancers || instances || m.option(nsEnvironment, "LoadBalancerIsShared", "false").value == "true" {
		return // whose rules are not here
	}
	const ofInstances, ofBalancer = "AWSEBSecurityGroup", "AWSEBLoadBalancerSecurityGroup"
	for _, rule := range []struct{ kind, group, other, where, what string }{
		{"AWS::EC2::SecurityGroupIngress", ofInstances, ofBalancer, "SourceSecurityGroupId", "lets the load balancer in"},
		{"AWS::EC2::SecurityGroupEgress", ofBalancer, ofInstances, "DestinationSecurityGroupId", "lets the load balancer out"},
	} {
		if !m.opens(rule.kind, rule.group, rule.where, rule.other, atoi(port.value, 0)) {
			m.add(Finding{Check: "direct-closed", Severity: Warning, File: port.file, Line: port.line, What: fmt.Sprintf("no security group rule %s at port %s", rule.what, port.value),
				Why: "Elastic Beanstalk opens port 80 by itself: every instance is unhealthy", Fix: "take over 12-application-port.config from deploy/direct, with FromPort and ToPort around " + port.value})
		}
	}
}

// opens reports whether a rule of that kind holds for the group, the other group, if where says that it has one, and the port.
func (m *model) opens(kind, group, where, other string, port int) bool {
	names := func(n ast.Node, what string) bool { return n != nil && strings.Contains(n.String(), what) }
	for _, c := range m.configs {
		for _, r := range c.resources {
			if r.kind != kind {
				continue
			}
			properties, _ := find(r.node, "Properties")
			of, ok := find(properties, "GroupId")
			if !ok {
				of, _ = find(properties, "GroupName")
			}
			to, _ := find(properties, where)
			if names(of, group) && (where == "" || names(to, other)) && covers(properties, port) {
				return true
			}
		}
	}
	return false
}
