// Package version says which Beanpole this is.
package version

import "runtime/debug"

// Number is the version of this module, by Semantic Versioning. CHANGELOG.md has what each brought.
const Number = "0.1.0"

// Client is the version of socket.io-client to which pages are led that have none.
const Client = "4.8.3"

// OfClient returns where a file of that socket.io-client is, such as socket.io.min.js.
func OfClient(file string) string { return "https://cdn.socket.io/" + Client + "/" + file }

// revision is set by the build of a release (-ldflags -X), which has no repository around it.
var revision string

// String returns Number with the revision that the running program was built from, as far as the build recorded it:
// "0.1.0 (3f2a9c01d4e5, modified)". Source: the build information of a program whose main package is of this module.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Number
	}
	return of(info.Settings, revision)
}

func of(settings []debug.BuildSetting, revision string) string {
	modified := false
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	switch {
	case revision == "":
		return Number
	case modified:
		return Number + " (" + revision + ", modified)"
	}
	return Number + " (" + revision + ")"
}
