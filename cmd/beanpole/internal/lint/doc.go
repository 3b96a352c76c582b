// Package lint checks an Elastic Beanstalk bundle before it is shipped.
//
//	b, err := lint.OpenDir(".")          // or OpenZip
//	findings := lint.Run(ctx, b, lint.Options{})
//
// # Files
//
//   - bundle.go: Bundle, read from a folder or a zip; ignore.go: what a folder leaves out
//   - lint.go: Run, Finding and the model that checks share
//   - layout.go, procfile.go, docker.go, hooks.go, leftovers.go: checks of files
//   - yaml.go: .ebextensions/*.config; options.go: the table of options; settings.go: their values
//   - consistency.go: what several settings say together
//   - nginxconf.go: nginx's syntax; overlay.go: the tree that Beanstalk makes of its own and ours;
//     effective.go: what that tree means for the Socket.IO path; nginxtest.go: nginx -t
//   - stock/: the platform's own nginx files
//
// # Decisions
//
//   - 2026-11: the table of options is ours, as there is no machine-readable one that can be shipped. Options
//     of namespaces the table does not have are reported only when they look like a slip of the pen.
//   - 2026-11: what an environment needs is told apart from style. A finding names what breaks; there is no
//     finding for what only could be nicer.
package lint
