package main

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// The clients of Socket.IO v2: protocol 3 of Engine.IO, 4 of Socket.IO. They are in "/" from the start, send the
// PINGs themselves, and know their sockets by the id of the session. Source: engine.io-client 3, socket.io-client 2.

// greet is what connect is to others, for "/".
func (c *client) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socks["/"].begin() // its number is in the query
	c.w.note(c.name, "is of protocol 3")
}

// greeting is a query that says which connection of a namespace it is, by 0 the next one of "/": a server may take one whose
// client has given up.
func (c *client) greeting(number int) string {
	if number == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		number = c.next("/").number
	}
	return fmt.Sprintf("client=%s&conn=%d&rooms=%s", c.name, number, rooms[number%len(rooms)])
}

// base64 is what a client adds to its query that does not take binary answers.
func (c *client) base64() string {
	if c.name[len(c.name)-1]%2 == 0 || c.jsonp() != "" { // scripts are text
		return "&b64=1"
	}
	return ""
}

// oldID is the id of a socket.
func (c *client) oldID(nsp string) string {
	if nsp == "/" {
		return c.engine.sid
	}
	return nsp + "#" + c.engine.sid
}

// oldHello reads what a client says of itself: in the query of its session, or in that of a namespace.
func oldHello(nsp string, query url.Values, auth func(any) error) (h hello, err error) {
	said := map[string]any{}
	for k := range query {
		said[k] = query.Get(k)
	}
	if nsp != "/" {
		err = auth(&said)
	}
	get := func(key string) string { // the library has lists
		return strings.Trim(fmt.Sprint(said[key]), "[]")
	}
	h.Client, h.Rooms = get("client"), []string{get("rooms")}
	if err == nil {
		h.Conn, err = strconv.Atoi(get("conn"))
	}
	return h, err
}

// beat sends PINGs until the session ends.
func (e *engine) beat() {
	for {
		t := time.NewTimer(pingInterval)
		select {
		case <-t.C:
			e.send(frame{text: "2"})
		case <-e.done:
			t.Stop()
			return
		}
	}
}

// payload3 is packets as a polling body of protocol 3.
func payload3(list []frame) string {
	var b strings.Builder
	for _, f := range list {
		text := f.text
		if f.bin != nil {
			text = "b4" + base64.StdEncoding.EncodeToString(f.bin)
		}
		fmt.Fprintf(&b, "%d:%s", len(utf16.Encode([]rune(text))), text)
	}
	return b.String()
}

// frames3 are the packets of a polling body of protocol 3, in its text form or the binary one.
func frames3(body string) (out []frame, err error) {
	whole := body
	if body != "" && body[0] <= 1 {
		return binary3(body)
	}
	for body != "" {
		length, rest, ok := strings.Cut(body, ":")
		n, err := strconv.Atoi(length)
		units := utf16.Encode([]rune(rest))
		if !ok || err != nil || n < 1 || n > len(units) {
			return nil, fmt.Errorf("no packet in %q of %q", body, whole)
		}
		text := string(utf16.Decode(units[:n]))
		body = string(utf16.Decode(slices.Clip(units[n:])))
		if !strings.HasPrefix(text, "b") {
			out = append(out, frame{text: text})
			continue
		}
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "b4"))
		if err != nil {
			return nil, fmt.Errorf("%q in %q: %w", text, whole, err)
		}
		out = append(out, frame{bin: append([]byte{}, b...)})
	}
	if len(out) == 0 {
		err = fmt.Errorf("no packet in %q", whole)
	}
	return out, err
}

// binary3 are the packets of a polling body of protocol 3 in its binary form.
func binary3(body string) (out []frame, err error) {
	for body != "" {
		binary, end := body[0] == 1, strings.IndexByte(body, 255)
		n := 0
		for _, digit := range []byte(body[1:max(1, end)]) {
			n = 10*n + int(digit)
		}
		if body[0] > 1 || end < 2 || n < 1 || n > len(body)-end-1 || binary && body[end+1] != 4 {
			return nil, fmt.Errorf("no packet in %q", body)
		}
		one := body[end+1 : end+1+n]
		body = body[end+1+n:]
		if binary {
			out = append(out, frame{bin: []byte(one[1:])})
		} else {
			out = append(out, frame{text: one})
		}
	}
	return out, nil
}
