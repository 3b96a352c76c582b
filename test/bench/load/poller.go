package load

import (
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readBuffer is the size of the one buffer all connections are read into, in bytes.
const readBuffer = 256 << 10

// poller is an epoll instance with its connections by descriptor.
type poller struct {
	fd     int
	conns  []*conn
	events [512]unix.EpollEvent
	buf    []byte
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	// The thread's timers are to be exact: a paced load is slept for.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return &poller{fd: fd, buf: make([]byte, readBuffer)}, nil
}

// wait returns what is ready, after at most d; negative means as long as it takes.
func (p *poller) wait(d time.Duration) []unix.EpollEvent {
	// First without giving up the thread's processor to Go's scheduler, which is dear when there is work.
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), 0, 0, 0)
	if e == 0 && n > 0 {
		return p.events[:n]
	}
	if d == 0 {
		return nil
	}
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	var timeout *unix.Timespec
	if d > 0 {
		ts := unix.NsecToTimespec(int64(d))
		timeout = &ts
	}
	if m, err := unix.Ppoll(fds, timeout, nil); err != nil || m == 0 {
		return nil
	}
	got, err := unix.EpollWait(p.fd, p.events[:], 0)
	if err != nil {
		return nil
	}
	return p.events[:got]
}

// dial starts a connection from source to addr. receive, if positive, bounds the socket's receive buffer
// in bytes.
func (p *poller) dial(c *conn, addr unix.SockaddrInet4, source [4]byte, receive int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if receive > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: source}); err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Connect(fd, &addr); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	c.fd, c.interest = fd, unix.EPOLLIN|unix.EPOLLOUT
	for fd >= len(p.conns) {
		p.conns = append(p.conns, make([]*conn, 1024)...)
	}
	p.conns[fd] = c
	ev := unix.EpollEvent{Events: c.interest, Fd: int32(fd)}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("epoll add: %w", err)
	}
	return nil
}

// want changes what c waits for.
func (p *poller) want(c *conn, interest uint32) {
	if c.fd < 0 || c.interest == interest {
		return
	}
	c.interest = interest
	ev := unix.EpollEvent{Events: interest, Fd: int32(c.fd)}
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, c.fd, &ev)
}

func (p *poller) close(c *conn) {
	if c.fd >= 0 {
		p.conns[c.fd] = nil
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

func rawRead(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), e
}

func rawWrite(fd int, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), e
}

// threadTime is the processor time this thread has used.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// resolve reads an address of the form 127.0.0.1:80.
func resolve(addr string) (unix.SockaddrInet4, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return unix.SockaddrInet4{}, fmt.Errorf("address: %w", err)
	}
	return unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}, nil
}
