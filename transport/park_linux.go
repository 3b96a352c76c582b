package transport

import (
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parker waits for many connections with one goroutine and an epoll instance of its own. The goroutine
// is started with the first connection and ended by close. The epoll instance is itself a descriptor
// that Go's poller waits for, so that no thread blocks in it.
type parker struct {
	mu sync.Mutex
	// Guarded by mu.
	epoll  *os.File  // nil until something is parked
	asleep []sleeper // by descriptor
	closed bool
	done   chan struct{} // closed when the goroutine has ended
}

// canPark tells that there are parkers here.
const canPark = true

// add has s woken once, when raw has something to read, or its peer has hung up: at once if that is so
// already. armed, which is of raw's owner, tells whether raw is known to the epoll instance. Between wake
// and the next add it reports nothing, not even errors (EPOLLONESHOT), and closing raw takes it out: so an
// event that comes late can at worst wake the next owner of the number, who then finds nothing to read.
func (p *parker) add(raw syscall.RawConn, armed *bool, s sleeper) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.epoll == nil && !p.start() {
		return false
	}
	err := raw.Control(func(fd uintptr) {
		for int(fd) >= len(p.asleep) {
			p.asleep = append(p.asleep, nil)
		}
		p.asleep[fd] = s
		op := unix.EPOLL_CTL_ADD
		if *armed {
			op = unix.EPOLL_CTL_MOD
		}
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
		err := p.control(op, int(fd), &event)
		if err == unix.EEXIST { //nolint:errorlint // a bare number; from an earlier owner, who has given the connection away
			err = p.control(unix.EPOLL_CTL_MOD, int(fd), &event)
		}
		if err != nil {
			p.asleep[fd] = nil
			return
		}
		ok, *armed = true, true
	})
	return ok && err == nil
}

// remove forgets raw, which must not have been closed. Nobody is woken for it after that, unless the
// wake was on its way.
func (p *parker) remove(raw syscall.RawConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = raw.Control(func(fd uintptr) {
		if int(fd) < len(p.asleep) {
			p.asleep[fd] = nil
		}
		_ = p.control(unix.EPOLL_CTL_DEL, int(fd), nil) // not there is as good
	})
}

// control is epoll_ctl. Called with mu held.
func (p *parker) control(op, fd int, event *unix.EpollEvent) error {
	raw, err := p.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(epoll uintptr) { failed = unix.EpollCtl(int(epoll), op, fd, event) })
	if err == nil {
		err = failed
	}
	return err
}

// start makes the epoll instance and the goroutine. Called with mu held.
func (p *parker) start() bool {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	_ = unix.SetNonblock(fd, true) // tells NewFile to use Go's poller
	p.epoll = os.NewFile(uintptr(fd), "epoll")
	p.done = make(chan struct{})
	raw, err := p.epoll.SyscallConn()
	if err != nil || p.epoll.SetReadDeadline(time.Time{}) != nil { // not in Go's poller
		_ = p.epoll.Close()
		p.epoll, p.closed = nil, true
		return false
	}
	go p.loop(raw)
	return true
}

// loop wakes what is ready until the epoll instance is closed.
func (p *parker) loop(raw syscall.RawConn) {
	defer close(p.done)
	events := make([]unix.EpollEvent, 128)
	n := 0
	ready := func(fd uintptr) bool {
		var err error
		n, err = ignoringEINTR(func() (int, error) { return unix.EpollWait(int(fd), events, 0) })
		return n > 0 || err != nil
	}
	for raw.Read(ready) == nil && n > 0 {
		for _, e := range events[:n] {
			p.mu.Lock()
			s := p.asleep[e.Fd]
			p.asleep[e.Fd] = nil
			p.mu.Unlock()
			if s != nil {
				s.wake()
			}
		}
	}
}

// close ends the goroutine and abandons what is parked. Nothing can be parked any more.
func (p *parker) close() {
	p.mu.Lock()
	epoll, done := p.epoll, p.done
	asleep := slices.Clone(p.asleep)
	p.closed = true
	p.mu.Unlock()
	if epoll == nil {
		return
	}
	for _, s := range asleep {
		if s != nil {
			s.abandon()
		}
	}
	_ = epoll.Close() // further times it does nothing
	<-done
}
