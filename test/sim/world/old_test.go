package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// TestOldClientNumbersItsSessions: a session that an old client has asked for and given up, which a server may take all the same
// when it goes on, has another number than the next.
func TestOldClientNumbersItsSessions(t *testing.T) {
	w := &world{out: bufio.NewWriter(io.Discard)}
	c := newClient(w, 1)
	c.old = true
	given, next := &engine{c: c}, &engine{c: c}
	if q := given.query("polling"); !strings.Contains(q, "conn=1&") {
		t.Errorf("the first: %s", q)
	}
	for range 2 {
		if q := next.query("polling"); !strings.Contains(q, "conn=2&") {
			t.Errorf("the second: %s", q)
		}
	}
	c.engine = next
	c.greet()
	if n := c.socks["/"].number; n != 2 {
		t.Errorf("it takes its connection for number %d", n)
	}
}
