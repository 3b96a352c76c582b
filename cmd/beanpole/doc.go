// Command beanpole makes, checks, packs and diagnoses deployments of Beanpole on AWS Elastic Beanstalk.
//
//	beanpole init [FOLDER]    writes a project, or the bundle into one that is there
//	beanpole update           brings a newer bundle to it
//	beanpole lint [PATH]      what is wrong with a bundle, before it is shipped
//	beanpole pack             makes the zip, and refuses a wrong one
//	beanpole doctor URL       what is wrong with a live environment, from outside
//	beanpole load URL         what a Socket.IO server does under load
//	beanpole types            TypeScript and AsyncAPI from the handlers, and what breaks clients
//
// # Files
//
//   - main.go: the commands and their exit status; init.go (with update), lint.go, pack.go, doctor.go, load.go, types.go: one each
//   - internal/project, internal/lint, internal/pack, internal/doctor, internal/load, internal/ask: what they do
//   - internal/foreign: how all of them read what others wrote, and show it
//
// # Decisions
//
//   - 2026-11: github.com/alecthomas/kong reads the command line. Commands are structs whose fields are their
//     flags, without package variables or init functions, and it brings no other module; cobra wants the
//     first and brings two.
//   - 2026-11: the bundle is part of the program: the files at the top of the repository are embedded by the package
//     there, which nothing else imports.
//   - 2026-11: golang.org/x/term says what a terminal is. A character device need not be one: /dev/null is not.
//   - 2026-11: bad usage ends with 64, as in sysexits.h. 1 and 2 are left to what was found.
package main
