package lint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Severity says how bad a finding is.
type Severity int

// The severities.
const (
	Error   Severity = iota + 1 // the deployment fails, or clients are hurt
	Warning                     // works, until something else happens
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// MarshalText returns what String does.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that is wrong with a bundle.
type Finding struct {
	Check    string   `json:"check"` // its name, such as stickiness-off
	Severity Severity `json:"severity"`
	File     string   `json:"file"`           // where; "" means the bundle as a whole
	Line     int      `json:"line,omitempty"` // from 1; 0 means the file as a whole
	What     string   `json:"what"`
	Why      string   `json:"why"`
	Fix      string   `json:"fix"`
}

// Where returns file:line.
func (f Finding) Where() string {
	switch {
	case f.File == "":
		return "bundle"
	case f.Line == 0:
		return f.File
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

// Platform is one of the two platforms of Amazon Linux 2023 that are supported.
type Platform string

// The platforms.
const (
	Go     Platform = "go"
	Docker Platform = "docker"
)

// Options configure Run.
type Options struct {
	// Platform is the one of the environment. "" means Docker when the bundle has a Dockerfile and nothing
	// that the Go platform could run, else Go.
	Platform Platform
	// Nginx is the nginx to test the configuration with. "" means the one in PATH, "off" none.
	Nginx string
}

// Run checks b and returns what is wrong, errors first. A bundle without findings gives none.
func Run(ctx context.Context, b *Bundle, o Options) []Finding {
	b.again()
	m := &model{bundle: b, platform: o.Platform, nginx: o.Nginx, effort: newEffort()}
	if m.platform == "" {
		m.platform, m.guessed = guessPlatform(b), b.eb.platform() == ""
	}
	if b.absent != "" {
		checkLayout(m)
		return m.findings
	}
	m.checkRead()
	m.readSettings()
	m.readProcfile()
	for _, check := range []func(*model){
		checkLayout, checkMisplaced, checkCommit, checkProcfile, checkBuildfile, checkGoSource, checkModule, checkDocker, checkDockerrun, checkHooks, checkCommands, checkLeftovers,
		checkSettings, checkArchitecture, checkLoadBalancer, checkListeners, checkProcesses, checkHeartbeat, checkDeployment,
		checkScaling, checkFigures, checkLifecycle, checkEnvironment, checkAlike, checkSecrets, checkInstance, checkDirect, checkRedis, checkResources, checkOverlay,
	} {
		check(m)
	}
	m.checkShell(ctx)
	if o.Nginx != "off" {
		m.checkNginx(ctx)
	}
	m.checkTogether()
	m.findings = slices.DeleteFunc(m.findings, m.ofUnread)
	slices.SortStableFunc(m.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return slices.CompactFunc(m.findings, func(a, b Finding) bool { return a == b })
}

// guessPlatform returns the platform of the environment: the one that the EB CLI is told, or that of the nginx files, or
// else the one that can run b.
func guessPlatform(b *Bundle) Platform {
	if p := b.eb.platform(); p != "" {
		return p
	}
	image := b.has("Dockerfile") || b.has("Dockerrun.aws.json") || b.has("docker-compose.yml")
	if image {
		for _, name := range b.under(strings.TrimSuffix(overlayDir, "/")) {
			if toDocker.Match(b.text(name)) {
				return Docker
			}
		}
	}
	for _, name := range []string{"Procfile", "Buildfile", "application.go", "application", "bin/application"} {
		if b.has(name) {
			return Go
		}
	}
	if image { // go.mod is of what it builds
		return Docker
	}
	return Go
}

// model is what the checks know about the bundle.
type model struct {
	bundle   *Bundle
	platform Platform
	guessed  bool // the platform, from the files
	nginx    string
	settings []setting
	assigned map[string]setting // properties that the Procfile sets for the process web
	configs  []config           // the parsed .config files
	scripts  []string           // for a shell
	effort   *effort            // for all requests through nginx
	values   map[string]string  // of variables, and
	set      map[string]setting // where; nil until somebody asks
	count    map[string]int     // of findings of a check
	judged   map[string]bool    // scripts that were looked at
	searched int                // bytes, in which something was looked for
	chmods   []string           // lines that change modes, behind ""; nil until somebody asks
	unread   map[string]bool
	findings []Finding
}

// maxFindings is how many there are of one check: after so many nobody reads on.
const maxFindings = 1000

func (m *model) add(f Finding) {
	if m.count == nil {
		m.count = make(map[string]int)
	}
	if m.count[f.Check]++; m.count[f.Check] <= maxFindings {
		m.findings = append(m.findings, f)
	}
}

// get returns the setting of the option that the application finds: what the Procfile sets for it, or what last does.
func (m *model) get(namespace, option string) (setting, bool) {
	if s, ok := m.assigned[option]; ok && namespace == nsProperties {
		return s, true
	}
	return m.last(namespace, option)
}

// last returns the last setting of the option in .ebextensions, which wins there.
func (m *model) last(namespace, option string) (setting, bool) {
	for _, s := range slices.Backward(m.settings) {
		if s.namespace == namespace && s.option == option {
			return s, true
		}
	}
	return setting{namespace: namespace, option: option, file: m.optionFile()}, false
}

// optionFile is where a setting that is missing would belong.
func (m *model) optionFile() string {
	for _, c := range m.configs {
		if strings.Contains(c.name, "load-balancer") || strings.Contains(c.name, "alb") {
			return c.name
		}
	}
	if len(m.configs) > 0 {
		return m.configs[0].name
	}
	return ".ebextensions"
}

const (
	nsEnvironment = "aws:elasticbeanstalk:environment"
	nsProcess     = "aws:elasticbeanstalk:environment:process:default"
	nsProperties  = "aws:elasticbeanstalk:application:environment"
	nsSecrets     = "aws:elasticbeanstalk:application:environmentsecrets"
	nsCommand     = "aws:elasticbeanstalk:command"
	nsBalancer    = "aws:elbv2:loadbalancer"
)

// property returns an environment property, or def when it is not set.
func (m *model) property(name, def string) setting {
	s, ok := m.get(nsProperties, name)
	if !ok {
		s.value = def
	}
	return s
}

// single reports whether the environment has no load balancer.
func (m *model) single() bool {
	s, _ := m.get(nsEnvironment, "EnvironmentType")
	return s.value == "SingleInstance"
}

// balancer returns the type of load balancer: application, network, classic, or none.
func (m *model) balancer() string {
	if m.single() {
		return "none"
	}
	s, ok := m.get(nsEnvironment, "LoadBalancerType")
	if !ok {
		// `eb create` and the console say application, the API classic.
		return "application"
	}
	return s.value
}

// polling reports whether clients may poll.
func (m *model) polling() bool {
	s := m.property("BEANPOLE_TRANSPORTS", "polling,websocket")
	return strings.Contains(s.value, "polling")
}

// idle returns the time after which the load balancer cuts a silent connection, and the setting that says so.
func (m *model) idle() (time.Duration, setting) {
	switch m.balancer() {
	case "network":
		return 350 * time.Second, setting{namespace: "aws:elbv2:loadbalancer", option: "IdleTimeout", file: m.optionFile()}
	case "none":
		return 0, setting{file: m.optionFile()}
	}
	s, ok := m.get(nsBalancer, "IdleTimeout")
	if n, err := strconv.Atoi(s.value); ok && err == nil {
		return time.Duration(n) * time.Second, s
	}
	return 60 * time.Second, s
}

// duration returns an environment property as a time.
func (m *model) duration(name string, def time.Duration) (time.Duration, setting) {
	s := m.property(name, def.String())
	d, err := time.ParseDuration(s.value)
	if err != nil {
		return def, s
	}
	return d, s
}
