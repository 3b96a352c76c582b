package transport

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
)

const (
	// deflateAnswer is the extension as the server accepts it: every message is compressed by itself on
	// both sides, so that a session keeps no window (Node's ws keeps some 300 KB). RFC 7692 section 7.1.1.
	deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	// deflateTail is what a sender takes off the end of a compressed message (RFC 7692 section 7.2.1).
	deflateTail = "\x00\x00\xff\xff"
	// inflateTail puts it back and ends the stream with an empty last block, so that reading meets an EOF.
	inflateTail = deflateTail + "\x01\x00\x00\xff\xff"
	// maxPooledInflate is the size of buffer, in bytes, beyond which it is left to the collector.
	maxPooledInflate = 64 << 10
)

// negotiateDeflate chooses among the offers of permessage-deflate in a WebSocket handshake. It returns
// the Sec-WebSocket-Extensions of the answer, or false if there is no offer that can be accepted.
// RFC 7692 section 5.1.
func negotiateDeflate(h http.Header) (answer string, ok bool) {
	for _, line := range h["Sec-Websocket-Extensions"] {
		offers, valid := httphead.ParseOptions([]byte(line), nil)
		if !valid {
			continue
		}
		for _, o := range offers {
			if answer, ok := acceptDeflate(o); ok {
				return answer, true
			}
		}
	}
	return "", false
}

// acceptDeflate judges one offer. An offer with a parameter that is unknown, doubled or out of range is
// declined, as is one that wants a window smaller than flate's.
func acceptDeflate(o httphead.Option) (answer string, ok bool) {
	if string(o.Name) != "permessage-deflate" {
		return "", false
	}
	answer, ok = deflateAnswer, true
	var seen [4]bool
	o.Parameters.ForEach(func(key, value []byte) bool {
		i := 0
		switch string(key) {
		case "server_no_context_takeover":
			ok = len(value) == 0
		case "client_no_context_takeover":
			i, ok = 1, len(value) == 0
		case "client_max_window_bits":
			// Any window may be left to the client: reading takes all sizes.
			i, ok = 2, len(value) == 0 || windowBits(value) > 0
		case "server_max_window_bits":
			i, ok = 3, windowBits(value) == 15
			answer += "; server_max_window_bits=15"
		default:
			ok = false
		}
		ok = ok && !seen[i]
		seen[i] = true
		return ok
	})
	return answer, ok
}

// windowBits returns the number of a window parameter, 8 to 15, or 0 if it is none.
func windowBits(v []byte) int {
	n, err := strconv.ParseUint(string(v), 10, 8)
	if err != nil || v[0] == '0' || n < 8 || n > 15 {
		return 0
	}
	return int(n)
}

// Shared by all servers of the process: a reader holds some 45 KB, a writer several hundred, and both
// are needed only while one message is worked on.
var (
	inflaterPool = sync.Pool{New: func() any { return &inflater{r: flate.NewReader(nil)} }}
	deflaterPool = sync.Pool{New: func() any {
		d := new(deflater)
		// The lowest level: a message is compressed on the emitter's goroutine.
		d.w, _ = flate.NewWriter(d, flate.BestSpeed)
		return d
	}}
)

// inflater inflates one message at a time.
type inflater struct {
	src bytes.Reader // flate reads this type without a buffer of its own
	r   io.ReadCloser
	in  []byte
	out []byte
}

// inflate returns the message whose compressed payload is data. It stops when the message exceeds max
// bytes, whatever is still packed in data. The result belongs to i.
func (i *inflater) inflate(data []byte, max int64) ([]byte, error) {
	i.in = append(append(i.in[:0], data...), inflateTail...)
	i.src.Reset(i.in)
	_ = i.r.(flate.Resetter).Reset(&i.src, nil) // it has no error to return
	out := i.out[:0]
	for {
		if len(out) == cap(out) {
			room := int64(2*cap(out) + 4<<10)
			if room > max+1 {
				room = max + 1
			}
			out = append(make([]byte, 0, room), out...)
		}
		n, err := i.r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		i.out = out
		if int64(len(out)) > max {
			return nil, tooBig("inflated message over the limit")
		}
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, invalidPayload("invalid compressed data")
		}
	}
}

// release puts i back into its pool, without the buffers of a large message.
func (i *inflater) release() {
	if cap(i.in) > maxPooledInflate {
		i.in = nil
	}
	if cap(i.out) > maxPooledInflate {
		i.out = nil
	}
	i.src.Reset(nil)
	inflaterPool.Put(i)
}

// deflater compresses one message at a time, onto dst.
type deflater struct {
	w   *flate.Writer
	dst []byte
}

// Write appends p to dst. It implements io.Writer for the compressor.
func (d *deflater) Write(p []byte) (int, error) {
	d.dst = append(d.dst, p...)
	return len(p), nil
}

// appendDeflatedFrame is appendFrame with the payload compressed, by itself. A payload that does not get
// smaller is framed as it is, which the extension allows for every message.
func appendDeflatedFrame(dst []byte, op ws.OpCode, parts ...[]byte) []byte {
	const rsv1 = 0x40
	start, size := len(dst), 0
	d := deflaterPool.Get().(*deflater)
	// The payload goes behind room for the longest header and moves forward under its own.
	d.dst = append(dst, make([]byte, ws.MaxHeaderSize)...)
	d.w.Reset(d)
	for _, p := range parts {
		size += len(p)
		_, _ = d.w.Write(p) // d does not fail
	}
	d.w.Flush()
	dst, d.dst = d.dst, nil
	deflaterPool.Put(d)

	packed := dst[start+ws.MaxHeaderSize : len(dst)-len(deflateTail)]
	if len(packed) >= size {
		return appendFrame(dst[:start], op, parts...)
	}
	head := appendFrameHeader(dst[:start], 0x80|rsv1|byte(op), len(packed))
	return append(head, packed...)
}
