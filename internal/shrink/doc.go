// Package shrink gives back the memory of maps that were large once, and of what is taken from lists. The runtime keeps the room of a map's largest
// moment as long as the map lives: a million keys of 16 bytes that have gone are some 40 MB.
//
// # Files
//
//	map.go    Map
//	list.go   First
//
// # Decisions
//
// 2026-11-30: looked at with each delete. A map is copied when it has an eighth of what it had, so seven have been deleted
// for each that is copied, and one with less than 1,024 never is: below, a server has many of them, and they are small.
package shrink
