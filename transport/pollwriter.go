package transport

import (
	"bufio"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// pollWriter is the ResponseWriter of a request that a pollConn has read. An answer leaves whole, or from its first
// Flush on in parts if its length has been said; one without gets its length when the handler has returned.
type pollWriter struct {
	c      *pollConn
	header http.Header

	status   int    // zero until the head is written
	head     []byte // what has not been sent
	room     *buffer
	body     []byte // likewise
	closed   bool   // the head
	length   int64  // of the body, or negative if the handler has not said it
	wrote    int64  // of the body
	taken    bool   // the handler has taken the connection, or left its poll there
	leaving  bool   // Hijack is called for a GET that leaves
	last     bool   // the connection ends behind this answer
	says     bool   // and the handler has not said so
	err      error
	deadline time.Time // for writing
	in       *pollBody // or nil
	works    *Session  // which works on what it got, when the answer has been sent; counted in Server.wg
}

// Header returns the header of the answer.
func (w *pollWriter) Header() http.Header { return w.header }

// WriteHeader writes the head, as far as it is known.
func (w *pollWriter) WriteHeader(status int) {
	if w.status != 0 || w.taken {
		return
	}
	if status < 200 { // as net/http sends it, but together with what follows
		w.head = append(appendHeader(appendStatus(w.head, status), w.header), "\r\n"...)
		return
	}
	w.status, w.length = status, -1
	if w.room == nil {
		w.room = takeWrite()
		w.head = append(w.room.b, w.head...)
	}
	if !bodyAllowed(status) {
		w.header.Del("Content-Length")
	}
	w.header.Del("Transfer-Encoding")
	if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.length = n
	} else {
		w.header.Del("Content-Length")
	}
	w.last = w.header.Get("Connection") == "close"
	if w.says = !w.last && (!w.in.discard() || w.c.isLast()); w.says {
		w.last = true
		w.header.Del("Connection")
	}
	w.head = appendHeader(appendStatus(w.head, status), w.header)
	if _, set := w.header["Date"]; !set {
		w.head = appendDate(w.head)
	}
}

// close ends the head, in front of the body as far as it has been written. What says less of it than it may is
// completed as in net/http.
func (w *pollWriter) close(body []byte) {
	if w.closed {
		return
	}
	w.closed = true
	if bodyAllowed(w.status) {
		if w.length < 0 {
			w.length = w.wrote
			w.head = append(strconv.AppendInt(append(w.head, "Content-Length: "...), w.length, 10), "\r\n"...)
		}
		if _, set := w.header["Content-Type"]; !set && len(body) > 0 && w.header.Get("Content-Encoding") == "" {
			w.head = append(append(append(w.head, "Content-Type: "...), http.DetectContentType(body)...), "\r\n"...)
		}
	}
	if w.says {
		w.head = append(w.head, "Connection: close\r\n"...)
	}
	w.head = append(w.head, "\r\n"...)
}

// Write writes a part of the body.
func (w *pollWriter) Write(b []byte) (int, error) {
	if w.taken {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case !bodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.wrote+int64(len(b)) > w.length:
		return 0, http.ErrContentLength
	}
	w.wrote += int64(len(b))
	w.body = append(w.body, b...)
	if w.length >= 0 && len(w.body) > maxPooledBuffer {
		return len(b), w.send()
	}
	return len(b), nil
}

// whole writes all of the body, of which nothing has been written. Each part may take timeout, until ended says that
// there is no more time than one.
func (w *pollWriter) whole(body []byte, timeout time.Duration, ended func() bool) error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.length != int64(len(body)) || w.wrote > 0 || w.err != nil {
		return http.ErrContentLength
	}
	w.wrote = w.length
	w.close(body)
	if len(body) > readBuffer { // a second write costs less than the copy
		w.err = w.c.write(w.head, timeout, ended)
		if w.err == nil {
			w.err = w.c.write(body, timeout, ended)
		}
	} else {
		w.head = append(w.head, body...)
		w.err = w.c.write(w.head, timeout, ended)
	}
	w.head = w.head[:0]
	return w.err
}

// send sends what has been written.
func (w *pollWriter) send() error {
	w.close(w.body)
	if b := append(w.head, w.body...); w.err == nil && len(b) > 0 {
		timeout := w.c.srv.cfg.WriteTimeout
		if !w.deadline.IsZero() {
			timeout = max(time.Until(w.deadline), 1)
		}
		w.err = w.c.write(b, timeout, nil)
	}
	w.head, w.body = w.head[:0], w.body[:0]
	return w.err
}

// finish sends what is left of the answer when the handler has returned. It reports whether the connection may go on.
func (w *pollWriter) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.send() == nil && !w.last && (w.length < 0 || w.wrote == w.length)
}

// end lets go of w when the handler has returned, or failed.
func (w *pollWriter) end() {
	w.taken = true
	if w.room != nil {
		w.room.b = w.head[:0]
		putWrite(w.room)
		w.head, w.room = nil, nil
	}
}

// FlushError sends what has been written, if the length has been said.
func (w *pollWriter) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.taken || w.length < 0 && bodyAllowed(w.status) {
		return nil
	}
	return w.send()
}

// Flush is FlushError.
func (w *pollWriter) Flush() { _ = w.FlushError() }

// SetReadDeadline bounds the reading of the body.
func (w *pollWriter) SetReadDeadline(t time.Time) error {
	if w.in != nil {
		w.in.setDeadline(t)
	}
	return nil
}

// SetWriteDeadline bounds the writing of the answer, as far as it does not leave at once.
func (w *pollWriter) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// EnableFullDuplex has nothing to do: the body is not touched when an answer is written.
func (w *pollWriter) EnableFullDuplex() error { return nil }

// Hijack gives the connection to the caller.
func (w *pollWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.taken {
		return nil, nil, http.ErrHijacked
	}
	w.taken = true
	if w.leaving {
		return w.c.conn, nil, nil
	}
	if w.status != 0 {
		if err := w.send(); err != nil {
			return nil, nil, err
		}
	}
	conn := w.c.detach()
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// bodyAllowed reports whether answers with the status have a body. RFC 9110 section 6.4.1.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func appendStatus(b []byte, status int) []byte {
	if status == http.StatusOK {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(status), 10)
	return append(append(append(b, ' '), text...), "\r\n"...)
}

// namesPool holds room for the names of a header.
var namesPool = sync.Pool{New: func() any { return new([]string) }}

// appendHeader appends the lines of h, by name, as http.Header.Write does.
func appendHeader(b []byte, h http.Header) []byte {
	names := namesPool.Get().(*[]string)
	defer namesPool.Put(names)
	*names = slices.AppendSeq((*names)[:0], maps.Keys(h))
	slices.Sort(*names)
	for _, name := range *names {
		if name == "" || strings.ContainsAny(name, "\r\n: ") {
			continue
		}
		for _, v := range h[name] {
			if strings.ContainsAny(v, "\r\n") {
				v = strings.NewReplacer("\r", " ", "\n", " ").Replace(v)
			}
			b = append(append(b, name...), ": "...)
			b = append(append(b, strings.Trim(v, " \t")...), "\r\n"...)
		}
	}
	return b
}

// date is the line of a second.
type date struct {
	second int64
	line   string
}

// lastDate is shared by all servers of the process.
var lastDate atomic.Pointer[date]

// appendDate appends the line of the time that it is.
func appendDate(b []byte) []byte {
	now := time.Now()
	d := lastDate.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
		lastDate.Store(d)
	}
	return append(b, d.line...)
}
