// Package house keeps the rules of the project that no compiler knows. It has tests only.
//
//   - house_test.go: which package may import which, that each says what it is for, the length of files
//   - documents_test.go: that what the documents show compiles, parses or exists: Go, JavaScript,
//     commands, names, links, variables
//   - started_test.go: that the first program of docs/getting-started.md runs
package house
