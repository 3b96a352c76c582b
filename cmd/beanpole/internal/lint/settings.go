package lint

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

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
			Why: "the environment refuses the version", Fix: didYouMean(s.namespace, keys(options()))})
		return
	}
	o, ok := known[anyOption]
	if !ok {
		o, ok = known[s.option]
	}
	switch {
	case !ok:
		m.add(Finding{Check: "unknown-option", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("%s has no option %s", s.namespace, s.option),
			Why: "the environment refuses the version", Fix: didYouMean(s.option, keys(known))})
	case strings.Contains(s.value, "`"):
		m.checkFunction(s)
	default:
		if want := o.wants(s.value, m.balancer()); want != "" {
			m.add(Finding{Check: "bad-value", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("%s is %q", s.option, s.value),
				Why: "the environment refuses the version", Fix: "use " + want})
		}
	}
	if s.namespace == "aws:elasticbeanstalk:environment:proxy:staticfiles" {
		m.staticFiles(s)
	}
	// Source: platforms-linux-extend.proxy, which has Apache for Tomcat, Node.js, PHP and Python alone.
	if s.namespace == "aws:elasticbeanstalk:environment:proxy" && (s.value == "none" || s.value == "apache") {
		m.add(Finding{Check: "no-proxy", Severity: Error, File: s.file, Line: s.line, What: "ProxyServer is " + s.value,
			Why: "the Go and Docker platforms of Amazon Linux 2023 have nginx, and always start it", Fix: "delete the option; the variant direct has the load balancer go past nginx"})
	}
}

// staticFiles looks at a folder that nginx is to serve. Source: environment-cfg-staticfiles.
func (m *model) staticFiles(s setting) {
	f := Finding{Check: "static-files", Severity: Error, File: s.file, Line: s.line, Why: "nothing is served from there"}
	switch {
	case m.platform == Docker:
		f.What, f.Fix = "the Docker platform has no static files", "serve them from the application"
	case !strings.HasPrefix(s.option, "/"):
		f.What, f.Fix = s.option+" does not begin with /", "/"+s.option+": "+s.value
	case strings.HasPrefix(s.value, "/"):
		f.What, f.Fix = s.value+" is a folder of the bundle, and does not begin with /", s.option+": "+strings.TrimLeft(s.value, "/")
	case !m.folder(strings.Trim(s.value, "/")) && !m.makes(s.value):
		f.What, f.Fix = "the bundle has no folder "+s.value, "ship it: beanpole pack --include "+s.value+", or see .ebignore"
	default:
		return
	}
	m.add(f)
}

// makes reports whether something may build a folder on the instance that is not shipped.
func (m *model) makes(folder string) bool {
	base := path.Base(folder)
	return m.bundle.has("Buildfile") || m.mentions(base, slices.Concat(m.bundle.under(".platform/hooks"), []string{"Procfile", "package.json"})...) ||
		slices.ContainsFunc(m.configs, func(c config) bool {
			return slices.ContainsFunc(c.commands, func(c command) bool { return strings.Contains(c.command, base) })
		})
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
