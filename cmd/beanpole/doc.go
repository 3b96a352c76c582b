// Command beanpole checks, packs and diagnoses deployments of Beanpole on AWS Elastic Beanstalk.
//
//	beanpole lint [PATH]      what is wrong with a bundle, before it is shipped
//	beanpole pack             makes the zip, and refuses a wrong one
//	beanpole doctor URL       what is wrong with a live environment, from outside
//	beanpole health URL       asks once, for the health check of a container
//
// # Files
//
//   - main.go: the commands and their exit status; lint.go, pack.go, doctor.go, health.go: one each
//   - internal/lint, internal/pack, internal/doctor: what they do
//
// # Decisions
//
//   - 2026-11: github.com/alecthomas/kong reads the command line. Commands are structs whose fields are their
//     flags, without package variables or init functions, and it brings no other module; cobra wants the
//     first and brings two.
package main
