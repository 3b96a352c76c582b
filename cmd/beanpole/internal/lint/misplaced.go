package lint

import (
	"fmt"
	"path"
	"strings"
)

// folders are what the platform reads, by where.
var folders = []string{".ebextensions", ".platform", ".platform/hooks", ".platform/confighooks", ".platform/nginx", ".platform/nginx/conf.d",
	".platform/nginx/conf.d/elasticbeanstalk"}

// checkMisplaced finds what is for the platform and lies where it does not look.
func checkMisplaced(m *model) {
	if m.bundle.top() != "" {
		return // everything does, which has its own finding
	}
	told := make(map[string]bool) // one finding a folder
	for _, name := range m.bundle.Names() {
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
				if near := nearFolder(".platform/" + first); near != "" || first == "conf.d" {
					told[first] = true
					m.misplaced(".platform/"+first+"/", near)
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
			for _, part := range strings.Split(dir, "/") {
				at := dir[:strings.Index(dir, part)+len(part)]
				if near := nearFolder(part); near != "" && !told[at] {
					told[at] = true
					m.misplaced(at+"/", near)
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

// nearFolder returns the folder that the platform reads and that name seems to mean, or "".
func nearFolder(name string) string {
	if name == "" {
		return ""
	}
	for _, right := range folders {
		base := path.Base(right)
		bare := strings.TrimPrefix(base, ".")
		switch {
		case base == "nginx" || base == "conf.d" || base == "hooks":
			if strings.HasPrefix(name, ".platform/") && distance(path.Base(name), base) <= 1 {
				return right
			}
			continue
		case name == base || len(bare) > 7 && distance(strings.ToLower(strings.TrimPrefix(path.Base(name), ".")), bare) <= 2 && (strings.HasPrefix(path.Base(name), ".") || path.Base(name) == bare):
			return right
		}
	}
	return ""
}

func (m *model) misplaced(name, right string) {
	f := Finding{Check: "misplaced", Severity: Error, File: name, What: "the platform does not look into " + name,
		Why: "nothing in it has an effect, and nobody says so", Fix: "move it to " + right + "/ at the top of the bundle"}
	if right == "" {
		f.Fix = "see .platform/nginx and .platform/hooks"
	}
	m.add(f)
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
