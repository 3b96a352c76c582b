package lint

import (
	"bytes"
	"path"
	"strings"
)

// checkHooks looks at .platform/hooks and .platform/confighooks.
func checkHooks(m *model) {
	b := m.bundle
	for _, kind := range []string{"hooks", "confighooks"} {
		for _, name := range b.under(".platform/" + kind) {
			f := b.Files[name]
			text := b.begin(name)
			stage, rest, _ := strings.Cut(strings.TrimPrefix(name, ".platform/"+kind+"/"), "/")
			if strings.HasPrefix(path.Base(name), "._") {
				continue // of macOS, which has its own finding
			}
			if strings.Contains(rest, "/") {
				m.add(Finding{Check: "hook-folder", Severity: Error, File: name, What: "the hook lies in a folder of its own",
					Why: "only files directly in prebuild, predeploy and postdeploy are run", Fix: "move it to .platform/" + kind + "/" + stage + "/"})
				continue
			}
			if stage != "prebuild" && stage != "predeploy" && stage != "postdeploy" {
				m.add(Finding{Check: "hook-stage", Severity: Error, File: name, What: "no stage is called " + stage,
					Why: "the file is never run", Fix: "put it into prebuild, predeploy or postdeploy"})
				continue
			}
			m.script(name, text)
			if !bytes.HasPrefix(text, []byte("#!")) && !bytes.HasPrefix(text, []byte("\x7fELF")) && !bytes.HasPrefix(text, []byte(byteOrderMark+"#!")) {
				m.add(Finding{Check: "hook-shebang", Severity: Error, File: name, Line: 1, What: "the script does not say what runs it",
					Why: "`exec format error` stops the deployment", Fix: "begin with #!/bin/bash"})
			}
			if f.Mode&0o111 == 0 {
				m.add(Finding{Check: "hook-mode", Severity: Error, File: name, What: "the hook is not executable",
					Why: "platform versions before 29 April 2022 stop with `permission denied`, and later ones only mend it on their own",
					Fix: "chmod +x, git update-index --chmod=+x; beanpole pack sets it"})
			}
		}
	}
	for _, name := range b.under(".platform/hooks/predeploy") {
		if strings.Contains(path.Base(name), "drain") && !b.has(strings.Replace(name, "/hooks/", "/confighooks/", 1)) {
			m.add(Finding{Check: "confighook-missing", Severity: Warning, File: name, What: "there is no such hook in confighooks",
				Why: "changes of configuration restart the application too, and run confighooks only: clients are cut off",
				Fix: "add .platform/confighooks/predeploy/" + path.Base(name)})
		}
	}
	if len(b.under(".platform/hooks/predeploy")) == 0 && len(b.Files) > 0 && !m.direct() {
		m.add(Finding{Check: "no-drain", Severity: Warning, File: ".platform/hooks/predeploy", What: "nothing drains before a deployment",
			Why: "nginx is stopped before the application: its WebSockets die without a close and the instance refuses for about 6 s",
			Fix: "take over .platform/hooks/predeploy/10_drain.sh"})
	}
}
