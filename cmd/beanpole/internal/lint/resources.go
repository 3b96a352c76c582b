package lint

import "strings"

// checkResources looks at what CloudFormation gets.
func checkResources(m *model) {
	for _, c := range m.configs {
		for name, r := range c.resources {
			if r.kind == "" && !strings.HasPrefix(name, "AWSEB") {
				m.add(Finding{Check: "resource-type", Severity: Error, File: c.name, Line: r.line, What: name + " has no Type",
					Why: "the stack fails", Fix: "add Type: AWS::…"})
			}
			if !strings.HasPrefix(r.kind, "AWS::ElastiCache::") {
				continue
			}
			properties, _ := find(r.node, "Properties")
			if r.kind == "AWS::ElastiCache::ReplicationGroup" {
				if _, ok := find(properties, "ReplicationGroupDescription"); !ok {
					m.add(Finding{Check: "resource-property", Severity: Error, File: c.name, Line: r.line, What: name + " has no ReplicationGroupDescription",
						Why: "the stack fails", Fix: "add one"})
				}
				if v, ok := find(properties, "NumCacheNodes"); ok {
					m.add(Finding{Check: "resource-property", Severity: Error, File: c.name, Line: lineOf(v), What: "a replication group has no NumCacheNodes",
						Why: "the stack fails", Fix: "use NumCacheClusters"})
				}
			}
			_, inGroup := find(properties, "SecurityGroupIds")
			_, classic := find(properties, "VpcSecurityGroupIds")
			if !inGroup && !classic {
				m.add(Finding{Check: "redis-security-group", Severity: Warning, File: c.name, Line: r.line, What: name + " has no security group of its own",
					Why: "the default one does not let the instances in: connections to Redis time out", Fix: "add SecurityGroupIds with one that admits AWSEBSecurityGroup on 6379"})
			}
		}
	}
}
