package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// ignore is a list of patterns as in .gitignore, the last that matches decides.
type ignore []ignored

type ignored struct {
	re *regexp.Regexp
	no bool // what matches is shipped all the same
}

// maxPatterns bounds a list: each is an expression that is held against the name of each file.
const maxPatterns = 2000

// readIgnore returns the patterns of dir's .ebignore, or of its .gitignore when it has none. What the EB CLI leaves out
// without being told is among them: with .ebignore that is no more than itself, its own folder, and what editors leave.
// Source: EB CLI, fileoperations.py.
func readIgnore(dir string) (ignore, error) {
	for _, list := range []struct{ name, too string }{{".ebignore", "/.ebignore\n.elasticbeanstalk/\n*~\n"}, {".gitignore", "/.gitignore\n.git/\n.elasticbeanstalk/\n*~\n"}} {
		raw, err := foreign.ReadFile(dir, list.name, foreign.MaxText)
		if errors.Is(err, fs.ErrNotExist) && list.name == ".ebignore" {
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if bytes.Count(raw, []byte("\n")) > maxPatterns {
			return nil, fmt.Errorf("%s has more than %d lines", list.name, maxPatterns)
		}
		return append(parseIgnore(string(raw)), parseIgnore(list.too)...), nil
	}
	return nil, nil
}

// Ignored returns what reports whether a file of dir is left out by its .ebignore, as the EB CLI does.
func Ignored(dir string) (func(name string) bool, error) {
	if _, err := os.Lstat(filepath.Join(dir, ".ebignore")); errors.Is(err, fs.ErrNotExist) {
		return ignore{}.match, nil
	}
	list, err := readIgnore(dir)
	return list.match, err
}

func parseIgnore(text string) (list ignore) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		p, no := strings.CutPrefix(line, "!")
		if re, err := regexp.Compile(ignoreExpression(strings.TrimPrefix(p, `\`))); err == nil {
			list = append(list, ignored{re, no})
		}
	}
	return list
}

// match reports whether the file is left out.
func (list ignore) match(name string) bool {
	for _, p := range slices.Backward(list) {
		if p.re.MatchString(name) {
			return !p.no
		}
	}
	return false
}

// leavesOut reports whether all files of the folder are left out.
func (list ignore) leavesOut(dir string) bool {
	return dir != "." && list.match(dir+"/x") && !slices.ContainsFunc(list, func(p ignored) bool { return p.no })
}

// ignoreExpression is a pattern of .gitignore as a regular expression for paths of files.
func ignoreExpression(pattern string) string {
	parts := strings.Split(pattern, "/")
	switch {
	case parts[0] == "":
		parts = parts[1:]
	case len(parts) == 1, len(parts) == 2 && parts[1] == "":
		parts = append([]string{"**"}, parts...)
	}
	last := len(parts) - 1
	if last > 0 && parts[last] == "" {
		parts[last] = "**"
	}
	var b strings.Builder
	b.WriteString("^")
	slash := false
	for i, part := range parts {
		switch {
		case part == "**" && i == 0 && i == last:
			b.WriteString(".+")
		case part == "**" && i == 0:
			b.WriteString("(?:.+/)?")
		case part == "**" && i == last:
			b.WriteString("/.*")
		case part == "**":
			b.WriteString("(?:/.+)?")
			slash = true
		default:
			if slash {
				b.WriteString("/")
			}
			b.WriteString(glob(part))
			if i == last {
				b.WriteString("(?:/.*)?")
			}
			slash = true
		}
	}
	return b.String() + "$"
}

// glob is one part of a path, with * and ? and [a-z], as a regular expression.
func glob(part string) string {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		switch c := part[i]; c {
		case '*':
			b.WriteString("[^/]*")
		case '?':
			b.WriteString("[^/]")
		case '[':
			end := strings.IndexByte(part[i+1:], ']')
			if end < 1 {
				b.WriteString(`\[`)
				continue
			}
			set := part[i+1 : i+1+end]
			if rest, not := strings.CutPrefix(set, "!"); not {
				set = "^" + rest
			}
			b.WriteString("[" + strings.ReplaceAll(set, `\`, `\\`) + "]")
			i += end + 1
		case '\\':
			if i+1 < len(part) {
				i++
			}
			b.WriteString(regexp.QuoteMeta(part[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(part[i : i+1]))
		}
	}
	return b.String()
}
