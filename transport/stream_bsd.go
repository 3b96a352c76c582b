//go:build unix && !linux

package transport

import "syscall"

// writeBuffers writes the first of bufs.
func writeBuffers(fd int, bufs [][]byte) (int, error) { return syscall.Write(fd, bufs[0]) }
