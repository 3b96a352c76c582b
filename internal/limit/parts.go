package limit

import (
	"net/http"
	"time"
)

// Part is how many bytes of an answer are written at a time, each in the time that WriteParts gives it.
const Part = 16 << 10

// Within calls fn, which writes something of the answer of w, with a deadline for writing, and takes that back: over
// HTTP/2 one that passes resets the stream, though nobody writes. Who leaves the rest to net/http sets one for it.
func Within(w http.ResponseWriter, timeout time.Duration, fn func() error) error {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(timeout)) // there may be none
	err := fn()
	if err == nil {
		_ = control.SetWriteDeadline(time.Time{})
	}
	return err
}

// WriteParts writes b to w, the writer of an answer, each part Within timeout: what goes on may take long, and a
// client that takes nothing is given up. From when ended, which may be nil, returns true on all that is left has to
// be taken in one timeout. It returns how many bytes have been written.
func WriteParts(w http.ResponseWriter, b []byte, timeout time.Duration, ended func() bool) (n int, err error) {
	for more := true; more && err == nil; more = n < len(b) {
		part := min(len(b), n+Part)
		if ended != nil && ended() {
			part = len(b)
		}
		err = Within(w, timeout, func() error {
			wrote, err := w.Write(b[n:part])
			n += wrote
			return err
		})
	}
	return n, err
}
