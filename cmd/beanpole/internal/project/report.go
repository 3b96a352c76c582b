package project

import (
	"fmt"
	"io"

	udiff "github.com/aymanbagabas/go-udiff"
)

// Action is what was done with a file.
type Action string

// The actions.
const (
	Created  Action = "created"
	Updated  Action = "updated"  // it was as the bundle had it
	Merged   Action = "merged"   // it has changes of its own, and those of the bundle besides
	Replaced Action = "replaced" // it was another
	Removed  Action = "removed"
	Kept     Action = "kept"     // it is the project's own choice, and there is nothing to do
	Differs  Action = "differs"  // it is another, and was left alone
	Conflict Action = "conflict" // the bundle and the project have changed the same lines, and it was left alone
)

// Change is what was done with one file.
type Change struct {
	Action Action
	Name   string
	Note   string // more about it, or ""
	Diff   string // unified; "" for a new file
}

// Report says what Init or Update has done, or with Diff would do.
type Report struct {
	Said    []string // about what was chosen
	Changes []Change
	Next    []string // what is left to do
	Same    int      // files that were as they should be
}

// Open returns the changes that wait for somebody's decision.
func (r Report) Open() (list []Change) {
	for _, c := range r.Changes {
		if c.Action == Differs || c.Action == Conflict {
			list = append(list, c)
		}
	}
	return list
}

// Print writes the report for people.
func (r Report) Print(w io.Writer) {
	for _, s := range r.Said {
		fmt.Fprintln(w, s)
	}
	for _, c := range r.Changes {
		fmt.Fprintf(w, "%-9s %s", c.Action, c.Name)
		if c.Note != "" {
			fmt.Fprintf(w, ": %s", c.Note)
		}
		fmt.Fprint(w, "\n", c.Diff)
	}
	for i, n := range r.Next {
		if i == 0 {
			fmt.Fprint(w, "\nNext:\n")
		}
		fmt.Fprintf(w, "  %s\n", n)
	}
}

func (r *Report) add(a Action, name, note, old, new string) {
	c := Change{Action: a, Name: name, Note: note}
	if old != "" {
		c.Diff = udiff.Unified(name, name, old, new)
	}
	r.Changes = append(r.Changes, c)
}
