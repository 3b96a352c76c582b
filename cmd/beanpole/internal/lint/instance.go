package lint

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// checkInstance looks at ports and proxies of an instance that contradict each other.
func checkInstance(m *model) {
	m.checkHops()
	port := atoi(m.property("PORT", "5000").value, 5000)
	admin := m.property("BEANPOLE_ADMIN_PORT", strconv.Itoa(port+1))
	off := m.property("BEANPOLE_NO_ADMIN", "false")
	if n := atoi(admin.value, 0); off.value != "true" && n == 80 {
		if admin.line == 0 {
			admin = m.property("PORT", "5000")
		}
		m.add(Finding{Check: "admin-port", Severity: Error, File: admin.file, Line: admin.line, What: "the admin listener is to have port 80, which is nginx's",
			Why: "deployments find nobody to drain, and nothing shows metrics", Fix: "leave BEANPOLE_ADMIN_PORT out: it is the one after PORT"})
	}
	metrics := m.property("BEANPOLE_METRICS_ADDR", "")
	if _, n, err := net.SplitHostPort(metrics.value); err == nil && n == "80" {
		m.add(Finding{Check: "metrics-port", Severity: Error, File: metrics.file, Line: metrics.line, What: "the metrics are to have port 80, which is nginx's",
			Why: "the server does not start: every request is answered 502 by nginx, and the deployment fails", Fix: "another port, such as :9464"})
	}
	m.checkDrain(off)
	m.checkForwarding(port)
}

// checkHops counts the proxies that append to X-Forwarded-For.
func (m *model) checkHops() {
	if len(m.configs) == 0 || m.balancer() == "classic" {
		return
	}
	want, who := 0, "nobody"
	switch {
	case m.balancer() == "application" && m.direct():
		want, who = 1, "the load balancer"
	case m.balancer() == "application":
		want, who = 2, "the load balancer and nginx"
	case !m.direct():
		want, who = 1, "nginx"
	}
	hops := m.property("BEANPOLE_TRUSTED_HOPS", "0")
	n, err := strconv.Atoi(hops.value)
	f := Finding{Check: "trusted-hops", Severity: Warning, File: hops.file, Line: hops.line, What: fmt.Sprintf("BEANPOLE_TRUSTED_HOPS is %s, %s append to X-Forwarded-For", hops.value, who),
		Why: "clients share the address of a proxy: limits for an address hold for all together", Fix: "BEANPOLE_TRUSTED_HOPS: " + strconv.Quote(strconv.Itoa(want))}
	switch {
	case err != nil || n == want:
		return // what is no number has its own finding
	case n > want:
		f.Severity, f.Why = Error, "clients say themselves what their address is, in a header: limits and logs believe it"
	}
	m.add(f)
}

var patience = regexp.MustCompile(`--max-time[ =](\d+)`)

// checkDrain looks at the hooks that drain, which ask the admin listener.
func (m *model) checkDrain(off setting) {
	for _, name := range m.bundle.under(".platform") {
		text := string(m.bundle.text(name))
		if !strings.Contains(name, "hooks/predeploy/") || !strings.Contains(text, "/drain") {
			continue
		}
		if off.value == "true" {
			m.add(Finding{Check: "drain-no-admin", Severity: Error, File: off.file, Line: off.line, What: "BEANPOLE_NO_ADMIN is on, and " + name + " asks the admin listener to drain",
				Why: "nobody answers: every deployment cuts all clients off", Fix: "leave BEANPOLE_NO_ADMIN out; only the instance itself reaches the listener"})
		}
		drain, s := m.duration("BEANPOLE_DRAIN_TIME", 5*time.Second)
		if waits := patience.FindStringSubmatch(text); waits != nil && drain >= time.Duration(atoi(waits[1], 60))*time.Second {
			m.add(Finding{Check: "drain-hook-time", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("BEANPOLE_DRAIN_TIME is %v, %s waits for %s s", drain, name, waits[1]),
				Why: "nginx is stopped in the midst of the drain", Fix: "a shorter drain, or a longer --max-time in the hook"})
		}
		return
	}
}

// checkForwarding looks whether instances reach each other's applications, to which they forward polls of sessions that
// the load balancer sent to them.
func (m *model) checkForwarding(port int) {
	redis, ok := m.get(nsProperties, "REDIS_URL")
	_, secret := m.get(nsSecrets, "REDIS_URL")
	if !ok && !secret || m.single() || !m.polling() || m.platform == Docker || m.property("BEANPOLE_NO_FORWARDING", "false").value == "true" ||
		m.property("BEANPOLE_NODE_URL", "").value != "" || atoi(m.option("aws:autoscaling:asg", "MaxSize", "4").value, 4) < 2 {
		return
	}
	if host := m.property("HOST", ""); host.value == "localhost" || loopback(host.value) {
		m.add(Finding{Check: "host-loopback", Severity: Warning, File: host.file, Line: host.line, What: "the server listens on " + host.value + " alone",
			Why: "the other instances cannot forward to it: polls that the load balancer sends elsewhere begin anew", Fix: "leave HOST out"})
		return
	}
	if _, own := m.get("aws:autoscaling:launchconfiguration", "SecurityGroups"); own {
		return // whose rules are not here
	}
	var wrong *Finding
	for _, c := range m.configs {
		for name, r := range c.resources {
			properties, _ := find(r.node, "Properties")
			if r.kind != "AWS::EC2::SecurityGroupIngress" || !between(properties) {
				continue
			}
			if covers(properties, port) {
				return
			}
			from, _ := find(properties, "FromPort")
			wrong = &Finding{Check: "forwarding-port", Severity: Error, File: c.name, Line: lineOf(from), What: fmt.Sprintf("%s opens port %s to the instances, PORT is %d", name, scalar(from), port),
				Why: "sessions are forwarded to the application's port: each such poll waits until it times out", Fix: fmt.Sprintf("FromPort and ToPort: %d", port)}
		}
	}
	if wrong == nil {
		wrong = &Finding{Check: "forwarding-closed", Severity: Warning, File: redis.file, Line: redis.line, What: fmt.Sprintf("no security group lets instances reach each other on port %d", port),
			Why: "polls that the load balancer sends to another instance wait until they time out", Fix: "take over BeanpoleNodeToNode from .ebextensions/30-redis.config, or BEANPOLE_NO_FORWARDING: \"true\""}
	}
	m.add(*wrong)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// between reports whether an ingress is from the instances' security group to itself.
func between(properties ast.Node) bool {
	group, _ := find(properties, "GroupId")
	source, _ := find(properties, "SourceSecurityGroupId")
	return group != nil && source != nil && strings.Contains(group.String(), "AWSEBSecurityGroup") && strings.Contains(source.String(), "AWSEBSecurityGroup")
}
