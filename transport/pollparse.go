package transport

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// head is the head of a request of a session, of which parseHead has understood every byte.
type head struct {
	method, target, host string
	path                 int // bytes of target before the "?"
	header               http.Header
	length               int64 // of the body
	size                 int   // of the head, with the empty line
}

// headState is how far parseHead has come.
type headState uint8

const (
	headPart headState = iota + 1 // what there is may be the beginning of a head
	headOdd                       // net/http has to see to it
	headGood
)

// maxLengthDigits is how many digits a Content-Length may have here: what is larger than that is no body of a session.
const maxLengthDigits = 12

var endOfHead = []byte("\r\n\r\n")

// parseHead reads the head of a request of polling, strictly: HTTP/1.1, GET without a body or POST with its length,
// fields in the one form that clients and proxies write them in, and none that says something about the message or the
// connection but what is known here. All else is odd, whether it is right or wrong: there is one judge of that, which is
// net/http. So whatever this takes net/http takes too, and for the same (FuzzParseHead).
func parseHead(b []byte) (h head, state headState) {
	end := bytes.Index(b, endOfHead)
	if end < 0 {
		return h, headPart
	}
	h.size = end + len(endOfHead)
	text := string(b[:end+2]) // which the request keeps, and nothing of b
	line, rest, _ := strings.Cut(text, "\r\n")
	if !h.parseLine(line) {
		return h, headOdd
	}
	lines := strings.Count(rest, "\n")
	h.header, h.length = make(http.Header, lines), -1
	values := make([]string, 0, lines)
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := parseField(line)
		if !ok || !h.understand(name, value) {
			return h, headOdd
		}
		switch had := h.header[name]; {
		case name == "Host": // net/http takes it out
		case had == nil:
			values = append(values, value)
			h.header[name] = values[len(values)-1 : len(values) : len(values)]
		default:
			h.header[name] = append(had, value)
		}
	}
	if h.host == "" || (h.length < 0) != (h.method == http.MethodGet) {
		return h, headOdd
	}
	h.length = max(h.length, 0)
	return h, headGood
}

// parseLine reads the request line.
func (h *head) parseLine(line string) bool {
	switch {
	case strings.HasPrefix(line, "GET "):
		h.method = http.MethodGet
	case strings.HasPrefix(line, "POST "):
		h.method = http.MethodPost
	default:
		return false
	}
	target, ok := strings.CutSuffix(line[len(h.method)+1:], " HTTP/1.1")
	if !ok || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return false
	}
	h.target, h.path = target, strings.IndexByte(target, '?')
	return h.path > 0 && h.path < len(target)-1 && all(target[:h.path], inPath) && all(target[h.path:], inQuery)
}

// query returns the raw query.
func (h *head) query() string { return h.target[h.path+1:] }

// parseField reads a line of the header. The name is in its canonical form then.
func parseField(line string) (name, value string, ok bool) {
	i := strings.IndexByte(line, ':')
	if i <= 0 || i+2 >= len(line) || line[i+1] != ' ' {
		return "", "", false
	}
	name, value = line[:i], line[i+2:]
	if !all(name, inName) || !all(value, inValue) || value[0] == ' ' || value[len(value)-1] == ' ' {
		return "", "", false
	}
	return http.CanonicalHeaderKey(name), value, true
}

// understand takes down what a field says about the message. It reports false for what is not known here.
func (h *head) understand(name, value string) bool {
	switch name {
	case "Host":
		once := h.host == ""
		h.host = value
		return once && all(value, inHost)
	case "Content-Length":
		if h.length >= 0 || len(value) > maxLengthDigits || len(value) > 1 && value[0] == '0' || !all(value, isDigit) {
			return false
		}
		h.length = 0
		for _, c := range []byte(value) {
			h.length = 10*h.length + int64(c-'0')
		}
	case "Connection":
		return strings.EqualFold(value, "keep-alive")
	case "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Expect", "Pragma", "Proxy-Connection", "Http2-Settings":
		return false
	}
	return true
}

// The kinds of bytes. Of each, fewer are let through than are allowed.
const (
	inName  = 1 << iota
	inValue // and not at either end a space
	inPath
	inQuery
	inHost
	isDigit
)

var kinds = func() (t [256]byte) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	const digits = "0123456789"
	for c := byte(' '); c < 0x7f; c++ {
		t[c] |= inValue
		if c > ' ' && c != '#' {
			t[c] |= inQuery
		}
	}
	for kind, more := range map[byte]string{inName: "-_", inPath: "/-._~", inHost: "-.:[]", isDigit: ""} {
		set := digits + more
		if kind != isDigit {
			set += letters
		}
		for _, c := range []byte(set) {
			t[c] |= kind
		}
	}
	return t
}()

// all reports whether every byte of s is of the kind.
func all(s string, kind byte) bool {
	for i := range len(s) {
		if kinds[s[i]]&kind == 0 {
			return false
		}
	}
	return true
}

// request returns the request as net/http would make it.
func (h *head) request() *http.Request {
	return &http.Request{
		Method: h.method,
		URL:    &url.URL{Path: h.target[:h.path], RawQuery: h.query()},
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h.header, Body: http.NoBody, ContentLength: h.length, Host: h.host, RequestURI: h.target,
	}
}
