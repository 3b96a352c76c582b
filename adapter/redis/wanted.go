package redis

import (
	"bytes"
	"strconv"
	"unsafe"

	"github.com/beanpole/beanpole/adapter"
)

// Most of what reaches a node that does not listen to its own rooms alone is for rooms without members here. What
// follows finds that out without decoding, in the form in which Beanpole's servers write events. Whatever it does not
// know is decoded.

// broadcastKind is kindBroadcast as the streams have it.
var broadcastKind = strconv.Itoa(int(kindBroadcast))

var (
	bodyStart     = []byte(`{"opts":{"rooms":[`)
	envelopeStart = []byte(`{"uid":"`)
	envelopeNsp   = []byte(`","nsp":"`)
	envelopeBody  = []byte(`","type":` + broadcastKind + `,"data":`)
)

// unwantedBody reports whether the data of an event that asks for no acknowledgement selects no member here.
func unwantedBody(l *adapter.Local, data []byte) bool {
	b, ok := bytes.CutPrefix(data, bodyStart)
	if !ok {
		return false
	}
	if len(b) > 0 && b[0] == ']' {
		return l.Len() == 0
	}
	for {
		if len(b) == 0 || b[0] != '"' {
			return false
		}
		end := bytes.IndexByte(b[1:], '"')
		if end < 0 {
			return false
		}
		name := b[1 : 1+end]
		if bytes.IndexByte(name, '\\') >= 0 || len(name) > 0 && l.Has(unsafe.String(&name[0], len(name))) || len(name) == 0 && l.Has("") {
			return false
		}
		if b = b[end+2:]; len(b) == 0 || b[0] != ',' {
			return len(b) > 0 && b[0] == ']'
		}
		b = b[1:]
	}
}

// unwantedEnvelope is unwantedBody for a message of another node in JSON on the channel of a namespace.
func unwantedEnvelope(l *adapter.Local, nsp string, payload []byte) bool {
	b, ok := bytes.CutPrefix(payload, envelopeStart)
	if !ok {
		return false
	}
	end := bytes.IndexByte(b, '"')
	if end < 0 {
		return false
	}
	if b, ok = bytes.CutPrefix(b[end:], envelopeNsp); !ok || len(b) < len(nsp) || string(b[:len(nsp)]) != nsp {
		return false
	}
	b, ok = bytes.CutPrefix(b[len(nsp):], envelopeBody)
	// Who asks for acknowledgements waits for an answer from here, too. Its body ends with the id of the question.
	return ok && bytes.HasSuffix(withoutNumber(payload), []byte("}}")) && unwantedBody(l, b)
}

// withoutNumber returns an object without its last brace, and without the number before it, if there is one.
func withoutNumber(payload []byte) []byte {
	const start = `,"` + numberField + `":[`
	at := max(0, len(payload)-maxDecimal)
	i := bytes.LastIndex(payload[at:], []byte(start))
	if i >= 0 && len(bytes.TrimLeft(payload[at+i+len(start):], "0123456789,")) == len("]}") {
		return payload[:at+i]
	}
	return payload[:len(payload)-1]
}
