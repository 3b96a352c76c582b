package host

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// acceptPause is how long a listener waits at most until it tries again to accept a connection.
const acceptPause = time.Second

// accepting is l, which waits by itself while the process has no descriptor, or the machine no memory, for a connection,
// and says so once: http.Server writes a line each time that it tries.
func (h *Host) accepting(l net.Listener) net.Listener { return &acceptor{l, h} }

type acceptor struct {
	net.Listener
	h *Host
}

// Accept waits for a connection.
func (a *acceptor) Accept() (net.Conn, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, acceptPause) {
		c, err := a.Listener.Accept()
		var advice string
		switch {
		case errors.Is(err, syscall.EMFILE):
			advice = "raise the limit of open files of the process: ulimit -n, LimitNOFILE of systemd, --ulimit nofile of Docker"
		case errors.Is(err, syscall.ENFILE):
			advice = "raise the limit of open files of the machine: sysctl fs.file-max"
		case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
			advice = "the machine is out of memory for connections"
		default:
			return c, err
		}
		if a.h.notice.News(advice, time.Now()) {
			a.h.life.Warn("new connections wait: the system gives the process none", "err", err, "advice", advice)
		}
		time.Sleep(pause)
	}
}
