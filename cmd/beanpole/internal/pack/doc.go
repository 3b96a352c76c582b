// Package pack makes the zip that Elastic Beanstalk takes.
//
//	result, err := pack.Pack(ctx, pack.Options{Dir: ".", Output: "build/application.zip", Kind: pack.AMD64})
//
// # Files
//
//   - pack.go: Options, Pack; buildfile.go: the programs; packages.go: their packages; source.go: whether an instance can build them
//   - collect.go: what goes in; data.go: what programs read; shipped.go, secret.go: what is left out; stamp.go: the version; write.go: the zip
//
// # Decisions
//
//   - 2026-11: a binary is the default. It is what was tested, starts without a toolchain, and does not depend on
//     the version of Go that the platform has.
//   - 2026-11: pack does what the Buildfile says, for the instances, and nothing but go build: what else it may have cannot
//     be done for another system. mvdan.cc/sh reads its lines as the shell does, quotes and variables too. It is the parser of
//     shfmt, well kept, and brings no other module; strings.Fields took -ldflags "-X a=b" for three words.
//   - 2026-11: all folders of files go along, as with eb deploy, but for what only a build or a reader needs. To guess which
//     of them a program reads, from its source, would miss some in silence.
//   - 2026-11: Preview, which is for lint, runs no go command: package go/build reads what is embedded and what a program is.
//   - 2026-11: source is listed (go list -deps) as the instance will have it. What is missing there is seen at once, whether
//     it was a workspace, a replacement, or a folder that is left out.
//   - 2026-11: the zip is the same for the same input: names in order, one fixed time. A bundle with an error
//     is not written at all.
package pack
