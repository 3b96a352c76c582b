// Package wsclient is a client for tests that speaks the protocols by hand: Engine.IO packets on a WebSocket,
// sent and expected byte for byte. A wait that takes longer than Patience fails the test.
//
// It is for what package client does not do, and must not: packets that are wrong or come at the wrong time, Engine.IO 3, floods in one
// write, answers that are owed, the state of one client shown to another server, and frames without a client's work. All other tests
// have package client, or servertest, which needs no port.
package wsclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Patience bounds every wait of a test; a test that waits so long has failed.
const Patience = 20 * time.Second

// Client is a client on a WebSocket. Its methods are called from one goroutine, but HangUp.
type Client struct {
	// SID is the id of the session.
	SID string
	// Conn is the connection, for what is no message.
	Conn net.Conn

	// T is the test that fails.
	T testing.TB

	r io.Reader
}

// Dial opens a session of a version of Engine.IO, "4" or "3", by a WebSocket to the server at an http URL. The
// connection is closed with the test.
func Dial(t testing.TB, url, eio string, header http.Header) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
	conn, br, _, err := dialer.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO="+eio+"&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &Client{T: t, Conn: conn, r: conn}
	if br != nil {
		c.r = io.MultiReader(br, conn)
	}
	open := c.Text()
	var hello struct{ SID string }
	if !strings.HasPrefix(open, "0") || json.Unmarshal([]byte(open[1:]), &hello) != nil {
		t.Fatalf("first packet %q is no OPEN", open)
	}
	c.SID = hello.SID
	return c
}

// Welcome is the answer to CONNECT.
type Welcome struct{ SID, PID string }

// Connect connects to the namespace, with an auth payload if not "".
func (c *Client) Connect(nsp, auth string) Welcome {
	c.T.Helper()
	prefix := "40"
	if nsp != "/" {
		prefix += nsp + ","
	}
	c.Send(prefix + auth)
	var w Welcome
	answer := c.Text()
	if !strings.HasPrefix(answer, prefix) || json.Unmarshal([]byte(answer[len(prefix):]), &w) != nil {
		c.T.Fatalf("answer to CONNECT is %q", answer)
	}
	return w
}

// Send sends each text in a message.
func (c *Client) Send(texts ...string) {
	c.T.Helper()
	for _, text := range texts {
		if err := wsutil.WriteClientText(c.Conn, []byte(text)); err != nil {
			c.T.Fatal(err)
		}
	}
}

// SendBinary sends a binary message.
func (c *Client) SendBinary(b []byte) {
	c.T.Helper()
	if err := wsutil.WriteClientBinary(c.Conn, b); err != nil {
		c.T.Fatal(err)
	}
}

// Flood sends a text many times in one write, to a server that may close the connection over it.
func (c *Client) Flood(times int, text string) {
	frame := ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame([]byte(text))))
	_, _ = c.Conn.Write(bytes.Repeat(frame, times))
}

// Read returns the next message other than a ping, which it answers.
func (c *Client) Read() ([]byte, ws.OpCode, error) {
	_ = c.Conn.SetReadDeadline(time.Now().Add(Patience))
	for {
		data, op, err := wsutil.ReadServerData(struct {
			io.Reader
			io.Writer
		}{c.r, c.Conn})
		if err == nil && op == ws.OpText && string(data) == "2" {
			c.Send("3")
			continue
		}
		return data, op, err
	}
}

// Text returns the next message, which must be a text.
func (c *Client) Text() string {
	c.T.Helper()
	data, op, err := c.Read()
	if err != nil || op != ws.OpText {
		c.T.Fatalf("read %v %q: %v; want a text", op, data, err)
	}
	return string(data)
}

// Expect reads the texts that must come next.
func (c *Client) Expect(want ...string) {
	c.T.Helper()
	for _, want := range want {
		if got := c.Text(); got != want {
			c.T.Fatalf("got %q, want %q", got, want)
		}
	}
}

// ExpectBinary reads the binary message that must come next.
func (c *Client) ExpectBinary(want string) {
	c.T.Helper()
	data, op, err := c.Read()
	if err != nil || op != ws.OpBinary || string(data) != want {
		c.T.Fatalf("read %v %q: %v; want binary %q", op, data, err, want)
	}
}

// ExpectClosed waits until the server has closed the connection.
func (c *Client) ExpectClosed() {
	c.T.Helper()
	for {
		_, _, err := c.Read()
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			c.T.Fatal("the server keeps the session open")
		}
		return
	}
}

// HangUp closes the connection without a word.
func (c *Client) HangUp() { _ = c.Conn.Close() }
