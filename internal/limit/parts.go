package limit

import (
	"net/http"
	"time"
)

// Part is how many bytes of an answer are written at a time, each in the time that WriteParts gives it.
const Part = 16 << 10

// WriteParts writes b to w, the writer of an answer, whose deadline for writing it sets anew for each part: what
// goes on may take long, and a client that takes nothing is given up. The deadline of the last part stays, for
// what net/http writes later. It returns how many bytes have been written.
func WriteParts(w http.ResponseWriter, b []byte, timeout time.Duration) (n int, err error) {
	control := http.NewResponseController(w)
	for more := true; more && err == nil; more = n < len(b) {
		_ = control.SetWriteDeadline(time.Now().Add(timeout)) // there may be none
		var wrote int
		wrote, err = w.Write(b[n:min(len(b), n+Part)])
		n += wrote
	}
	return n, err
}
