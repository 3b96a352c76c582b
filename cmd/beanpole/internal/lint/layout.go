package lint

import (
	"fmt"
	"path"
	"strings"
)

// maxBundle is the largest zip that Elastic Beanstalk takes, in bytes. Source: applications-sourcebundle.
const maxBundle = 512 << 20

// checkLayout looks at the bundle from outside.
func checkLayout(m *model) {
	b := m.bundle
	if b.absent != "" {
		m.add(Finding{Check: "artifact-missing", Severity: Error, File: ".elasticbeanstalk/config.yml", What: b.absent + " is not there, which is deployed in the place of the folder",
			Why: "`eb deploy` fails, and there is nothing to check", Fix: "build it first"})
		return
	}
	if len(b.Files) == 0 {
		m.add(Finding{Check: "empty", Severity: Error, What: "the bundle has no files",
			Why: "there is nothing to run", Fix: "point beanpole at the folder with Procfile or Dockerfile, or its zip"})
		return
	}
	if b.Size > maxBundle {
		m.add(Finding{Check: "too-large", Severity: Error, What: fmt.Sprintf("the bundle has %d MB", b.Size>>20),
			Why: "Elastic Beanstalk refuses bundles above 512 MB", Fix: "leave out what the application does not need: .ebignore"})
	}
	if top := b.top(); top != "" && !strings.HasPrefix(top, ".") && top != "bin" {
		m.add(Finding{Check: "top-folder", Severity: Error, File: top + "/", What: "everything lies in one folder",
			Why: "Procfile, .ebextensions and .platform are looked for at the top of the zip",
			Fix: "zip the content of the folder and not the folder, or use beanpole pack"})
	}
	for _, name := range b.ordered() {
		f := b.Files[name]
		switch {
		case strings.Contains(name, "\\"):
			m.add(Finding{Check: "backslash", Severity: Error, File: name, What: "the name has backslashes",
				Why: "zips made on Windows may carry them; on the instance this is one file with an odd name and no folder",
				Fix: "use beanpole pack"})
		case !clean(name):
			m.add(Finding{Check: "bad-name", Severity: Error, File: name, What: "the name leads out of the bundle",
				Why: "the deployment unpacks as root", Fix: "use beanpole pack"})
		case f.Mode&0o111 != 0 || path.Dir(name) == "bin" || name == "application":
			m.checkBinary(name, f)
		}
	}
	if !b.has("Procfile") && !b.has("application.go") && !b.has("bin/application") && !b.has("application") &&
		!b.has("Dockerfile") && !b.has("Dockerrun.aws.json") && !b.has("docker-compose.yml") {
		m.add(Finding{Check: "nothing-to-run", Severity: Error, What: "there is no Procfile, binary or Dockerfile at the top",
			Why: "the platform does not know what to start", Fix: "add a Procfile with `web: bin/application`, or use beanpole pack"})
	}
}
