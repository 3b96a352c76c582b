package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	resyntax "regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// Ignore is a list of patterns as in .gitignore, the last that matches decides. The zero value and nil ignore nothing.
type Ignore struct {
	list []ignored
	left int // steps
}

type ignored struct {
	parts []part
	no    bool // what matches is shipped all the same
}

// Bounds of a list: how many patterns, each of which is held against the name of each file, and how many steps that takes, which
// is a few seconds. 200 patterns as people have them and 100,000 files are half of it.
const (
	maxPatterns    = 2000
	maxIgnoreSteps = 500_000_000
)

// Err says that so much was to be done that it is not known what is ignored.
func (g *Ignore) Err() error {
	if g != nil && g.left < 0 {
		return errors.New("what is ignored takes more steps than are gone: fewer patterns, or fewer stars in them")
	}
	return nil
}

// readIgnore returns the patterns of dir's .ebignore, or of its .gitignore when it has none. What the EB CLI leaves out
// without being told is among them: with .ebignore that is no more than itself, its own folder, and what editors leave.
// Source: EB CLI, fileoperations.py.
func readIgnore(dir string) (*Ignore, error) {
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
		return parseIgnore(string(raw) + "\n" + list.too), nil
	}
	return nil, nil
}

// Ignored returns what is left out of dir by its .ebignore, as the EB CLI does.
func Ignored(dir string) (*Ignore, error) {
	if _, err := os.Lstat(filepath.Join(dir, ".ebignore")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return readIgnore(dir)
}

func parseIgnore(text string) *Ignore {
	g := &Ignore{left: maxIgnoreSteps}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		p, no := strings.CutPrefix(line, "!")
		if parts, ok := parsePattern(strings.TrimPrefix(p, `\`)); ok {
			g.list = append(g.list, ignored{parts, no})
		}
	}
	return g
}

// Match reports whether the file is left out. When there is an Err it is.
func (g *Ignore) Match(name string) bool {
	if g == nil {
		return false
	}
	names := strings.Split(name, "/")
	for _, p := range slices.Backward(g.list) {
		if g.matches(p.parts, names) {
			return !p.no
		}
	}
	return g.left < 0
}

// leavesOut reports whether all files of the folder are left out.
func (g *Ignore) leavesOut(dir string) bool {
	return g != nil && dir != "." && g.Match(dir+"/x") && !slices.ContainsFunc(g.list, func(p ignored) bool { return p.no })
}

// part is what stands between two slashes: ** for any folders, or signs for one name.
type part struct {
	folders bool
	signs   []sign
}

// sign is one letter, one of several, or any: one or many.
type sign struct {
	letter    rune
	set       []rune // pairs
	one, many bool
}

// parsePattern reads a line. What is no pattern is not ok.
func parsePattern(pattern string) (parts []part, ok bool) {
	words := strings.Split(pattern, "/")
	switch {
	case pattern == "":
		return nil, false
	case pattern == "**": // everything
	case words[0] == "":
		words = words[1:]
	case len(words) == 1, len(words) == 2 && words[1] == "":
		words = append([]string{"**"}, words...)
	}
	last := len(words) - 1
	if last > 0 && words[last] == "" {
		words[last] = "**"
	}
	for _, w := range words {
		p := part{folders: w == "**"}
		if p.signs, ok = signs(w); !ok {
			return nil, false
		}
		if n := len(parts); p.folders && n > 1 && parts[n-1].folders && parts[n-2].folders {
			continue // it says nothing more
		}
		parts = append(parts, p)
	}
	return parts, true
}

// signs reads a part, with * and ? and [a-z].
func signs(word string) (list []sign, ok bool) {
	letters := []rune(word)
	closed := strings.Contains(word, "]")
	for i := 0; i < len(letters); i++ {
		switch c := letters[i]; c {
		case '*':
			list = append(list, sign{many: true})
		case '?':
			list = append(list, sign{one: true})
		case '[':
			end := -1
			if closed {
				end = slices.Index(letters[i+1:], ']')
				closed = end >= 0 // and no other of those that follow
			}
			if end < 1 {
				list = append(list, sign{letter: c})
				continue
			}
			set := string(letters[i+1 : i+1+end])
			if rest, not := strings.CutPrefix(set, "!"); not {
				set = "^" + rest
			}
			re, err := resyntax.Parse("["+strings.ReplaceAll(set, `\`, `\\`)+"]", resyntax.Perl)
			if err != nil {
				return nil, false
			}
			pairs := re.Rune
			switch re.Op {
			case resyntax.OpLiteral:
				pairs = []rune{re.Rune[0], re.Rune[0]}
			case resyntax.OpAnyChar, resyntax.OpAnyCharNotNL:
				pairs = []rune{0, utf8.MaxRune}
			}
			list = append(list, sign{set: pairs})
			i += end + 1
		case '\\':
			if i+1 < len(letters) {
				i++
			}
			list = append(list, sign{letter: letters[i]})
		default:
			list = append(list, sign{letter: c})
		}
	}
	return list, true
}

// is reports whether a sign is for the letter.
func (s sign) is(letter rune) bool {
	if s.set == nil {
		return s.one || s.letter == letter && !s.many
	}
	for i := 0; i+1 < len(s.set); i += 2 {
		if s.set[i] <= letter && letter <= s.set[i+1] {
			return true
		}
	}
	return false
}

// matches reports whether the names, or folders that are the first of them, are of the pattern. Of several ** it is enough to
// try more for the last.
func (g *Ignore) matches(parts []part, names []string) bool {
	at, back, tried := 0, -1, 0 // back is behind the last **, tried where it goes on
	for i := 0; ; {
		g.left--
		switch last := at == len(parts)-1; {
		case g.left < 0:
			return false
		case at == len(parts):
			return true
		case parts[at].folders && last:
			return len(parts) == 1 || len(names) > max(i, 1)
		case parts[at].folders:
			at++
			back, tried = at, i
			continue
		case i < len(names) && g.matchesName(parts[at].signs, names[i]):
			at, i = at+1, i+1
			continue
		}
		if tried++; back < 0 || tried >= len(names) {
			return false
		}
		at, i = back, tried
	}
}

// matchesName is the same for one name and *.
func (g *Ignore) matchesName(signs []sign, name string) bool {
	at, back, tried := 0, -1, 0
	for i := 0; ; {
		letter, size := utf8.RuneError, 1
		if i < len(name) {
			if letter = rune(name[i]); letter >= utf8.RuneSelf {
				letter, size = utf8.DecodeRuneInString(name[i:])
			}
		}
		switch g.left--; {
		case g.left < 0:
			return false
		case at < len(signs) && signs[at].many:
			at++
			back, tried = at, i
			continue
		case i == len(name) && at == len(signs):
			return true
		case i < len(name) && at < len(signs) && signs[at].is(letter):
			at, i = at+1, i+size
			continue
		}
		if back < 0 || tried >= len(name) {
			return false
		}
		for tried++; tried < len(name) && !utf8.RuneStart(name[tried]); tried++ { // by letters
		}
		at, i = back, tried
	}
}
