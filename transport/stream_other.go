//go:build !unix

package transport

import "net"

// newSocketStream returns nil: here every connection is a plainStream.
func newSocketStream(net.Conn) stream { return nil }

func newSocket(net.Conn) stream { return nil }
