package transport

import "sync"

const (
	// readBuffer is what one read takes at most, in bytes: 16 KiB is some 400 small messages, and more
	// than a socket usually holds.
	readBuffer = 16 << 10
	// maxPooledBuffer is the size of write buffer beyond which it is left to the collector.
	maxPooledBuffer = 128 << 10
)

// buffer is a byte slice that a pool can hold without allocating. Whoever takes one from a pool owns it
// until it is put back.
type buffer struct {
	b       []byte
	packets int // in b, if it is gathered
}

// The pools are shared by all servers of the process; they hold nothing but room.
var (
	readPool  = sync.Pool{New: func() any { return &buffer{b: make([]byte, readBuffer)} }}
	writePool = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 2<<10)} }}
)

// putRead puts back a buffer taken from readPool.
func putRead(b *buffer) {
	b.b = b.b[:readBuffer]
	readPool.Put(b)
}

// takeWrite returns an empty buffer to append to.
func takeWrite() *buffer {
	b := writePool.Get().(*buffer)
	b.b, b.packets = b.b[:0], 0
	return b
}

// putWrite puts back a buffer taken with takeWrite.
func putWrite(b *buffer) {
	if cap(b.b) <= maxPooledBuffer {
		writePool.Put(b)
	}
}
