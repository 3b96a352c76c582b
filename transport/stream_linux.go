package transport

import "golang.org/x/sys/unix"

// writeBuffers writes bufs, which are not empty, with one system call.
func writeBuffers(fd int, bufs [][]byte) (int, error) {
	if len(bufs) == 1 {
		return unix.Write(fd, bufs[0])
	}
	return unix.Writev(fd, bufs)
}
