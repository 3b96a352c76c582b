package transport

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"github.com/beanpole/beanpole/internal/limit"
)

// writeBody answers r with 200 and body. If compress asks for it and HTTPCompression has it for a body
// of this size, the body leaves as gzip or deflate, whichever the client prefers.
//
// Vary is sent with every body that could have been compressed, though Node does not send it: the answer
// depends on Accept-Encoding, and a cache between is told so.
func (s *Server) writeBody(w http.ResponseWriter, r *http.Request, contentType string, body []byte, compress bool, ended func() bool) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	if othersEncode(h) {
		h.Del("Content-Length")
		return writeParts(w, body, s.cfg.WriteTimeout, ended)
	}
	if !compress || !s.cfg.HTTPCompression.worth(len(body)) {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		return writeParts(w, body, s.cfg.WriteTimeout, ended)
	}
	h.Add("Vary", "Accept-Encoding")
	encoding := acceptedEncoding(r.Header)
	if encoding == "" {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		return writeParts(w, body, s.cfg.WriteTimeout, ended)
	}
	out := bodyPool.Get().(*bodyBuffer)
	out.b = appendCompressed(out.b[:0], encoding, body)
	h.Set("Content-Encoding", encoding)
	h.Set("Content-Length", strconv.Itoa(len(out.b)))
	err := writeParts(w, out.b, s.cfg.WriteTimeout, ended)
	if cap(out.b) <= maxPooledBody {
		bodyPool.Put(out)
	}
	return err
}

// othersEncode reports whether a middleware has said in h that it encodes the body, or may: what is encoded here too its
// client would not understand, and the length is not what it will be. Some say so by Vary alone, echo's for one.
func othersEncode(h http.Header) bool {
	return len(h["Content-Encoding"]) > 0 || headerHasToken(h, "Vary", "Accept-Encoding")
}

// writeParts writes body as the whole body of w. Each part of it may take so long, as long as ended, which may be
// nil, says that the session goes on: see limit.WriteParts.
func writeParts(w http.ResponseWriter, body []byte, timeout time.Duration, ended func() bool) error {
	if own, ok := w.(*pollWriter); ok {
		return own.whole(body, timeout, ended)
	}
	if _, err := limit.WriteParts(w, body, timeout, ended); err != nil {
		return err
	}
	to := able[http.Flusher](w)
	if to == nil { // net/http does it later
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout))
		return nil
	}
	return limit.Within(w, timeout, http.NewResponseController(to).Flush)
}

// able returns the writer by which to use a method of w that is T's: w, unless one that it unwraps to stands on one
// without the method, since some, gin's for one, panic then. In that case it is the innermost, or nil if that has no
// such method either.
func able[T any](w http.ResponseWriter) http.ResponseWriter {
	to, inner, can := w, w, false
	for {
		_, is := inner.(T)
		if can && !is {
			to = nil
		}
		can = is
		next, ok := inner.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		inner = next.Unwrap()
	}
	switch {
	case !can:
		return nil
	case to == nil:
		return inner
	}
	return to
}

// worth reports whether a body of size bytes is to be compressed.
func (c HTTPCompression) worth(size int) bool {
	threshold := c.Threshold
	if threshold == 0 {
		threshold = DefaultCompressThreshold
	}
	return !c.Disabled && size >= threshold
}

// The encodings of polling bodies. deflate is zlib's format: HTTP means that, not the raw stream
// (RFC 9110 section 8.4.1.2).
const (
	encodingGzip    = "gzip"
	encodingDeflate = "deflate"
)

// acceptedEncoding returns the encoding for a client that sent h: the one it gives the higher weight, of
// equals the one it names first, and "" if it accepts neither or wants the plain body more.
// RFC 9110 section 12.5.3.
func acceptedEncoding(h http.Header) string {
	best, bestQ := "", 0
	plainQ, starQ := 0, 0
	var named [2]bool // gzip, deflate
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			q := weight(params)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case encodingGzip, "x-gzip":
				named[0] = true
				if q > bestQ {
					best, bestQ = encodingGzip, q
				}
			case encodingDeflate:
				named[1] = true
				if q > bestQ {
					best, bestQ = encodingDeflate, q
				}
			case "identity":
				plainQ = q
			case "*":
				starQ = q
			}
		}
	}
	if starQ > bestQ { // "*" stands for what is not named
		switch {
		case !named[0]:
			best, bestQ = encodingGzip, starQ
		case !named[1]:
			best, bestQ = encodingDeflate, starQ
		}
	}
	if plainQ > bestQ {
		return ""
	}
	return best
}

// weight returns the weight in the parameters of an Accept-Encoding item, in thousandths: 1000 if there
// is none, 0 if it cannot be read.
func weight(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0) {
			return 0
		}
		return int(min(q, 1) * 1000)
	}
	return 1000
}

// Compressors are large (hundreds of kilobytes) and slow to make, so they are shared by all servers of
// the process. Taken and put back within one call of appendCompressed.
var (
	gzipPool = sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		return w
	}}
	zlibPool = sync.Pool{New: func() any {
		w, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed)
		return w
	}}
	// bodyPool's buffers belong to writeBody from Get to Put.
	bodyPool = sync.Pool{New: func() any { return new(bodyBuffer) }}
)

// maxPooledBody is the size of buffer, in bytes, beyond which it is left to the collector.
const maxPooledBody = 64 << 10

type bodyBuffer struct{ b []byte }

// Write appends p. It implements io.Writer for the compressors.
func (b *bodyBuffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

// compressor is what gzip and zlib writers have in common.
type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

// appendCompressed appends body to dst in the encoding, which is one of the two above.
func appendCompressed(dst []byte, encoding string, body []byte) []byte {
	pool := &gzipPool
	if encoding == encodingDeflate {
		pool = &zlibPool
	}
	out := bodyBuffer{b: dst}
	c := pool.Get().(compressor)
	c.Reset(&out)
	_, _ = c.Write(body) // out does not fail
	c.Close()
	c.Reset(nil)
	pool.Put(c)
	return out.b
}
