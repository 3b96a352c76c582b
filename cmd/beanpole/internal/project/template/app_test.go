package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
)

// start serves the application as long as the test runs, and returns where.
func start(t *testing.T) (url string) {
	t.Helper()
	app, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	register(app)
	web := httptest.NewServer(app)
	t.Cleanup(func() {
		_ = app.Close()
		web.Close()
	})
	return web.URL
}

// client speaks Socket.IO over HTTP polling: what it sends and gets are packets, as in "42" and a JSON array.
type client struct {
	t   *testing.T
	url string
}

// connect opens a session and joins the main namespace.
func connect(t *testing.T, base string) *client {
	t.Helper()
	c := &client{t, base + "/socket.io/?EIO=4&transport=polling"}
	sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(c.receive())
	if sid == nil {
		t.Fatal("no session")
	}
	c.url += "&sid=" + sid[1]
	c.send("40")
	if got := c.receive(); !strings.HasPrefix(got, "40{") {
		t.Fatalf("CONNECT was answered with %q", got)
	}
	return c
}

func (c *client) send(packet string) { c.do(http.MethodPost, packet) }

func (c *client) receive() string { return c.do(http.MethodGet, "") }

func (c *client) do(method, body string) string {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s: %s %s %v", method, body, res.Status, text, err)
	}
	return string(text)
}

func TestWhatOneSaysTheOthersHear(t *testing.T) {
	url := start(t)
	ada, ben := connect(t, url), connect(t, url)
	ada.send(`421["say","hello"]`)
	if got, want := ada.receive(), `431[5]`; got != want {
		t.Errorf("the acknowledgement is %s, want %s", got, want)
	}
	if got, want := ben.receive(), `42["said","hello"]`; got != want {
		t.Errorf("the other hears %s, want %s", got, want)
	}
}
