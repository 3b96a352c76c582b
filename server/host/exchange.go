package host

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/transport"
)

// What a client owes a request of the host's own routes or the application's. The transport bounds its own.
const (
	// bodyTimeout is how long a body may take, and bodyRate, in bytes a second, how fast one has to come that
	// takes longer.
	bodyTimeout = transport.DefaultBodyTimeout
	bodyRate    = 16 << 10
	// answerTimeout is how long a client may take nothing of an answer.
	answerTimeout = transport.DefaultWriteTimeout
)

// exchange is a request with its answer. A handler that sets deadlines by http.ResponseController has its own.
type exchange struct {
	control *http.ResponseController // of the writer below
	conn    *connection

	// Owned by who reads the body.
	spent time.Duration // waiting for the body
	got   int64         // bytes of the body
	whole atomic.Bool   // the body has been read

	ownRead, ownWrite bool // the deadline is the handler's
	hijacked          bool
}

// bound is the first middleware: it bounds the time for which a request can wait for its client.
func (h *Host) bound(c *gin.Context) {
	if route := c.FullPath(); strings.HasPrefix(route, h.cfg.Path) || h.cfg.NoTrailingSlash && route+"/" == h.cfg.Path {
		// No handler there takes long, but for polls that wait, which a stop answers first.
		h.connections.of(c.Request).waits.Store(true)
		c.Next()
		return
	}
	defer h.begin(c)()
	c.Next()
}

// begin bounds the request of c, whose handler has returned when end is called.
func (h *Host) begin(c *gin.Context) (end func()) {
	x := &exchange{
		control: http.NewResponseController(c.Writer), conn: h.connections.of(c.Request),
	}
	x.conn.waits.Store(false)
	c.Writer = &reply{c.Writer, x}
	if c.Request.ContentLength == 0 {
		x.whole.Store(true)
	} else {
		r := *c.Request // net/http looks at the body that it made
		r.Body = &body{r.Body, x}
		c.Request = &r
	}
	return x.end
}

// end leaves the rest to net/http: it reads what is left of the body, and sends what is left of the answer.
func (x *exchange) end() {
	if x.hijacked {
		return
	}
	now := time.Now()
	answer := now.Add(answerTimeout)
	if !x.whole.Load() {
		_ = x.control.SetReadDeadline(now.Add(bodyTimeout))
		answer = answer.Add(bodyTimeout)
	}
	_ = x.control.SetWriteDeadline(answer) // there may be none; net/http takes it back behind the answer
	x.conn.waits.Store(true)
}

// readWithin calls fn, which reads of the body, with a deadline for reading, unless it is the handler's, and takes that
// back: over HTTP/2 one that passes ends the body, though nobody reads.
func (x *exchange) readWithin(until time.Time, fn func()) {
	if x.ownRead {
		fn()
		return
	}
	_ = x.control.SetReadDeadline(until) // there may be none
	fn()
	_ = x.control.SetReadDeadline(time.Time{}) // net/http goes on reading, to see whether the client is there
}

// body is the body of a request. It takes as long as it likes at bodyRate; what the handler does meanwhile is not
// the client's time.
type body struct {
	io.ReadCloser
	x *exchange
}

// Read waits for the client.
func (b *body) Read(p []byte) (n int, err error) {
	x := b.x
	begun := time.Now()
	due := begun.Add(bodyTimeout + time.Duration(x.got)*time.Second/bodyRate - x.spent)
	x.conn.waits.Store(true)
	x.readWithin(due, func() { n, err = b.ReadCloser.Read(p) })
	x.conn.waits.Store(false)
	x.spent += time.Since(begun)
	x.got += int64(n)
	if errors.Is(err, io.EOF) {
		x.whole.Store(true)
	}
	return n, err
}

// reply writes the answer of a request, of which the client has to take a part in answerTimeout.
type reply struct {
	gin.ResponseWriter
	x *exchange
}

// Write writes a part of the body.
func (y *reply) Write(p []byte) (n int, err error) {
	y.waiting(func() {
		if y.x.ownWrite {
			n, err = y.ResponseWriter.Write(p)
		} else {
			n, err = limit.WriteParts(y.ResponseWriter, p, answerTimeout, nil)
		}
	})
	return n, err
}

// WriteString writes a part of the body.
func (y *reply) WriteString(s string) (int, error) { return y.Write([]byte(s)) }

// Flush sends what has been written.
func (y *reply) Flush() {
	y.waiting(func() {
		if y.x.ownWrite {
			y.ResponseWriter.Flush()
			return
		}
		_ = limit.Within(y.ResponseWriter, answerTimeout, func() error { y.ResponseWriter.Flush(); return nil })
	})
}

// waiting calls fn, which waits for the client; net/http reads of a body that is left before it writes.
func (y *reply) waiting(fn func()) {
	y.x.conn.waits.Store(true)
	defer y.x.conn.waits.Store(false)
	if y.x.whole.Load() {
		fn()
		return
	}
	y.x.readWithin(time.Now().Add(bodyTimeout), fn)
}

// Hijack takes the connection away from net/http, and from the host.
func (y *reply) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := y.ResponseWriter.Hijack()
	y.x.hijacked = err == nil
	return conn, rw, err
}

// SetReadDeadline is for http.ResponseController, which finds it here.
func (y *reply) SetReadDeadline(t time.Time) error {
	y.x.ownRead = true
	return y.x.control.SetReadDeadline(t)
}

// SetWriteDeadline is for http.ResponseController, which finds it here.
func (y *reply) SetWriteDeadline(t time.Time) error {
	y.x.ownWrite = true
	return y.x.control.SetWriteDeadline(t)
}

// Unwrap is for http.ResponseController.
func (y *reply) Unwrap() http.ResponseWriter { return y.ResponseWriter }
