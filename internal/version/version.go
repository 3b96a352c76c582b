// Package version says which Beanpole this is.
package version

import "runtime/debug"

// Number is the version of this module, by Semantic Versioning. CHANGELOG.md has what each brought.
const Number = "0.1.0"

// Client is the version of socket.io-client that server/host has in itself, and to which pages are led that have none.
const Client = "4.8.4"

// OfClient returns where a file of that socket.io-client is, such as socket.io.min.js: at what serves npm's packages as they are.
// cdn.socket.io is filled by hand, and has some versions late or never.
func OfClient(file string) string {
	return "https://cdn.jsdelivr.net/npm/socket.io-client@" + Client + "/dist/" + file
}

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
