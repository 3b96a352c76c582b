package load

import (
	"bytes"
	"strconv"
)

var (
	endOfHead     = []byte("\r\n\r\n")
	contentLength = []byte("\r\ncontent-length:")
	chunkedHead   = []byte("\r\ntransfer-encoding:")
)

// readResponses takes the whole HTTP responses in data and returns how many bytes they are.
func (s *Swarm) readResponses(c *conn, data []byte) int {
	used := 0
	for used < len(data) {
		d := data[used:]
		end := bytes.Index(d, endOfHead)
		if end < 0 {
			return used
		}
		if len(d) < 12 {
			s.lost(c, "response not understood")
			return len(data)
		}
		status, _ := strconv.Atoi(string(d[9:12]))
		body := end + len(endOfHead)
		if status == 101 {
			c.frames = true
			used += body
			return used + s.readFrames(c, data[used:])
		}
		n := 0
		head := d[:end+2]
		if i := indexFold(head, contentLength); i >= 0 {
			v := head[i+len(contentLength):]
			n, _ = strconv.Atoi(string(bytes.TrimSpace(v[:bytes.IndexByte(v, '\r')])))
		} else if indexFold(head, chunkedHead) >= 0 {
			s.lost(c, "chunked response")
			return len(data)
		}
		if len(d) < body+n {
			return used
		}
		used += body + n
		s.response(c, status, head, d[body:body+n])
		if c.fd < 0 {
			return len(data)
		}
	}
	return used
}

// indexFold finds lower, which is in lower case, in b whatever its case.
func indexFold(b, lower []byte) int {
	for i := 0; i+len(lower) <= len(b); i++ {
		// Every name looked for stands behind a line break.
		j := bytes.IndexByte(b[i:], '\r')
		if j < 0 {
			return -1
		}
		if i += j; i+len(lower) <= len(b) && bytes.EqualFold(b[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}
