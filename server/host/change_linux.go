package host

import (
	"io/fs"
	"syscall"
)

// changeOf returns what tells a file of the operating system from what was there at another time, with the size and the
// time that whoever made it may have set.
func changeOf(info fs.FileInfo) (c change) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		c = change{s.Ino, s.Ctim.Nano()}
	}
	return c
}
