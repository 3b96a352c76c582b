package host

import "io/fs"

// fileState tells a file from what was there by its name at another time.
type fileState struct {
	size, modified int64
	change         change
}

// change is when a file of the operating system was made or changed, whatever time it has been given: a build that is the same
// again has all its times alike. The zero value is that of others.
type change struct {
	file uint64
	time int64
}

func stateOf(info fs.FileInfo) fileState {
	return fileState{info.Size(), info.ModTime().UnixNano(), changeOf(info)}
}
