package lint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// instruction is one of a Dockerfile.
type instruction struct {
	name, args string
	line       int
}

// instructions reads a Dockerfile far enough for the checks: continued lines are joined.
func instructions(text []byte) (list []instruction) {
	n, start := 0, 0
	var whole strings.Builder
	for l := range strings.Lines(string(unixText(text))) {
		n++
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		if whole.Len() == 0 {
			start = n
		}
		if more, ok := strings.CutSuffix(l, "\\"); ok {
			whole.WriteString(more + " ")
			continue
		}
		name, args, _ := strings.Cut(whole.String()+l, " ")
		list = append(list, instruction{strings.ToUpper(name), strings.TrimSpace(args), start})
		whole.Reset()
	}
	return list
}

// exposed returns the port that the last stage exposes first, or "".
func exposed(image []instruction) (port string) {
	for _, i := range image {
		switch i.name {
		case "FROM":
			port = ""
		case "EXPOSE":
			if fields := strings.Fields(i.args); port == "" && len(fields) > 0 {
				port, _, _ = strings.Cut(fields[0], "/")
			}
		}
	}
	return port
}

// containerPort is where the server in the image listens: PORT of the environment, or that of the image.
func (m *model) containerPort() setting {
	if values, set := m.variables(); values["PORT"] != "" {
		return set["PORT"]
	}
	return m.property("PORT", "5000")
}

// checkDocker looks at what the Docker platform builds.
func checkDocker(m *model) {
	b := m.bundle
	if m.platform == Docker && b.has("docker-compose.yml") {
		m.add(Finding{Check: "compose", Severity: Error, File: "docker-compose.yml", What: "the bundle has a docker-compose.yml",
			Why: "with it Elastic Beanstalk puts no nginx in front and reads nothing of .platform/nginx; request metrics are gone too",
			Fix: "ship the Dockerfile alone"})
	}
	if b.has("Dockerrun.aws.json") && strings.Contains(string(b.text("Dockerrun.aws.json")), "containerDefinitions") {
		m.add(Finding{Check: "dockerrun-v2", Severity: Error, File: "Dockerrun.aws.json", What: "version 2 is for the ECS platform",
			Why: "the Docker platform does not read it", Fix: "ship a Dockerfile"})
	}
	text := b.text("Dockerfile")
	if text == nil || m.platform != Docker && !m.guessed {
		return
	}
	severity := Error
	if m.platform != Docker {
		severity = Warning // who knows the platform may know that it is not read
	}
	if m.platform == Docker {
		m.copies()
	}
	var expose, user, cmd *instruction
	var last int
	for _, i := range b.instructions() {
		switch i.name {
		case "FROM":
			expose, user, cmd, last = nil, nil, nil, i.line // the last stage counts
		case "EXPOSE":
			if expose != nil || len(strings.Fields(i.args)) != 1 {
				m.add(Finding{Check: "docker-expose", Severity: severity, File: "Dockerfile", Line: i.line, What: "more than one port is exposed",
					Why: "nginx passes requests to the first, whichever that is", Fix: "expose the port of the server only"})
			}
			expose = &i
		case "HEALTHCHECK":
			m.healthcheck(i)
		case "USER":
			user = &i
		case "CMD", "ENTRYPOINT":
			cmd = &i
			if !strings.HasPrefix(i.args, "[") {
				m.add(Finding{Check: "docker-shell-form", Severity: severity, File: "Dockerfile", Line: i.line, What: i.name + " is not in exec form",
					Why: "a shell gets the SIGTERM and does not pass it on: the server is killed after 10 s without having drained",
					Fix: fmt.Sprintf(`write %s ["/bin/application"]`, i.name)})
			}
		case "ENV":
			if strings.Contains(i.args, "HOST=127.0.0.1") || strings.Contains(i.args, "HOST=localhost") {
				m.add(Finding{Check: "docker-loopback", Severity: severity, File: "Dockerfile", Line: i.line, What: "the server listens on the container's loopback",
					Why: "nginx is outside of the container: every request is answered 502", Fix: "take HOST away"})
			}
		}
	}
	if expose == nil {
		m.add(Finding{Check: "docker-expose", Severity: severity, File: "Dockerfile", Line: last, What: "no port is exposed",
			Why: "the platform takes its upstream from EXPOSE", Fix: "add EXPOSE 5000"})
	} else if port := m.containerPort(); m.platform == Docker && strings.TrimSuffix(expose.args, "/tcp") != port.value {
		m.add(Finding{Check: "port-mismatch", Severity: Error, File: "Dockerfile", Line: expose.line,
			What: fmt.Sprintf("EXPOSE %s, but PORT is %s (%s)", expose.args, port.value, port.where()),
			Why:  "nginx passes requests to a port on which nobody listens: 502 on everything", Fix: "make both the same"})
	}
	if user == nil || user.args == "root" || strings.HasPrefix(user.args, "0") {
		m.add(Finding{Check: "docker-root", Severity: Warning, File: "Dockerfile", Line: last, What: "the server runs as root",
			Why: "whoever takes it over has the container", Fix: "add USER 65532:65532"})
	}
	if cmd == nil {
		m.add(Finding{Check: "docker-cmd", Severity: severity, File: "Dockerfile", Line: last, What: "the last stage has no CMD or ENTRYPOINT",
			Why: "the container has nothing to run", Fix: `add CMD ["/bin/application"]`})
	}
}

// ownURL is a URL of the container itself.
var ownURL = regexp.MustCompile(`(https?)://(?:127\.0\.0\.1|localhost|\[::1\])(?::(\d+))?`)

// healthcheck holds what the image's health check asks against where the server listens, and what it speaks there.
func (m *model) healthcheck(i instruction) {
	asked := ownURL.FindStringSubmatch(i.args)
	if asked == nil {
		return
	}
	scheme, port := "http", m.containerPort()
	if _, secure := m.certificate(); secure {
		scheme = "https"
	}
	if got := cmp.Or(asked[2], map[string]string{"http": "80", "https": "443"}[asked[1]]); asked[1] != scheme || got != port.value {
		m.add(Finding{Check: "docker-health", Severity: Warning, File: "Dockerfile", Line: i.line,
			What: fmt.Sprintf("the health check asks %s, and the server speaks %s on port %s", asked[0], scheme, port.value),
			Why:  "an engine that goes by it takes every container for unhealthy, and ends it", Fix: `CMD ["/bin/health", "/livez"], which asks as the variables say`})
	}
}

// dockerrun is Dockerrun.aws.json. Source: single-container-docker-configuration.
type dockerrun struct {
	Version any `json:"AWSEBDockerrunVersion"` // a number, be it in quotes
	Image   *struct {
		Name string
	}
	Ports []struct {
		ContainerPort any
	}
}

// checkDockerrun looks at what tells the Docker platform of an image that is built elsewhere.
func checkDockerrun(m *model) {
	const name = "Dockerrun.aws.json"
	text := m.bundle.text(name)
	if text == nil || m.platform != Docker || strings.Contains(string(text), "containerDefinitions") {
		return
	}
	bad := func(severity Severity, what, why, fix string) {
		m.add(Finding{Check: "dockerrun", Severity: severity, File: name, What: what, Why: why, Fix: fix})
	}
	var d dockerrun
	if err := json.Unmarshal(unixText(text), &d); err != nil {
		bad(Error, "it is not JSON as the platform reads it: "+err.Error(), "the deployment fails", "mend it")
		return
	}
	switch {
	case fmt.Sprint(d.Version) != "1" && !m.bundle.has("docker-compose.yml"):
		bad(Error, fmt.Sprintf("AWSEBDockerrunVersion is %v", d.Version), "without docker-compose.yml the platform takes version 1 alone", `"AWSEBDockerrunVersion": "1"`)
	case d.Image != nil && m.bundle.has("Dockerfile"):
		bad(Warning, "there is a Dockerfile, and an Image here", "the platform builds the Dockerfile, and the image is ignored", "delete one of them")
	case d.Image != nil && len(d.Ports) == 0:
		bad(Error, "there is an Image without Ports", "the platform takes its upstream from the first ContainerPort", `"Ports": [{"ContainerPort": 5000}]`)
	}
	if port := exposed(m.bundle.instructions()); port != "" && len(d.Ports) > 0 && fmt.Sprint(d.Ports[0].ContainerPort) != port {
		bad(Error, fmt.Sprintf("ContainerPort is %v, EXPOSE %s", d.Ports[0].ContainerPort, port), "nginx passes requests to one, and the server listens on the other", "make both the same")
	}
}

// copies looks whether the image is built from what is shipped. Words with what the build puts in are left.
func (m *model) copies() {
	for _, i := range m.bundle.instructions() {
		words := strings.Fields(i.args)
		if i.name != "COPY" && i.name != "ADD" || strings.Contains(i.args, "--from") || strings.Contains(i.args, "--parents") || strings.ContainsAny(i.args, "$*?[<\"'") || strings.Contains(i.args, "://") {
			continue
		}
		words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "--") })
		for _, w := range words[:max(0, len(words)-1)] {
			if name := strings.TrimPrefix(path.Clean("/"+w), "/"); name != "" && !strings.Contains(w, "..") && !strings.HasPrefix(w, "git@") && !m.bundle.has(name) && len(m.bundle.under(name)) == 0 {
				m.add(Finding{Check: "docker-copy", Severity: Error, File: "Dockerfile", Line: i.line, What: i.name + " of " + name + ", which is not in the bundle",
					Why: "the image is built on the instance, from what is shipped: the build fails, and the deployment with it", Fix: "see .ebignore, or .gitignore where there is none; or build it in the Dockerfile"})
			}
		}
	}
}
