package lint

import (
	"fmt"
	"path"
	"strings"

	"github.com/beanpole/beanpole/internal/near"
)

// checkMisplaced finds what is for the platform and lies where it does not look.
func checkMisplaced(m *model) {
	if m.bundle.top() != "" {
		return // everything does, which has its own finding
	}
	told := make(map[string]bool) // one finding a folder
	for _, name := range m.bundle.ordered() {
		dir, base := path.Split(name)
		dir = strings.TrimSuffix(dir, "/")
		switch top, rest, _ := strings.Cut(name, "/"); {
		case strings.HasPrefix(name, "__MACOSX/"), strings.HasPrefix(base, "._"), base == ".DS_Store":
			m.macOS(name, told)
			continue
		case strings.HasPrefix(name, ".git/"):
			if !told[".git"] {
				m.add(Finding{Check: "git-shipped", Severity: Warning, File: ".git/", What: "the whole history is shipped",
					Why: "with every secret that was ever in it; .ebignore ships what it does not name, .git too", Fix: "add .git/ to .ebignore"})
			}
			told[".git"] = true
			continue
		case top == "deploy" || top == "node_modules" || top == "testdata" || top == "vendor":
			continue // examples, and variants that are laid over the bundle
		case top == ".platform":
			if first, _, nested := strings.Cut(rest, "/"); nested && first != "hooks" && first != "confighooks" && first != "nginx" && first != "httpd" && !told[first] {
				if right := inPlatform(first); right != "" {
					told[first] = true
					m.misplaced(".platform/"+first+"/", right)
				}
			}
			continue
		case top == ".ebextensions":
			if first, _, nested := strings.Cut(rest, "/"); nested && (first == ".platform" || first == "hooks") && !told[top+first] {
				told[top+first] = true
				m.misplaced(".ebextensions/"+first+"/", ".platform")
			}
			continue
		default:
			parts := strings.Split(name, "/")
			for i, part := range parts[:len(parts)-1] {
				at := strings.Join(parts[:i+1], "/")
				if right := folderMeant(part, parts[i+1]); right != "" && !told[at] {
					told[at] = true
					m.misplaced(at+"/", right)
					break
				}
			}
		}
		if dir == "" {
			for _, right := range []string{"Procfile", "Buildfile", "Dockerfile"} {
				if base != right && (strings.EqualFold(base, right) || strings.EqualFold(base, right+".txt")) {
					m.add(Finding{Check: "misplaced", Severity: Error, File: name, What: "the platform does not read " + name,
						Why: "it looks for " + right + ", to the letter", Fix: "rename it to " + right})
				}
			}
		}
	}
}

// folderMeant returns the folder of the platform that a name means or nearly is, or "". next is what lies in it.
func folderMeant(name, next string) string {
	bare, dot := strings.CutPrefix(strings.ToLower(name), ".")
	switch {
	case near.Distance(bare, "ebextensions") <= 2:
		return ".ebextensions"
	case dot && near.Distance(bare, "platform") <= 2, bare == "platform" && inPlatform(next) == "" && strings.Contains("hooks confighooks nginx", next):
		return ".platform"
	}
	return ""
}

// inPlatform returns the folder that one in .platform, which is none that is read, means or nearly is, or "".
func inPlatform(name string) string {
	if name == "conf.d" {
		return ".platform/nginx/conf.d"
	}
	for _, right := range []string{"hooks", "confighooks", "nginx"} {
		if name != right && near.Distance(strings.ToLower(name), right) <= 1 {
			return ".platform/" + right
		}
	}
	return ""
}

func (m *model) misplaced(name, right string) {
	m.add(Finding{Check: "misplaced", Severity: Error, File: name, What: "the platform does not look into " + name,
		Why: "nothing in it has an effect, and nobody says so", Fix: "move it to " + right + "/ at the top of the bundle"})
}

// macOS reports what Finder and its zips add.
func (m *model) macOS(name string, told map[string]bool) {
	base := path.Base(name)
	switch dir := path.Dir(name); {
	case strings.HasPrefix(name, "__MACOSX/"):
		if !told["__MACOSX"] {
			told["__MACOSX"] = true
			m.add(Finding{Check: "macos-zip", Severity: Warning, File: "__MACOSX/", What: "the zip was made by macOS' Finder",
				Why: "it adds a folder of its own, and often puts everything else into another: then nothing is found", Fix: "zip -r app.zip . -x '.git/*' '*/.DS_Store', or beanpole pack"})
		}
	case base == ".DS_Store":
		if !told[base] {
			told[base] = true
			m.add(Finding{Check: "macos-zip", Severity: Warning, File: name, What: "the bundle has files of macOS' Finder",
				Why: "they tell the names of files that are not shipped", Fix: "name .DS_Store in .ebignore"})
		}
	case strings.Contains(dir, "hooks/") || dir == ".ebextensions" || strings.HasPrefix(dir, ".platform/nginx"):
		m.add(Finding{Check: "macos-zip", Severity: Error, File: name, What: fmt.Sprintf("%s is what macOS knows of %s", base, strings.TrimPrefix(base, "._")),
			Why: "the platform takes it for a file of yours: it runs it as a hook, or reads it as configuration, and the deployment fails", Fix: "COPYFILE_DISABLE=1 when you pack, or beanpole pack"})
	}
}
