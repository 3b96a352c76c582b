package lint

import (
	"fmt"
	"net/url"
	"regexp"
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
	m.redisAddress(url, atoi(most.value, 4))
	for _, c := range m.configs {
		for _, name := range keys(c.resources) {
			r := c.resources[name]
			if !strings.HasPrefix(r.kind, "AWS::ElastiCache::") || !strings.Contains(url.value, name) {
				continue
			}
			tls, secure := textAt(r.node, "Properties", "TransitEncryptionEnabled"), strings.Contains(url.value, "rediss://")
			serverless := r.kind == "AWS::ElastiCache::ServerlessCache"
			either := textAt(r.node, "Properties", "TransitEncryptionMode") == "preferred"
			switch {
			case (tls == "true" && !either || serverless) && !secure:
				m.add(Finding{Check: "redis-tls", Severity: Error, File: url.file, Line: url.line, What: "REDIS_URL has no TLS, " + name + " wants it",
					Why: "no connection comes about: the instances are not joined", Fix: "rediss:// with two s"})
			case tls == "false" && !serverless && secure:
				m.add(Finding{Check: "redis-tls", Severity: Error, File: url.file, Line: url.line, What: "REDIS_URL wants TLS, " + name + " has none",
					Why: "no connection comes about: the instances are not joined", Fix: "TransitEncryptionEnabled: true"})
			}
			if serverless {
				m.checkServerless(url)
			}
		}
	}
}

// ofReplicas matches the attributes that are the address of replicas.
var ofReplicas = regexp.MustCompile(`(?i)"Read(er)?EndPoint\.`)

// redisAddress looks whether all instances find one Redis behind the address, and one that takes what they write.
func (m *model) redisAddress(at setting, instances int) {
	if ofReplicas.MatchString(at.value) {
		m.add(Finding{Check: "redis-address", Severity: Error, File: at.file, Line: at.line, What: "REDIS_URL is the address of replicas",
			Why: "they take nothing that is written, and what is published at one is not heard at the others: the instances are not joined", Fix: "PrimaryEndPoint.Address"})
	}
	u, err := url.Parse(at.value)
	if err != nil || instances < 2 || strings.Contains(at.value, "`") {
		return
	}
	if host := u.Hostname(); host == "localhost" || loopback(host) {
		m.add(Finding{Check: "redis-address", Severity: Error, File: at.file, Line: at.line, What: fmt.Sprintf("REDIS_URL is %s, and there are up to %d instances", u.Host, instances),
			Why: "each has a Redis of its own, or none: what one emits does not reach the clients of the others", Fix: "one that all reach, as in .ebextensions/30-redis.config"})
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
