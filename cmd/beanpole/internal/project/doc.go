// Package project brings the bundle to an application of its own, and newer bundles later.
//
//	report, err := project.Init(ctx, project.Options{Dir: "hello", Choice: choice})
//	report, err := project.Update(project.UpdateOptions{Dir: "hello"})
//
// # Files
//
//   - choice.go: Choice, what a project is asked; bundle.go: the files that come of it; template: a new application
//   - init.go: Init; module.go: go.mod; update.go: Update; merge.go: three texts to one
//   - manifest.go: the record of what was written; folder.go: the project's files; report.go: what was done
//
// # Decisions
//
//   - 2026-11: github.com/aymanbagabas/go-udiff shows differences and merges. It is the code of gopls, which the Go
//     team keeps, as a module that may be imported, and brings no other.
//   - 2026-11: the record holds the files as they were written and not only their sums: with sums alone, every
//     file that a project has changed in one line would be a conflict. It is a text archive (txtar), which
//     version control shows line by line.
//   - 2026-11: what the application is made of (main.go, its page, go.mod, config.yml) is written once and is its
//     own from then on. Updates are for the bundle.
//   - 2026-11: a second Init is an update, for what is chosen now, with the flags of the first as defaults. What the first one
//     found there and left is in no record: it is asked about until somebody decides.
//   - 2026-11: the record is there from the beginning, marked as unfinished. An Init that was interrupted, by whatever, goes on.
//   - 2026-11: a conflict leaves the file as it is. Markers in it would be read by Elastic Beanstalk.
//   - 2026-11: go.mod names the command as a tool: `go tool beanpole` is then of the version that the application
//     is built with. So it does the health check of the image, which a vendor folder would else not have.
package project
