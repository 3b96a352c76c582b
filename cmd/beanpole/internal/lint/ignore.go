package lint

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ignore is a list of patterns as in .gitignore, the last that matches decides.
type ignore []string

// readIgnore returns the patterns of dir's .ebignore, or of its .gitignore when it has none. Source: EB CLI,
// fileoperations.py.
func readIgnore(dir string) ignore {
	list := ignore{".git/", ".elasticbeanstalk/"}
	for _, name := range []string{".ebignore", ".gitignore"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		return append(list, parseIgnore(string(raw))...)
	}
	return list
}

func parseIgnore(text string) (list ignore) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

// match reports whether the file or folder is left out.
func (list ignore) match(name string, dir bool) bool {
	out := false
	for _, p := range list {
		no := strings.HasPrefix(p, "!")
		if matches(strings.TrimPrefix(p, "!"), name, dir) {
			out = !no
		}
	}
	return out
}

func matches(pattern, name string, dir bool) bool {
	if only := strings.TrimSuffix(pattern, "/"); only != pattern {
		if !dir {
			return false
		}
		pattern = only
	}
	pattern = strings.TrimPrefix(pattern, "**/")
	if rooted := strings.TrimPrefix(pattern, "/"); rooted != pattern || strings.Contains(pattern, "/") {
		ok, _ := path.Match(rooted, name)
		return ok
	}
	ok, _ := path.Match(pattern, path.Base(name))
	return ok
}
