package main

import (
	"slices"
	"strings"
	"unicode"

	"go.mau.fi/util/confusable"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// looks are what a name looks like, as keys: names that look alike have one in common. The rules are Unicode's: NFKC
// has letters in a circle or of another width as themselves, case folding makes capitals small, and the skeleton
// (UTS #39) has those that look alike as one. A capital may look like a letter that its small form does not, and the
// other way round, so both the name and its small form are looked at, before letters are made small and after.
func looks(name string) []string {
	all := []string{appearance(name), appearance(cases.Fold().String(plain(name)))}
	return slices.Compact(all)
}

// appearance is one of looks.
func appearance(name string) string {
	for range 2 {
		name = cases.Fold().String(confusable.Skeleton(plain(name)))
	}
	// A capital I looks like a small l, and is the small i to many readers.
	return strings.ReplaceAll(plain(name), "i", "l")
}

// plain is the name without what is hardly seen: variation selectors, letters of Hangul that stand alone, marks that
// are part of no letter, as a dot above an i; and with letters in a box as themselves, where NFKC leaves them.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		for _, first := range []rune{0x1F150, 0x1F170, 0x1F1E6} {
			if r >= first && r < first+26 {
				return 'A' + r - first
			}
		}
		switch {
		case unicode.Is(unicode.Variation_Selector, r), r >= 0x1160 && r <= 0x11FF,
			unicode.Is(unicode.Mn, r) && unicode.Is(unicode.Inherited, r):
			return -1
		}
		return r
	}, norm.NFKC.String(name))
}

// alphabets are the scripts that may stand together in a word ("highly restrictive" in UTS #39).
var alphabets = [][]string{{"Latin", "Han", "Hiragana", "Katakana"}, {"Latin", "Han", "Bopomofo"}, {"Latin", "Han", "Hangul"}}

// mixed reports whether a word of the name has letters of scripts that do not belong together.
func mixed(name string) bool {
	return slices.ContainsFunc(strings.Fields(norm.NFKC.String(name)), func(word string) bool {
		var scripts []string
		for _, r := range word {
			for script, table := range unicode.Scripts {
				if script != "Common" && script != "Inherited" && unicode.Is(table, r) && !slices.Contains(scripts, script) {
					scripts = append(scripts, script)
				}
			}
		}
		return len(scripts) > 1 && !slices.ContainsFunc(alphabets, func(together []string) bool {
			return !slices.ContainsFunc(scripts, func(s string) bool { return !slices.Contains(together, s) })
		})
	})
}
