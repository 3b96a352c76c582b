package lint

import (
	"bytes"
	"debug/elf"
	"fmt"
	"path"
	"strings"
)

// maxBundle is the largest zip that Elastic Beanstalk takes, in bytes. Source: applications-sourcebundle.
const maxBundle = 512 << 20

// checkLayout looks at the bundle from outside.
func checkLayout(m *model) {
	b := m.bundle
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
	for _, name := range b.Names() {
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

// checkBinary looks into programs that come ready-built.
func (m *model) checkBinary(name string, f *File) {
	head := f.head(64)
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
	case bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe")), bytes.HasPrefix(head, []byte("\xca\xfe\xba\xbe")), bytes.HasPrefix(head, []byte("MZ")):
		m.add(Finding{Check: "binary-system", Severity: Error, File: name, What: "the program is not built for Linux",
			Why: "the instance runs Linux: exec format error", Fix: "GOOS=linux CGO_ENABLED=0 go build, or beanpole pack"})
		return
	default:
		return
	}
	if f.Mode&0o111 == 0 && m.bundle.Zip {
		m.add(Finding{Check: "binary-mode", Severity: Error, File: name, What: "the program is not executable",
			Why: "the web process ends at once with `permission denied`", Fix: "chmod +x before zipping, or beanpole pack"})
	}
	machine := elf.Machine(uint16(head[18]) | uint16(head[19])<<8)
	want, s := m.architectures()
	if got := map[elf.Machine]string{elf.EM_X86_64: "x86_64", elf.EM_AARCH64: "arm64"}[machine]; !strings.Contains(want, got) || got == "" {
		m.add(Finding{Check: "binary-architecture", Severity: Error, File: name,
			What: fmt.Sprintf("the program is built for %s, the instances are %s (%s)", machine, want, s.where()),
			Why:  "exec format error", Fix: "beanpole pack --arch, or change InstanceTypes and SupportedArchitectures"})
	}
	if r, err := f.Open(); err == nil {
		defer r.Close()
		if interpreted(f) {
			m.add(Finding{Check: "binary-dynamic", Severity: Warning, File: name, What: "the program needs shared libraries",
				Why: "it runs only where the C library is at least that of the machine it was built on",
				Fix: "build with CGO_ENABLED=0"})
		}
	}
}

// interpreted reports whether the ELF file names a dynamic loader, by its program headers.
func interpreted(f *File) bool {
	b := f.head(4096)
	e, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return bytes.Contains(b, []byte("/ld-linux"))
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return true
		}
	}
	return false
}

// architectures returns those of the instances, by SupportedArchitectures or the names of InstanceTypes.
func (m *model) architectures() (string, setting) {
	s, ok := m.get("aws:ec2:instances", "SupportedArchitectures")
	if ok {
		return s.value, s
	}
	s, ok = m.get("aws:ec2:instances", "InstanceTypes")
	if !ok {
		return "x86_64 or arm64", s
	}
	family, _, _ := strings.Cut(s.value, ".")
	if i := strings.IndexAny(family, "0123456789"); i >= 0 && strings.HasPrefix(family[i+1:], "g") {
		return "arm64", s
	}
	return "x86_64", s
}
