package lint

import (
	"slices"
	"strings"
)

// recommendedPolicy is the security policy that Elastic Load Balancing recommends. Source: "Security policies for your
// Application Load Balancer", read 29 November 2026.
const recommendedPolicy = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"

// policies are the security policies of application load balancers, with the oldest version of TLS that each admits.
// Sources: that page; aws-cdk, aws-elasticloadbalancingv2 SslPolicy (066134e); describe-ssl-policies in its reference.
var policies = map[string]string{
	"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09": "1.2", "ELBSecurityPolicy-TLS13-1-2-PQ-2025-09": "1.2",
	"ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09": "1.2", "ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09": "1.2",
	"ELBSecurityPolicy-TLS13-1-3-PQ-2025-09": "1.3", "ELBSecurityPolicy-TLS13-1-0-PQ-2025-09": "1.0",
	"ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09": "1.2", "ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09": "1.2",
	"ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-PQ-2025-09": "1.2", "ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-PQ-2025-09": "1.2",
	"ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-PQ-2025-09": "1.2", "ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09": "1.3",
	"ELBSecurityPolicy-TLS13-1-1-FIPS-PQ-2025-09": "1.1", "ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09": "1.0",
	"ELBSecurityPolicy-TLS13-1-2-2021-06": "1.2", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06": "1.2", "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06": "1.2",
	"ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06": "1.2", "ELBSecurityPolicy-TLS13-1-1-2021-06": "1.1", "ELBSecurityPolicy-TLS13-1-0-2021-06": "1.0",
	"ELBSecurityPolicy-TLS13-1-3-2021-06": "1.3", "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04": "1.3", "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04": "1.2",
	"ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04": "1.2", "ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04": "1.2",
	"ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04": "1.2", "ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04": "1.2",
	"ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04": "1.1", "ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04": "1.0",
	"ELBSecurityPolicy-TLS-1-2-2017-01": "1.2", "ELBSecurityPolicy-TLS-1-1-2017-01": "1.1", "ELBSecurityPolicy-TLS-1-2-Ext-2018-06": "1.2",
	"ELBSecurityPolicy-FS-1-2-Res-2020-10": "1.2", "ELBSecurityPolicy-FS-1-2-Res-2019-08": "1.2", "ELBSecurityPolicy-FS-1-2-2019-08": "1.2",
	"ELBSecurityPolicy-FS-1-1-2019-08": "1.1", "ELBSecurityPolicy-FS-2018-06": "1.0", "ELBSecurityPolicy-2016-08": "1.0",
	"ELBSecurityPolicy-2015-05": "1.0", "ELBSecurityPolicy-TLS-1-0-2015-04": "1.0",
}

// checkListeners looks at the ports of an application load balancer.
func checkListeners(m *model) {
	if m.balancer() != "application" {
		return
	}
	for _, l := range m.listeners() {
		ns := nsListeners + l
		protocol := m.option(ns, "Protocol", "HTTP")
		certificate, has := m.get(ns, "SSLCertificateArns")
		policy, chosen := m.get(ns, "SSLPolicy")
		at := protocol
		if at.line == 0 {
			at = m.firstOf(ns)
		}
		if protocol.value == "HTTP" && (l == "443" || has || chosen) {
			m.add(Finding{Check: "listener-plain", Severity: Error, File: at.file, Line: at.line, What: "listener " + l + " speaks HTTP",
				Why: "without Protocol a listener does: no browser connects to https:// there, and a certificate has no use", Fix: "Protocol: HTTPS"})
		}
		if protocol.value != "HTTPS" {
			continue
		}
		if !has || certificate.value == "" {
			m.add(Finding{Check: "listener-certificate", Severity: Error, File: at.file, Line: at.line, What: "listener " + l + " has no certificate",
				Why: "the environment refuses it", Fix: "SSLCertificateArns: arn:aws:acm:…"})
		}
		m.checkPolicy(l, policy, chosen, at)
	}
}

func (m *model) checkPolicy(listener string, policy setting, chosen bool, at setting) {
	f := Finding{Check: "tls-policy", Severity: Warning, File: policy.file, Line: policy.line, Fix: "SSLPolicy: " + recommendedPolicy}
	oldest, known := policies[policy.value]
	switch {
	case !chosen:
		f.File, f.Line, f.What = at.file, at.line, "listener "+listener+" has no SSLPolicy"
		f.Why = "it gets ELBSecurityPolicy-2016-08, which admits TLS 1.0 and has no TLS 1.3"
	case strings.Contains(policy.value, "`"):
		return
	case !known:
		f.Severity, f.What, f.Why = Error, "there is no policy "+policy.value, "the environment refuses it"
		f.Fix = didYouMean(policy.value, keys(policies))
	case oldest < "1.2":
		f.What, f.Why = policy.value+" admits TLS "+oldest, "it is broken, and auditors and some clients refuse it"
	case !strings.Contains(policy.value, "TLS13"):
		f.What, f.Why = policy.value+" has no TLS 1.3", "each connection takes one round trip more, after every deployment for all clients at once"
	case !strings.Contains(policy.value, "-PQ-"):
		f.What = policy.value + " is older than the recommended one"
		f.Why = "what is recorded today can be read once quantum computers are there: it has no hybrid key exchange"
	default:
		return
	}
	m.add(f)
}

// checkNetworkBalancer looks at what a network load balancer does not have.
func (m *model) checkNetworkBalancer() {
	if m.polling() {
		s := m.property("BEANPOLE_TRANSPORTS", "polling,websocket")
		m.add(Finding{Check: "network-polling", Severity: Error, File: s.file, Line: s.line, What: "polling is allowed behind a network load balancer",
			Why: "it knows no cookies: requests of one polling session go to several instances", Fix: "BEANPOLE_TRANSPORTS: websocket, or an application load balancer"})
	}
	// Source: command-options-general, which says of each that it is for application load balancers only.
	for _, s := range m.settings {
		var only []string
		switch {
		case strings.HasPrefix(s.namespace, nsProcesses):
			only = []string{"StickinessEnabled", "StickinessType", "StickinessLBCookieDuration", "HealthCheckTimeout"}
		case strings.HasPrefix(s.namespace, nsListeners):
			only = []string{"Rules", "SSLCertificateArns", "SSLPolicy"}
		case strings.HasPrefix(s.namespace, nsRules):
			only = []string{s.option}
		case s.namespace == nsBalancer && s.option != "IpAddressType":
			only = []string{s.option}
		}
		if slices.Contains(only, s.option) && s.value != "false" {
			m.add(Finding{Check: "network-option", Severity: Error, File: s.file, Line: s.line, What: s.option + " is for application load balancers",
				Why: "the environment refuses it", Fix: "delete it; TLS ends on the instances behind a network load balancer of Elastic Beanstalk"})
		}
	}
}
