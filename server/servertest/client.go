package servertest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/client"
)

// How long a test waits for what must come. A virtual day, with its heartbeats, takes 30 ms.
const (
	patience        = 10 * time.Second
	virtualPatience = 24 * time.Hour
)

// Client is one client of the server under test, in one namespace. It is a *client.Socket, and keeps the events that
// come for Expect. What fails the test is for the goroutine of the test alone.
type Client struct {
	*client.Socket
	t        testing.TB
	line     *line
	patience time.Duration

	mu sync.Mutex
	// Guarded by mu.
	came    []event       // and was not expected yet
	ended   client.Reason // of the last connection
	ends    int           // connections that have ended, and were not expected to
	changed chan struct{} // closed and replaced when one of these changes
}

type event struct {
	name string
	args client.Args
}

// Connect connects a client to the main namespace of the server behind h: a *server.Server, or whatever serves one.
// Each client has an address, an http.Server and connections of its own, all of them in memory. They end with the test.
func Connect(t testing.TB, h http.Handler) *Client {
	t.Helper()
	return ConnectTo(t, h, "/", client.Config{})
}

// ConnectTo is Connect to a namespace, by a configuration: Auth, Header, Query, Jar. Its RoundTripper is not used, and
// Transports are WebSocket alone by default.
func ConnectTo(t testing.TB, h http.Handler, namespace string, cfg client.Config) *Client {
	t.Helper()
	c := NewClient(t, h, namespace, cfg)
	c.connect()
	return c
}

// NewClient is ConnectTo for a client that does not connect yet: register what is to answer the server's first
// questions, and then call its Connect.
func NewClient(t testing.TB, h http.Handler, namespace string, cfg client.Config) *Client {
	t.Helper()
	l := newLine(h)
	cfg.RoundTripper = l.transport()
	if len(cfg.Transports) == 0 {
		cfg.Transports = []client.Transport{client.WebSocket}
	}
	if cfg.Logger == nil {
		cfg.Logger = logger(t)
	}
	c, err := client.New("http://"+serverAddr.String(), cfg)
	if err != nil {
		l.close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.mend()
		l.hold(false)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("the client does not end: %v; does a handler of it block?", err)
		}
		l.close()
	})
	waits := patience
	if rest() {
		waits = virtualPatience
	}
	return watch(&Client{Socket: c.Of(namespace), t: t, line: l, patience: waits})
}

// Refused connects to a namespace that must refuse it, and returns how it did.
func Refused(t testing.TB, h http.Handler, namespace string, cfg client.Config) *client.ConnectError {
	t.Helper()
	c := NewClient(t, h, namespace, cfg)
	err := c.tryConnect()
	refusal, ok := err.(*client.ConnectError) //nolint:errorlint // Connect returns it as it is
	if !ok {
		t.Fatalf("%s: the client is not refused: %v", c.Namespace(), err)
	}
	return refusal
}

// watch keeps what comes to c from now on.
func watch(c *Client) *Client {
	c.changed = make(chan struct{})
	c.OnAny(func(name string, args client.Args) {
		c.change(func() { c.came = append(c.came, event{name, args}) })
	})
	c.OnDisconnect(func(why client.Reason, _ error) {
		c.change(func() { c.ended, c.ends = why, c.ends+1 })
	})
	return c
}

func (c *Client) change(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Of connects the client to another namespace, over the same connection.
func (c *Client) Of(namespace string) *Client {
	c.t.Helper()
	other := watch(&Client{Socket: c.Client().Of(namespace), t: c.t, line: c.line, patience: c.patience})
	other.connect()
	return other
}

func (c *Client) tryConnect() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.patience)
	defer cancel()
	return c.Socket.Connect(ctx)
}

func (c *Client) connect() {
	c.t.Helper()
	if err := c.tryConnect(); err != nil {
		c.t.Fatalf("%s: the client is not let in: %v", c.Namespace(), err)
	}
}

// await waits until ready, which is called with mu held, is true. It reports false when that takes too long.
func (c *Client) await(ready func() bool) bool {
	late := time.NewTimer(c.patience)
	defer late.Stop()
	for {
		c.mu.Lock()
		ok, changed := ready(), c.changed
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return false
		}
	}
}

// take takes the first event of that name out of what came. Called with mu held.
func (c *Client) take(name string) (args client.Args, ok bool) {
	i := slices.IndexFunc(c.came, func(e event) bool { return e.name == name })
	if i < 0 {
		return args, false
	}
	args = c.came[i].args
	c.came = slices.Delete(c.came, i, i+1)
	return args, true
}

// told says what came instead of what was expected. Called with mu held.
func (c *Client) told() string {
	const most = 10
	text := "nothing else waits"
	if len(c.came) > 0 {
		list := make([]string, 0, most)
		for _, e := range c.came[:min(len(c.came), most)] {
			list = append(list, e.String())
		}
		text = "there wait " + strings.Join(list, ", ")
	}
	if n := len(c.came) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	if !c.Connected() {
		text += "; the client is not connected"
	}
	if c.ended != "" {
		text += fmt.Sprintf("; a connection ended: %s", c.ended)
	}
	return text
}

// String shows an event with the beginning of each argument.
func (e event) String() string { return fmt.Sprintf("%q %s", e.name, show(e.args)) }

func show(args client.Args) string {
	list := make([]string, args.Len())
	for i := range list {
		raw := args.Raw(i)
		list[i] = string(raw[:min(len(raw), 200)])
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// ExpectArgs waits for the next event of that name, as long as Expect, and returns its arguments, for events of several.
// Expect is simpler where there is one.
func (c *Client) ExpectArgs(name string) (args client.Args) {
	c.t.Helper()
	if !c.await(func() (ok bool) { args, ok = c.take(name); return ok }) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t.Fatalf("%s: no event %q came; %s", c.Namespace(), name, c.told())
	}
	return args
}

// ExpectNothing fails the test when one of those events, any at all if none is named, waits or comes before all that
// goes on has come to rest: until only time could bring something. So it wants the test in a bubble of testing/synctest.
func (c *Client) ExpectNothing(names ...string) {
	c.t.Helper()
	if !rest() {
		c.t.Fatal("ExpectNothing has to know when nothing more comes: run the test inside synctest.Test")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.came {
		if len(names) == 0 || slices.Contains(names, e.name) {
			c.t.Fatalf("%s: the event %s came, and is not to", c.Namespace(), e)
		}
	}
}

// ExpectDisconnect waits, as long as Expect, until the connection has ended, or one has that was not expected to, and
// returns why, as the client sees it.
func (c *Client) ExpectDisconnect() client.Reason {
	c.t.Helper()
	var why client.Reason
	if !c.await(func() bool {
		if c.ends == 0 {
			return false
		}
		c.ends, why = 0, c.ended
		return true
	}) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t.Fatalf("%s: the connection does not end; %s", c.Namespace(), c.told())
	}
	return why
}

// rest waits until all else in the bubble waits, and reports whether the caller is in one.
func rest() (bubble bool) {
	defer func() { _ = recover() }() // of a Wait outside
	synctest.Wait()
	return true
}

// logger writes all that there is to know into the log of the test, which is shown when that fails.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
