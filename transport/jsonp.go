package transport

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"
)

// errJSONPForm says that a JSONP POST has no single form field d.
const errJSONPForm packetError = "no payload in JSONP form"

// jsonpType lets scripts run under nosniff. Node's text/plain would not.
const jsonpType = "text/javascript; charset=UTF-8"

// serves reports whether sessions of the protocol may use JSONP.
func (j JSONP) serves(protocol int) bool { return j != "" && (j != JSONPEIO3 || protocol == 3) }

// checkJSONP reports what stands against c.JSONP.
func (c *Config) checkJSONP() error {
	switch c.JSONP {
	case "", JSONPDespiteOrigins:
		return nil
	case JSONPEIO3, JSONPAll:
	default:
		return fmt.Errorf("unknown JSONP %q", c.JSONP)
	}
	if c.JSONP == JSONPEIO3 && !c.AllowEIO3 {
		return errors.New("JSONP of protocol 3 needs AllowEIO3")
	}
	if c.CORS.list() != nil {
		return errors.New("JSONP lets pages read that CORS does not allow: leave it off, or set JSONPDespiteOrigins")
	}
	return nil
}

// jsonpIndex returns the callback index of a JSONP request and whether it is one. Only the digits of the
// parameter j are kept, since they go into a script. Source: engine.io/lib/transports/polling-jsonp.ts.
func jsonpIndex(q url.Values) (j string, ok bool) {
	v, ok := q["j"]
	if !ok || len(v) == 0 {
		return "", false
	}
	raw := v[len(v)-1] // as Object.fromEntries, which Node fills the query with
	for i := 0; i < len(raw); i++ {
		if raw[i] < '0' || raw[i] > '9' {
			digits := make([]byte, 0, len(raw))
			for k := 0; k < len(raw); k++ {
				if raw[k] >= '0' && raw[k] <= '9' {
					digits = append(digits, raw[k])
				}
			}
			return string(digits), true
		}
	}
	return raw, true
}

// appendJSONP appends the script that hands payload, as a string, to the client's callback number j.
func appendJSONP(dst []byte, j string, payload []byte) []byte { //nolint:unparam // the form of append
	dst = append(dst, "___eio["...)
	dst = append(dst, j...)
	dst = append(dst, "]("...)
	dst = appendScriptString(dst, payload)
	return append(dst, ");"...)
}

// appendScriptString appends b as a JSON string that is a JavaScript string too: U+2028 and U+2029, line
// terminators in scripts before ES2019, are escaped.
func appendScriptString(dst, b []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(b); {
		c := b[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(b[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(append(dst, b[start:i]...), "\uFFFD"...)
			case r == '\u2028' || r == '\u2029':
				dst = append(append(dst, b[start:i]...), `\u202`...)
				dst = append(dst, hex[r&15])
			default:
				i += size
				continue
			}
			i += size
			start = i
			continue
		}
		dst = append(append(dst, b[start:i]...), '\\')
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\b':
			dst = append(dst, 'b')
		case '\f':
			dst = append(dst, 'f')
		case '\n':
			dst = append(dst, 'n')
		case '\r':
			dst = append(dst, 'r')
		case '\t':
			dst = append(dst, 't')
		default:
			dst = append(dst, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, b[start:]...), '"')
}

// decodeJSONPForm returns the payload in a form body: the field d, unescaped in place. The client sends
// a newline as \n and what was \n before as \\n, since forms do not keep newlines.
// Source: engine.io/lib/transports/polling-jsonp.ts, onData.
//
// Node answers "ok" to a form without d, or with several, and drops it; here it is an error.
func decodeJSONPForm(body []byte) ([]byte, error) {
	var d []byte
	found := false
	for len(body) > 0 {
		field := body
		if i := bytes.IndexByte(body, '&'); i >= 0 {
			field, body = body[:i], body[i+1:]
		} else {
			body = nil
		}
		name, value, _ := bytes.Cut(field, []byte("="))
		if string(name) != "d" {
			continue
		}
		if found {
			return nil, errJSONPForm
		}
		d, found = value, true
	}
	if !found {
		return nil, errJSONPForm
	}
	return unescapeNewlines(unescapeForm(d)), nil
}

// unescapeForm decodes + and %XX in place. A % that starts no escape stays, as in Node's querystring.
func unescapeForm(b []byte) []byte {
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(b) && unhex(b[i+1]) < 16 && unhex(b[i+2]) < 16:
			c = unhex(b[i+1])<<4 | unhex(b[i+2])
			i += 2
		}
		b[n] = c
		n++
	}
	return b[:n]
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// unescapeNewlines turns \n into a newline and \\n into \n, in place.
func unescapeNewlines(b []byte) []byte {
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\\' {
			if i+2 < len(b) && b[i+1] == '\\' && b[i+2] == 'n' {
				b[n] = '\\'
				n++
				i += 2
				c = 'n'
			} else if i+1 < len(b) && b[i+1] == 'n' {
				i++
				c = '\n'
			}
		}
		b[n] = c
		n++
	}
	return b[:n]
}
