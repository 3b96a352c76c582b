package lint

import (
	_ "embed" // the types
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml/ast"

	"github.com/beanpole/beanpole/internal/near"
)

//go:embed resources.txt
var resourceList string

// resourceTypes are those that names are held against for slips of the pen; there are more.
var resourceTypes = sync.OnceValue(func() (types []string) {
	for line := range strings.Lines(resourceList) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			types = append(types, line)
		}
	}
	return types
})

var (
	logicalID    = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)
	resourceType = regexp.MustCompile(`^(AWS|Alexa|Custom|[A-Za-z0-9]{2,64})::[A-Za-z0-9_@-]+(::[A-Za-z0-9]+)*$`)
)

// checkResources looks at what CloudFormation gets.
func checkResources(m *model) {
	for _, c := range m.configs {
		for name, r := range c.resources {
			m.resourceName(c, name, r)
			m.references(c, r.node)
			if strings.HasPrefix(r.kind, "AWS::ElastiCache::") {
				m.cache(c, name, r)
			}
		}
	}
}

// resourceName holds the names of a resource and of its type against what CloudFormation takes.
func (m *model) resourceName(c config, name string, r resource) {
	bad := func(check, what, fix string) {
		m.add(Finding{Check: check, Severity: Error, File: c.name, Line: r.line, What: what, Why: "the stack fails", Fix: fix})
	}
	if !logicalID.MatchString(name) {
		bad("resource-name", fmt.Sprintf("a resource cannot be called %q", name), "letters and digits alone, such as "+regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(name, ""))
	}
	switch {
	case r.kind == "" && !strings.HasPrefix(name, "AWSEB"):
		bad("resource-type", name+" has no Type", "add Type: AWS::…")
	case r.kind != "" && !resourceType.MatchString(r.kind):
		bad("resource-type", r.kind+" is no type of a resource", didYouMean(r.kind, resourceTypes()))
	case strings.HasPrefix(r.kind, "AWS::") && !contains(resourceTypes(), r.kind):
		for _, known := range resourceTypes() {
			if near.Distance(strings.ToLower(r.kind), strings.ToLower(known)) <= 1 {
				bad("resource-type", "there is no type "+r.kind, "did you mean "+known+"?")
				return
			}
		}
	}
}

// references looks whether what functions name is there: a resource or parameter of the bundle, or one of Elastic
// Beanstalk's, of which not all are known.
func (m *model) references(c config, node ast.Node) {
	named := func(what, name string, at ast.Node) {
		if name != "" && !strings.Contains(name, "::") && !strings.HasPrefix(name, "AWSEB") && !m.defines(name) {
			m.add(Finding{Check: "resource-reference", Severity: Error, File: c.name, Line: lineOf(at), What: fmt.Sprintf("%s names %s, which there is not", what, name),
				Why: "the stack fails", Fix: didYouMean(name, m.defined())})
		}
	}
	switch n := node.(type) {
	case *ast.SequenceNode:
		for _, item := range n.Values {
			m.references(c, item)
		}
		return
	case *ast.TagNode: // the short form, of which nobody here knows whether Elastic Beanstalk takes it
		if name, _, _ := strings.Cut(scalar(n.Value), "."); n.Start.Value == "!Ref" || n.Start.Value == "!GetAtt" {
			named(n.Start.Value, name, n)
		}
	}
	for _, kv := range pairs(node) {
		switch what := scalar(kv.Key); what {
		case "Ref", "DependsOn":
			named(what, scalar(kv.Value), kv.Key)
		case "Fn::GetAtt":
			if list, ok := kv.Value.(*ast.SequenceNode); ok && len(list.Values) > 0 {
				named(what, scalar(list.Values[0]), kv.Key)
			}
		}
		m.references(c, kv.Value)
	}
}

// defined returns the names of the resources and parameters of the bundle.
func (m *model) defined() (names []string) {
	for _, c := range m.configs {
		names = append(names, keys(c.resources)...)
		parameters, _ := find(c.root, "Parameters")
		for _, p := range pairs(parameters) {
			names = append(names, scalar(p.Key))
		}
	}
	return names
}

func (m *model) defines(name string) bool { return contains(m.defined(), name) }

// cache looks at a Redis of the bundle.
func (m *model) cache(c config, name string, r resource) {
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
		if v, ok := find(properties, "NumCacheClusters"); ok && scalar(v) == "1" && textAt(properties, "AutomaticFailoverEnabled") == "true" {
			m.add(Finding{Check: "resource-property", Severity: Error, File: c.name, Line: lineOf(v), What: name + " has AutomaticFailoverEnabled, and one cluster",
				Why: "there is nothing to fail over to: the stack fails", Fix: "NumCacheClusters: 2"})
		}
	}
	if !strings.HasSuffix(r.kind, "::ReplicationGroup") && !strings.HasSuffix(r.kind, "::CacheCluster") && !strings.HasSuffix(r.kind, "::ServerlessCache") {
		return // such as a SubnetGroup
	}
	groups, inGroup := find(properties, "SecurityGroupIds")
	_, classic := find(properties, "VpcSecurityGroupIds")
	if !inGroup && !classic {
		m.add(Finding{Check: "redis-security-group", Severity: Warning, File: c.name, Line: r.line, What: name + " has no security group of its own",
			Why: "the default one does not let the instances in: connections to Redis time out", Fix: "add SecurityGroupIds with one that admits AWSEBSecurityGroup on 6379"})
	}
	if port := textAt(properties, "Port"); inGroup && !strings.HasPrefix(textAt(properties, "Engine"), "memcached") && !m.admits(groups, atoi(port, 6379)) {
		m.add(Finding{Check: "redis-security-group", Severity: Error, File: c.name, Line: lineOf(groups), What: fmt.Sprintf("no security group of %s lets anybody in at port %d", name, atoi(port, 6379)),
			Why: "connections to Redis time out: the instances are not joined", Fix: fmt.Sprintf("FromPort and ToPort: %d", atoi(port, 6379))})
	}
}

// admits reports whether one of the security groups lets somebody in at a port, or is none of the bundle's, whose rules are not here.
func (m *model) admits(groups ast.Node, port int) bool {
	list, ok := groups.(*ast.SequenceNode)
	if !ok {
		return true
	}
	for _, item := range list.Values {
		name := textAt(item, "Ref")
		if at, ok := find(item, "Fn::GetAtt"); ok {
			if parts, ok := at.(*ast.SequenceNode); ok && len(parts.Values) > 0 {
				name = scalar(parts.Values[0])
			}
		}
		group := m.resource(name)
		if group.kind != "AWS::EC2::SecurityGroup" {
			return true
		}
		properties, _ := find(group.node, "Properties")
		inline, _ := find(properties, "SecurityGroupIngress")
		rules := []ast.Node{inline}
		if many, ok := inline.(*ast.SequenceNode); ok {
			rules = many.Values
		}
		if slices.ContainsFunc(rules, func(rule ast.Node) bool { return rule != nil && covers(rule, port) }) || m.opens("AWS::EC2::SecurityGroupIngress", name, "", "", port) {
			return true
		}
	}
	return false
}

// covers reports whether a rule of a security group holds for a port. One without ports holds for all, and so does one whose are
// not known here.
func covers(rule ast.Node, port int) bool {
	low, high := atoi(textAt(rule, "FromPort"), -1), atoi(textAt(rule, "ToPort"), -1)
	return low < 0 || low <= port && (port <= high || high < 0)
}
