package lint

import (
	"bytes"
	"debug/elf"
	"fmt"
	"regexp"
	"strings"
)

// instanceFamily takes the name of an instance type apart: series, generation, and what follows. The first letter behind
// the generation is the processor: g for Graviton. Source: "Amazon EC2 instance type naming conventions".
var instanceFamily = regexp.MustCompile(`^([a-z-]+)(\d+)([a-z0-9-]*)$`)

// architecture returns that of an instance type, such as t4g.small, or "" if the name is none.
func architecture(kind string) string {
	family, _, _ := strings.Cut(kind, ".")
	part := instanceFamily.FindStringSubmatch(family)
	switch {
	case part == nil:
		return ""
	case strings.HasPrefix(part[3], "g"), family == "a1", part[1] == "mac" && part[2] != "1", strings.HasSuffix(family, "-gb200"):
		return "arm64"
	}
	return "x86_64"
}

// instanceTypes returns the types in force, and the setting that says so. Source: command-options-general: InstanceTypes
// takes precedence over InstanceType.
func (m *model) instanceTypes() ([]string, setting) {
	s, ok := m.get("aws:ec2:instances", "InstanceTypes")
	if !ok {
		s, _ = m.get("aws:autoscaling:launchconfiguration", "InstanceType")
	}
	return list(s.value), s
}

// architectures returns those of the instances, by their types or by SupportedArchitectures. Without either Elastic Beanstalk
// takes x86_64; `eb create` can be told another.
func (m *model) architectures() (string, setting) {
	types, s := m.instanceTypes()
	for _, kind := range types {
		if a := architecture(kind); a != "" {
			return a, s
		}
	}
	s, ok := m.get("aws:ec2:instances", "SupportedArchitectures")
	if ok {
		return s.value, s
	}
	return "x86_64 or arm64", s
}

// checkArchitecture holds the types of instances against each other.
func checkArchitecture(m *model) {
	types, s := m.instanceTypes()
	supported, named := m.get("aws:ec2:instances", "SupportedArchitectures")
	if old, ok := m.get("aws:autoscaling:launchconfiguration", "InstanceType"); ok && s.option == "InstanceTypes" && !contains(types, old.value) {
		m.add(Finding{Check: "instance-type-unused", Severity: Warning, File: old.file, Line: old.line, What: fmt.Sprintf("InstanceType is %s, and InstanceTypes is %s (%s)", old.value, s.value, s.where()),
			Why: "InstanceTypes wins: the instances that run, and are paid for, are others than this says", Fix: "set InstanceTypes, in the namespace aws:ec2:instances, and no InstanceType"})
	}
	seen := ""
	for _, kind := range types {
		a := architecture(kind)
		switch {
		case a == "" && !strings.Contains(kind, "`"):
			m.add(Finding{Check: "instance-type", Severity: Error, File: s.file, Line: s.line, What: kind + " is no instance type",
				Why: "the environment refuses it", Fix: "write it as in t4g.small,t4g.medium"})
		case seen != "" && a != seen:
			m.add(Finding{Check: "instance-mixed", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("%s is %s, types before it are %s", kind, a, seen),
				Why: "an environment has one architecture, and the program is built for one", Fix: "keep to one"})
		case named && !strings.Contains(supported.value, a):
			m.add(Finding{Check: "instance-architecture", Severity: Error, File: s.file, Line: s.line, What: fmt.Sprintf("%s is %s, SupportedArchitectures %s (%s)", kind, a, supported.value, supported.where()),
				Why: "the environment refuses it", Fix: "SupportedArchitectures: " + a})
		}
		seen = a
	}
}

// checkBinary looks into programs that come ready-built.
func (m *model) checkBinary(name string, f *File) {
	if f.planned {
		return
	}
	head := f.head(64)
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")) && len(head) >= 20:
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
	if interpreted(f) {
		m.add(Finding{Check: "binary-dynamic", Severity: Warning, File: name, What: "the program needs shared libraries",
			Why: "it runs only where the C library is at least that of the machine it was built on",
			Fix: "build with CGO_ENABLED=0"})
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
