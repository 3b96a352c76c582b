package limit

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxUnsent is how many bytes a connection's kernel may hold that it has not sent yet.
const maxUnsent = 128 << 10

// KeepUnsentSmall has a connection take more as soon as the client has taken some: by default a third of a buffer of
// up to 4 MiB has to be free, and who reads 40 KB a second looks as if he took nothing for half a minute. Of TLS it is the
// connection below. It does nothing to what is no TCP connection. tcp(7), TCP_NOTSENT_LOWAT.
func KeepUnsentSmall(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	s, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	if c, err := s.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent) })
	}
}
