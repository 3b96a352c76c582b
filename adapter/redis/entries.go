package redis

import "bytes"

// resp walks an answer of Redis, as it came, value by value: most entries of a stream are not for this node, and need
// not become strings in a map. After a failure bad is true, or short if more bytes may help, and everything it returns
// is zero.
type resp struct {
	b          []byte
	bad, short bool
}

func (r *resp) fail(short bool) (byte, int) {
	r.bad, r.short = r.bad || !short && !r.short, r.short || short && !r.bad
	r.b = nil
	return 0, 0
}

// maxHead is more than the first line of a value has, in bytes.
const maxHead = 32

// maxValue is more than a value has, in bytes or values: what Redis takes at most.
const maxValue = 1 << 30

// head enters the next value and returns what it is and how many bytes or values it has; -1 is nil.
func (r *resp) head() (kind byte, n int) {
	if len(r.b) < 3 {
		return r.fail(true)
	}
	kind = r.b[0]
	i, sign := 1, 1
	if r.b[1] == '-' {
		i, sign = 2, -1
	}
	for ; i < len(r.b) && r.b[i] != '\r'; i++ {
		d := r.b[i] - '0'
		if d > 9 || i > maxHead-2 {
			return r.fail(false)
		}
		n = n*10 + int(d)
	}
	if i+1 >= len(r.b) {
		return r.fail(true)
	}
	if r.b[i+1] != '\n' || n > maxValue {
		return r.fail(false)
	}
	r.b = r.b[i+2:]
	return kind, n * sign
}

// refusal reads an error, if that is what comes next.
func (r *resp) refusal() []byte {
	if len(r.b) == 0 || r.b[0] != '-' {
		return nil
	}
	i := bytes.IndexByte(r.b, '\n')
	if i < 0 {
		r.fail(len(r.b) < 1<<16)
		return nil
	}
	b := r.b[1:i]
	r.b = r.b[i+1:]
	return b
}

// list enters an array and returns how many values it has.
func (r *resp) list() int {
	kind, n := r.head()
	if kind != '*' {
		r.fail(false)
	}
	return max(n, 0)
}

// text reads a string.
func (r *resp) text() []byte {
	kind, n := r.head()
	if kind != '$' || n < 0 {
		r.fail(false)
		return nil
	}
	if len(r.b) < n+2 {
		r.fail(true)
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n+2:]
	return b
}

// brought is an entry of a stream as it came. Its slices are valid until more is read.
type brought struct {
	id                        streamID
	uid, nsp, kind, data, seq []byte
}

// entry reads an entry. known is false for one whose id is none.
func (r *resp) entry() (e brought, known bool) {
	if r.list() != 2 {
		r.fail(false)
		return e, false
	}
	e.id, known = parseID(r.text())
	for n := r.list(); n >= 2 && !r.bad && !r.short; n -= 2 {
		name, value := r.text(), r.text()
		switch string(name) {
		case "uid":
			e.uid = value
		case "nsp":
			e.nsp = value
		case "type":
			e.kind = value
		case "data":
			e.data = value
		case seqField:
			e.seq = value
		}
	}
	return e, known
}

// parseID is parseStreamID for bytes.
func parseID(b []byte) (id streamID, ok bool) {
	part, digits := &id.ms, 0
	for _, c := range b {
		switch d := uint64(c - '0'); {
		case c == '-' && part == &id.ms && digits > 0:
			part, digits = &id.seq, 0
		case c < '0' || c > '9' || digits > 19:
			return streamID{}, false
		default:
			*part, digits = *part*10+d, digits+1
		}
	}
	return id, part == &id.seq && digits > 0
}

// source returns who numbers the entry, in bytes of it, and its number; 0 if it has none.
func (e *brought) source() (source []byte, seq uint64, dense bool) {
	i, overflow := 0, false
	for ; i < len(e.seq) && e.seq[i] != '.'; i++ {
		d := uint64(e.seq[i])
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d >= 'a' && d <= 'z':
			d -= 'a' - 10
		default:
			return e.uid, 0, false
		}
		overflow = overflow || seq > 1<<58
		seq = seq*36 + d
	}
	if overflow || i == len(e.seq) {
		if overflow {
			seq = 0
		}
		return e.uid, seq, false
	}
	source, _, dense = bytes.Cut(e.seq[i+1:], []byte("."))
	if len(source) == 0 {
		source = e.uid
	}
	return source, seq, dense
}

// entry returns e in the form that lasts.
func (e *brought) entry() *entry {
	values := map[string]any{"uid": string(e.uid), "nsp": string(e.nsp), "type": string(e.kind), "data": string(e.data)}
	if e.seq != nil {
		values[seqField] = string(e.seq)
	}
	return parseEntry(values)
}
