package lint

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// maxProperties is how many bytes all environment properties may have. Source: environments-cfg-softwaresettings.
const maxProperties = 4096

// checkSettings holds every option against the table.
func checkSettings(m *model) {
	first := make(map[[2]string]setting)
	for _, s := range m.settings {
		key := [2]string{s.namespace, s.option}
		if old, ok := first[key]; ok && old.file != s.file && old.value != s.value {
			m.add(Finding{Check: "set-twice", Severity: Warning, File: s.file, Line: s.line, What: fmt.Sprintf("%s is also set at %s", s.option, old.where()),
				Why: "the file that comes last by name wins", Fix: "set it in one file"})
		}
		first[key] = s
		m.checkSetting(s)
	}
}

func (m *model) checkSetting(s setting) {
	known, ok := lookup(s.namespace)
	if !ok {
		if strings.HasPrefix(s.namespace, "aws:elasticbeanstalk:container:") {
			return // of other platforms, or a leftover that has its own finding
		}
		m.add(Finding{Check: "unknown-namespace", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("there is no namespace %s", s.namespace),
			Why: "the environment refuses the version", Fix: didYouMean(s.namespace, keys(options))})
		return
	}
	check := known[anyOption]
	if check == nil {
		check = known[s.option]
	}
	switch {
	case check == nil:
		m.add(Finding{Check: "unknown-option", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("%s has no option %s", s.namespace, s.option),
			Why: "the environment refuses the version", Fix: didYouMean(s.option, keys(known))})
	case strings.Contains(s.value, "`"):
		m.checkFunction(s)
	default:
		if want := check(s.value); want != "" {
			m.add(Finding{Check: "bad-value", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("%s is %q", s.option, s.value),
				Why: "the environment refuses the version", Fix: "use " + want})
		}
	}
	if s.namespace == "aws:elasticbeanstalk:environment:proxy" && s.value == "none" {
		m.add(Finding{Check: "no-proxy", Severity: Error, File: s.file, Line: s.line, What: "ProxyServer is none",
			Why: "the Go and Docker platforms of Amazon Linux 2023 always have nginx in front", Fix: "delete the option"})
	}
}

// getAtt finds the resources and attributes that a function takes.
var getAtt = regexp.MustCompile(`"Fn::GetAtt"\s*:\s*\[\s*"([^"]+)"\s*,\s*"([^"]+)"`)

// attributes of the resources that are used in environment properties, from the CloudFormation specification.
var attributes = map[string][]string{
	"AWS::ElastiCache::ReplicationGroup": {
		"PrimaryEndPoint.Address", "PrimaryEndPoint.Port", "ReaderEndPoint.Address", "ReaderEndPoint.Port",
		"ConfigurationEndPoint.Address", "ConfigurationEndPoint.Port", "ReadEndPoint.Addresses", "ReadEndPoint.Ports",
	},
	"AWS::ElastiCache::CacheCluster": {
		"RedisEndpoint.Address", "RedisEndpoint.Port", "ConfigurationEndpoint.Address", "ConfigurationEndpoint.Port",
	},
	"AWS::ElastiCache::ServerlessCache": {
		"Endpoint.Address", "Endpoint.Port", "ReaderEndpoint.Address", "ReaderEndpoint.Port", "ARN",
	},
}

// checkFunction looks at a value that is computed when the environment is made: `{"Fn::GetAtt": …}`.
func (m *model) checkFunction(s setting) {
	bad := func(what, fix string) {
		m.add(Finding{Check: "bad-function", Severity: Error, File: s.file, Line: s.line, What: what,
			Why: "the application gets the text of the function instead of its value, or the stack fails", Fix: fix})
	}
	v := s.value
	if strings.Count(v, "`") != 2 || !strings.HasPrefix(v, "`") || !strings.HasSuffix(v, "`") {
		bad("the function does not stand between two backticks alone", "begin and end the value with a backtick; join with Fn::Join")
		return
	}
	v = strings.Trim(v, "`")
	if !json.Valid([]byte(v)) {
		bad("what stands between the backticks is not JSON", "mend it")
		return
	}
	for _, found := range getAtt.FindAllStringSubmatch(v, -1) {
		kind := m.resource(found[1]).kind
		if kind == "" {
			if !strings.HasPrefix(found[1], "AWSEB") {
				bad(fmt.Sprintf("there is no resource %s", found[1]), "name a resource of a .config file or one of Elastic Beanstalk's")
			}
			continue
		}
		if list := attributes[kind]; list != nil && !contains(list, found[2]) {
			bad(fmt.Sprintf("%s has no attribute %s", kind, found[2]), didYouMean(found[2], list))
		}
	}
}

func (m *model) resource(name string) resource {
	for _, c := range m.configs {
		if r, ok := c.resources[name]; ok {
			return r
		}
	}
	return resource{}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// checkEnvironment adds up the environment properties and looks for what does not belong there.
func checkEnvironment(m *model) {
	sum, last := 0, setting{}
	for _, s := range m.settings {
		if s.namespace != nsProperties {
			continue
		}
		sum, last = sum+len(s.option)+len(s.value), s
		upper := strings.ToUpper(s.option)
		if (strings.Contains(upper, "PASSWORD") || strings.Contains(upper, "SECRET") || strings.Contains(upper, "TOKEN") || redisPassword.MatchString(s.value)) &&
			s.value != "" && !strings.Contains(s.value, "`") {
			m.add(Finding{Check: "secret", Severity: Warning, File: s.file, Line: s.line, What: s.option + " holds a secret",
				Why: "it is in the bundle, in its bucket, and shown in the console", Fix: "use " + nsSecrets + " with the ARN of the secret"})
		}
	}
	if sum > maxProperties {
		m.add(Finding{Check: "environment-size", Severity: Error, File: last.file, Line: last.line,
			What: fmt.Sprintf("the environment properties have %d bytes", sum), Why: "more than 4,096 are refused",
			Fix: "move large values into a file, or into Parameter Store with " + nsSecrets})
	}
}

var redisPassword = regexp.MustCompile(`^rediss?://[^/@]*:[^/@]+@`)

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
