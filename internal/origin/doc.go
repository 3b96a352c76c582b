// Package origin reads what browsers say of whose page has sent a request, and the lists that say which pages and
// which names of this server are allowed.
//
// Files: origin.go (Origin: scheme, host and port; the origin of a request), pattern.go (Pattern: an entry of a
// list of origins), hosts.go (Hosts: the names a server goes by), anybodys.go (origins that anybody can have).
//
// # Decisions
//
//   - 2026-11-29: origins and entries are compared part by part, with default ports filled in and addresses in one
//     form, not as texts: browsers leave default ports out of Origin and of Host, and an entry with one would match
//     nothing. A host without port has the default port of its scheme, and never any port.
//   - 2026-11-29: an entry that no browser's Origin or Host can match stops the start. A list that refuses everybody
//     is found out by those who are refused, otherwise.
package origin
