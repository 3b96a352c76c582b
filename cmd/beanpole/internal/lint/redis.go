package lint

import (
	"fmt"
	"net/url"
	"strings"
)

// checkRedis looks at what joins the instances.
func checkRedis(m *model) {
	if m.single() || len(m.configs) == 0 {
		return
	}
	most, _ := m.get("aws:autoscaling:asg", "MaxSize")
	url, ok := m.get(nsProperties, "REDIS_URL")
	_, secret := m.get(nsSecrets, "REDIS_URL")
	if !ok && !secret && atoi(most.value, 4) > 1 {
		m.add(Finding{Check: "no-redis", Severity: Error, File: url.file, What: fmt.Sprintf("up to %d instances and no REDIS_URL", atoi(most.value, 4)),
			Why: "what one instance emits does not reach the clients of the others", Fix: "take over .ebextensions/30-redis.config or set REDIS_URL"})
	}
	least, _ := m.get("aws:autoscaling:asg", "MinSize")
	if a, b := atoi(least.value, 1), atoi(most.value, 4); a > b {
		m.add(Finding{Check: "bad-value", Severity: Error, File: least.file, Line: least.line, What: fmt.Sprintf("MinSize is %d, MaxSize %d", a, b),
			Why: "the environment refuses it", Fix: "MinSize not above MaxSize"})
	}
	for _, c := range m.configs {
		for name, r := range c.resources {
			if !strings.HasPrefix(r.kind, "AWS::ElastiCache::") || !strings.Contains(url.value, name) {
				continue
			}
			properties, _ := find(r.node, "Properties")
			v, _ := find(properties, "TransitEncryptionEnabled")
			serverless := r.kind == "AWS::ElastiCache::ServerlessCache"
			if (scalar(v) == "true" || serverless) && !strings.Contains(url.value, "rediss://") {
				m.add(Finding{Check: "redis-tls", Severity: Error, File: url.file, Line: url.line, What: "REDIS_URL has no TLS, " + name + " wants it",
					Why: "no connection comes about: the instances are not joined", Fix: "rediss:// with two s"})
			}
			if serverless {
				m.checkServerless(url)
			}
		}
	}
}

// checkServerless looks at what does not run on ElastiCache Serverless, which is a cluster behind one address, has one
// database, and knows no PSUBSCRIBE.
func (m *model) checkServerless(at setting) {
	mode, subscriptions := m.property("BEANPOLE_REDIS_MODE", ""), m.property("BEANPOLE_REDIS_SUBSCRIPTIONS", "")
	recovery := m.property("BEANPOLE_RECOVERY", "0s")
	if mode.value == "pubsub" && subscriptions.value == "static" {
		m.add(Finding{Check: "redis-serverless", Severity: Error, File: subscriptions.file, Line: subscriptions.line, What: "static subscriptions on ElastiCache Serverless",
			Why: "they need PSUBSCRIBE, which it does not know: the instances hear nothing of each other", Fix: "BEANPOLE_REDIS_MODE: sharded, or without BEANPOLE_REDIS_SUBSCRIPTIONS"})
	}
	named := mode.value != "" && mode.value != "auto" || recovery.line > 0 && recovery.value != "0s" && recovery.value != "0"
	if named && !strings.Contains(at.value, "cluster=true") {
		m.add(Finding{Check: "redis-serverless", Severity: Error, File: at.file, Line: at.line, What: "REDIS_URL does not say that ElastiCache Serverless is a cluster",
			Why: "a mode that is named, and recovery, do not ask Redis what it is: commands are answered with MOVED and CROSSSLOT", Fix: "end the URL with /?cluster=true"})
	}
	if u, err := url.Parse(m.standIn(at.value)); err == nil && strings.Trim(u.Path, "/0") != "" {
		m.add(Finding{Check: "redis-serverless", Severity: Error, File: at.file, Line: at.line, What: "REDIS_URL names database " + strings.Trim(u.Path, "/"),
			Why: "ElastiCache Serverless has database 0 alone", Fix: "leave it out; BEANPOLE_REDIS_PREFIX keeps environments apart"})
	}
}
