package packet

import "strconv"

// EventName returns the first element of the payload of an event as its name: the characters of a
// string, the text of a number as JavaScript writes it. The name is a part of data unless it had to
// be unescaped; look it up with m[string(name)], which does not allocate. data must be valid JSON.
// It returns ErrPayload when there is no such element.
func EventName(data []byte) ([]byte, error) {
	i := space(data, 0)
	if i >= len(data) || data[i] != '[' {
		return nil, ErrPayload
	}
	i = space(data, i+1)
	if i >= len(data) {
		return nil, ErrPayload
	}
	end := skip(data, i)
	if end < 0 {
		return nil, ErrPayload
	}
	raw := data[i:end:end]
	switch c := raw[0]; {
	case c == '"':
		return unquote(raw), nil
	case c == '-' || c >= '0' && c <= '9':
		if integer(raw) {
			return raw, nil
		}
		f, err := strconv.ParseFloat(string(raw), 64)
		switch {
		case err != nil && f > 0: // too large for a double
			return []byte("Infinity"), nil
		case err != nil:
			return []byte("-Infinity"), nil //nolint:nilerr // too small for a double
		case f == 0:
			return []byte("0"), nil
		}
		return appendFloat(nil, f, 64), nil
	}
	return nil, ErrPayload
}

// Reserved reports whether an event may not have this name, because the name stands for something
// else at one of the ends. Source: socket.io-parser, RESERVED_EVENTS.
func Reserved(event string) bool {
	switch event {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// ReservedServerSide reports whether an event to other servers may not have this name: Node's would take it for one
// of their own. Source: socket.io/lib/namespace.ts, RESERVED_EVENTS.
func ReservedServerSide(event string) bool {
	return event == "connect" || event == "connection" || event == "new_namespace"
}
