package lint

import (
	"regexp"
	resyntax "regexp/syntax"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// effort is what may be done to follow requests through nginx files, those of all checks together. The zero value and nil have no end.
type effort struct {
	left  int
	known map[string]*expression
	kept  int // instructions of those
}

// maxEffort is a second or so, in steps of 20 ns: a directive that is looked at is one.
const maxEffort = 50_000_000

const stepTime = 20 * time.Nanosecond

func newEffort() *effort { return &effort{left: maxEffort, known: make(map[string]*expression)} }

// spend takes n, and reports whether there was so much.
func (e *effort) spend(n int) bool {
	if e == nil {
		return true
	}
	e.left -= n
	return e.left > 0
}

func (e *effort) spent() bool { return e != nil && e.left <= 0 }

// expression is a regular expression of nginx'.
type expression struct {
	re     *regexp.Regexp
	other  *regexp2.Regexp // in the place of re, one that looks ahead or behind
	size   int             // instructions of the program that it becomes
	groups int
}

// What it takes to read an expression, to make a program of it and to run that, in steps; measured.
const (
	readByte   = 15
	readClass  = 4_000   // one of Unicode's
	readRange  = 250_000 // of letters that are not ASCII, each of which is looked up where case does not count
	makeStep   = 20
	maxKept    = 200_000
	matchLimit = 100 * time.Millisecond // for one that Go's package, which takes time in proportion, does not have
)

// expression reads one, or returns nil if it cannot be read, which nginx -t says, or there is no effort left.
func (e *effort) expression(text string) *expression {
	if e != nil && e.known[text] != nil {
		return e.known[text]
	}
	cost := readByte*len(text) + readClass*(strings.Count(text, `\p`)+strings.Count(text, `\P`))
	wide := strings.Contains(text, `\x`) || strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
	if wide && strings.Contains(text, "(?") && strings.Contains(text, "[") {
		cost += readRange * strings.Count(text, "-")
	}
	if !e.spend(cost) {
		return nil
	}
	x := &expression{}
	if tree, err := resyntax.Parse(text, resyntax.Perl); err == nil {
		if x.size, x.groups = programSize(tree), tree.MaxCap(); !e.spend(makeStep * x.size) {
			return nil
		}
		if x.re, err = regexp.Compile(text); err != nil {
			return nil
		}
	} else {
		begin := time.Now()
		options := regexp2.None
		if rest, fold := strings.CutPrefix(text, "(?i)"); fold {
			text, options = rest, regexp2.IgnoreCase
		}
		x.other, err = regexp2.Compile(text, options)
		if !e.spend(int(time.Since(begin)/stepTime)) || err != nil {
			return nil
		}
		x.other.MatchTimeout = matchLimit
	}
	if e != nil {
		if e.kept += x.size + len(text); e.kept <= maxKept {
			e.known[text] = x
		}
	}
	return x
}

// match holds text against an expression and returns what its groups caught, or nil.
func (e *effort) match(x *expression, text string) []string {
	if x == nil {
		return nil
	}
	if x.re != nil {
		if !e.spend(100 + x.size*len(text)*(1+x.groups/8)/2) { // each thread has its groups
			return nil
		}
		return x.re.FindStringSubmatch(text)
	}
	begin := time.Now()
	m, err := x.other.FindStringMatch(text)
	if took := int(time.Since(begin) / stepTime); !e.spend(took) || err != nil {
		e.spend(maxEffort) // it takes longer than is waited for
		return nil
	}
	if m == nil {
		return nil
	}
	groups := make([]string, 0, m.GroupCount())
	for _, g := range m.Groups() {
		groups = append(groups, g.String())
	}
	return groups
}

// programSize is how many instructions an expression becomes, or a few more.
func programSize(x *resyntax.Regexp) int {
	n := 1
	for _, part := range x.Sub {
		n += 1 + programSize(part)
	}
	switch x.Op {
	case resyntax.OpLiteral:
		n += len(x.Rune)
	case resyntax.OpRepeat:
		n *= max(x.Min, x.Max, 1) + 1
	}
	return n
}
