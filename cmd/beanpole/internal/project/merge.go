package project

import (
	udiff "github.com/aymanbagabas/go-udiff"
)

// merge brings what was changed from base to theirs into mine. It reports false when both have changed the
// same lines, or put different ones in at the same place.
func merge(base, mine, theirs string) (string, bool) {
	a, b := udiff.Lines(base, mine), udiff.Lines(base, theirs)
	for _, x := range a {
		for _, y := range b {
			if x != y && x.Start == y.Start && x.Start == x.End && y.Start == y.End {
				return "", false // the library would put one behind the other
			}
		}
	}
	edits, ok := udiff.Merge(a, b)
	if !ok {
		return "", false
	}
	out, err := udiff.Apply(base, edits)
	return out, err == nil
}
