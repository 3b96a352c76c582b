// Package pack makes the zip that Elastic Beanstalk takes.
//
//	result, err := pack.Pack(ctx, pack.Options{Dir: ".", Output: "build/application.zip", Kind: pack.AMD64})
//
// # Files
//
//   - pack.go: Options, Pack; collect.go: what goes in; shipped.go: what is left out; stamp.go: the version; write.go: the zip
//
// # Decisions
//
//   - 2026-11: a binary is the default. It is what was tested, starts without a toolchain, and does not depend on
//     the version of Go that the platform has.
//   - 2026-11: the zip is the same for the same input: names in order, one fixed time. A bundle with an error
//     is not written at all.
package pack
