// Package foreign looks at what somebody else may have written: a folder that was unpacked, a bundle, a repository, the
// answer of a server. To look at it runs nothing of it, writes nothing into it, and comes to an end.
//
//	text, err := foreign.ReadFile(dir, "Procfile", foreign.MaxText)
//	g, err := foreign.OpenGit(ctx, dir, foreign.Strangers)
//
// # Files
//
//   - file.go: the one way to read a file, and to look for one; git.go: the one way to ask Git; program.go: programs of this machine
//   - text.go: the one way to a terminal
//
// # Decisions
//
//   - 2026-11: Git gets a folder of its own in the place of .git, with objects and the index of the repository and nothing else
//     of it. To switch off by name what a .git/config can have run (core.fsmonitor, filters, hooks, signatures, fetches of
//     partial clones) is a list that each version of Git makes longer.
//   - 2026-11: control characters are made visible where the text leaves the program, not where it came in: nobody can forget it.
package foreign
