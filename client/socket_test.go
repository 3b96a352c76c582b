package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
)

type typed struct {
	N    int       `json:"n"`
	B    []byte    `json:"b"`
	When time.Time `json:"when"`
}

// What goes to the server and back is what it was.
func TestValues(t *testing.T) {
	s := start(t, server.Config{})
	s.io.OnConnection(func(x *server.Socket) {
		x.On("echo", func(args ...any) ([]any, error) { return args, nil })
		x.On("typed", func(v typed) typed { v.N++; slices.Reverse(v.B); return v })
		x.On("back", func(e *server.Event) error { return x.Emit("back", e.Values()...) })
	})
	each(t, func(t *testing.T, cfg client.Config) {
		c := connect(t, open(t, s.url, cfg).Socket())
		back := make(chan []any, 1)
		c.On("back", func(args ...any) { back <- args })
		for _, v := range []any{nil, false, true, 1.5, "", "utf8 — 𝄞 \u2028 \x1e \x00", []any{1.0, "a"}, map[string]any{"a": []any{}},
			[]byte{0, 1, 255}, map[string]any{"b": []any{[]byte{4}, []byte{}}}} {
			if got := ask[[]any](t, c, "echo", v); len(got) != 1 || !reflect.DeepEqual(got[0], v) {
				t.Errorf("echo of %#v is %#v", v, got)
			}
			if err := c.Emit("back", v); err != nil {
				t.Fatal(err)
			}
			if got := get(t, back); len(got) != 1 || !reflect.DeepEqual(got[0], v) {
				t.Errorf("back came %#v for %#v", got, v)
			}
		}
		in := typed{1, []byte("abc"), time.Unix(1700000000, 0).UTC()}
		if got, want := ask[typed](t, c, "typed", in), (typed{2, []byte("cba"), in.When}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		large := strings.Repeat("x", 300_000)
		if got := ask[[]string](t, c, "echo", large, large, large); len(got) != 3 || got[2] != large {
			t.Errorf("%d large strings came back", len(got))
		}
	})
}

// Events leave and come in order, through an upgrade too, those emitted before the connection first.
func TestOrder(t *testing.T) {
	s := start(t, server.Config{})
	s.io.OnConnection(func(x *server.Socket) {
		x.On("n", func(n int, b []byte) error { return x.Emit("n", n, b) })
	})
	each(t, func(t *testing.T, cfg client.Config) {
		c := open(t, s.url, cfg).Socket()
		const events = 1000
		got := make(chan int, events)
		c.On("n", func(n int, b []byte) {
			if len(b) != 1 || b[0] != byte(n) {
				t.Errorf("event %d has %v", n, b)
			}
			got <- n
		})
		for n := range 10 {
			if err := c.Emit("n", n, []byte{byte(n)}); err != nil {
				t.Fatal(err)
			}
		}
		connect(t, c)
		for n := 10; n < events; n++ {
			if err := c.Emit("n", n, []byte{byte(n)}); err != nil {
				t.Fatal(err)
			}
		}
		for want := range events {
			if n := get(t, got); n != want {
				t.Fatalf("event %d came, want %d", n, want)
			}
		}
	})
}

// The connection goes over to WebSocket, and says so.
func TestUpgrade(t *testing.T) {
	s := start(t, server.Config{})
	for name, want := range map[string]client.Transport{"polling": client.Polling, "websocket": client.WebSocket, "upgrade": client.WebSocket} {
		t.Run(name, func(t *testing.T) {
			c := open(t, s.url, client.Config{Transports: ways()[name]})
			if got := c.Transport(); got != "" {
				t.Errorf("transport %q before there is a connection", got)
			}
			connect(t, c.Socket())
			eventually(t, func() error {
				if got := c.Transport(); got != want {
					return fmt.Errorf("transport %q, want %q", got, want)
				}
				return nil
			})
		})
	}
}

// Handlers answer as the server's do.
func TestAnswers(t *testing.T) {
	s := start(t, server.Config{})
	ids := make(chan string, 1)
	s.io.OnConnection(func(x *server.Socket) { ids <- x.ID() })
	c := connect(t, open(t, s.url, client.Config{}).Socket())
	id := get(t, ids)
	if c.ID() != id {
		t.Errorf("id %q, at the server %q", c.ID(), id)
	}
	release := make(chan client.Ack, 1)
	c.On("sum", func(ctx context.Context, a, b int) (int, error) { return a + b, ctx.Err() })
	c.On("fails", func() error { return errors.New("not today") })
	c.On("nothing", func() {})
	c.On("later", func(ack client.Ack) { release <- ack })
	c.On("rest", func(first string, rest ...int) (string, int) { return first, len(rest) })
	c.On("raw", func(a client.Args) (int, json.RawMessage) { return a.Len(), a.Raw(0) })
	for _, x := range []struct {
		event string
		args  []any
		want  string
	}{
		{"sum", []any{1, 2}, `[3]`},
		{"sum", []any{"x"}, `[{"error":"argument 1: expected integer, got string"}]`},
		{"fails", nil, `[{"error":"not today"}]`},
		{"nothing", nil, `[]`},
		{"rest", []any{"x", 1, 2, 3}, `["x",3]`},
		{"raw", []any{map[string]int{"a": 1}}, `[1,{"a":1}]`},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		answer, err := s.io.Socket(id).EmitWithAck(ctx, x.event, x.args...)
		cancel()
		got, _ := json.Marshal(answer.Values())
		if err != nil || string(got) != x.want {
			t.Errorf("%s%v: %s, %v; want %s", x.event, x.args, got, err, x.want)
		}
	}
	answers := make(chan error, 1)
	err := s.io.Socket(id).EmitFunc(func(a server.Args, err error) {
		var n int
		answers <- errors.Join(err, a.Decode(0, &n), map[bool]error{false: errors.New("not 7")}[n == 7])
	}, "later")
	if err != nil {
		t.Fatal(err)
	}
	ack := get(t, release)
	if err := ack(7); err != nil {
		t.Error(err)
	}
	if err := ack(8); !errors.Is(err, client.ErrAcknowledged) {
		t.Errorf("second answer: %v", err)
	}
	if err := get(t, answers); err != nil {
		t.Error(err)
	}
	if err := s.io.Emit("later"); err != nil {
		t.Fatal(err)
	}
	if err := get(t, release)(1); !errors.Is(err, client.ErrNoAck) {
		t.Errorf("answer to who waits for none: %v", err)
	}
}

// Functions that no event fits are found when they are registered.
func TestHandlersThatDoNotFit(t *testing.T) {
	c := open(t, "http://127.0.0.1:1", client.Config{}).Socket()
	for _, x := range []struct {
		event string
		fn    any
	}{
		{"x", nil}, {"x", 1}, {"x", (func())(nil)}, {"x", func(client.Ack, int) {}}, {"x", func(int, context.Context) {}}, {"x", func(func()) {}},
		{"x", func() chan int { return nil }}, {"connect", func() {}}, {"disconnect", func() {}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q, %T: no panic", x.event, x.fn)
				}
			}()
			c.On(x.event, x.fn)
		}()
	}
	if err := c.Emit("connect"); !errors.Is(err, client.ErrReservedEvent) {
		t.Errorf("Emit of a reserved event: %v", err)
	}
	if err := c.Emit("x", func() {}); err == nil || errors.Is(err, client.ErrReservedEvent) {
		t.Errorf("Emit of a function: %v", err)
	}
}

// Handlers are removed, run once, and see what goes by.
func TestListeners(t *testing.T) {
	s := start(t, server.Config{})
	s.io.OnConnection(func(x *server.Socket) {
		x.On("echo", func(e *server.Event) error { return x.Emit("echo", e.Values()...) })
	})
	c := connect(t, open(t, s.url, client.Config{}).Socket())
	var log []string
	c.OnAny(func(event string, a client.Args) { log = append(log, fmt.Sprintf("any %s %d", event, a.Len())) })
	sent := make(chan string, 10)
	c.OnAnyOutgoing(func(event string, a client.Args) { sent <- fmt.Sprint(event, a.Values()) })
	off := c.On("echo", func(n int) { log = append(log, fmt.Sprint("off ", n)) })
	c.Once("echo", func(n int) { log = append(log, fmt.Sprint("once ", n)) })
	done := make(chan []string)
	c.On("echo", func(n int) {
		if n == 3 {
			done <- slices.Clone(log)
		}
	})
	for n := 1; n <= 3; n++ {
		if n == 3 {
			ask := make(chan struct{})
			c.Once("echo", func() { close(ask) })
			if err := c.Emit("echo", 0); err != nil {
				t.Fatal(err)
			}
			get(t, ask)
			off()
		}
		if err := c.Emit("echo", n); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"any echo 1", "off 1", "once 1", "any echo 1", "off 2", "any echo 1", "off 0", "any echo 1"}
	if got := get(t, done); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := get(t, sent); got != "echo[1]" {
		t.Errorf("sent %q", got)
	}
}

// Namespaces share one connection; each has its own auth, refusal and end.
func TestNamespaces(t *testing.T) {
	s := start(t, server.Config{})
	s.io.OnConnection(func(x *server.Socket) {
		x.On("where", func() string { return "/" })
	})
	s.io.Of("/a").OnConnection(func(x *server.Socket) {
		x.On("where", func() string { return "/a" })
		x.On("leave", func() { x.Disconnect(false) })
	})
	guarded := s.io.Of("/guarded")
	guarded.Use(func(x *server.Socket) error {
		var auth struct{ Token string }
		if err := x.Handshake().Auth(&auth); err != nil || auth.Token != "secret /guarded" {
			return &server.Error{Message: "no", Data: map[string]int{"code": 7}}
		}
		return nil
	})
	each(t, func(t *testing.T, cfg client.Config) {
		allowed := false
		cfg.AuthFunc = func(_ context.Context, nsp string) (any, error) {
			if allowed {
				return map[string]string{"token": "secret " + nsp}, nil
			}
			return nil, nil
		}
		c := open(t, s.url+"/a", cfg)
		a, root, g, unknown := connect(t, c.Socket()), connect(t, c.Of("")), c.Of("/guarded"), c.Of("/unknown")
		if got := ask[string](t, a, "where") + ask[string](t, root, "where"); got != "/a/" || c.Of("/a") != a {
			t.Errorf("got %q", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var refused *client.ConnectError
		if err := g.Connect(ctx); !errors.As(err, &refused) || refused.Message != "no" || string(refused.Data) != `{"code":7}` || g.Active() {
			t.Errorf("refused: %v %s", err, refused.Data)
		}
		if err := unknown.Connect(ctx); !errors.As(err, &refused) || refused.Message != "Invalid namespace" {
			t.Errorf("unknown namespace: %v", err)
		}
		allowed = true
		connect(t, g)
		ends := make(chan client.Reason, 2)
		a.OnDisconnect(func(r client.Reason, _ error) { ends <- r })
		if err := a.Emit("leave"); err != nil {
			t.Fatal(err)
		}
		if r := get(t, ends); r != client.ReasonServer || a.Active() || a.Connected() {
			t.Errorf("reason %q", r)
		}
		if got := ask[string](t, root, "where"); got != "/" || c.Transport() == "" {
			t.Errorf("got %q", got)
		}
		connect(t, a)
		a.Disconnect()
		if r := get(t, ends); r != client.ReasonClient || a.ID() != "" {
			t.Errorf("reason %q", r)
		}
		root.Disconnect()
		g.Disconnect()
		eventually(t, func() error {
			if tr := c.Transport(); tr != "" {
				return fmt.Errorf("still connected over %s", tr)
			}
			return nil
		})
		connect(t, root)
	})
}

// Cookies, headers, the query and proxies are those of HTTP, over both transports.
func TestHTTP(t *testing.T) {
	cfg := server.Config{}
	s := start(t, cfg)
	s.io.OnConnection(func(x *server.Socket) {
		x.On("tell", func() map[string]string {
			h := x.Handshake()
			return map[string]string{"header": h.Header().Get("X-Custom"), "query": h.Query().Get("q") + h.Query().Get("r"), "path": strings.Split(h.URL(), "?")[0]}
		})
	})
	target, _ := url.Parse(s.url)
	var sticky atomic.Int64
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("server"); err == nil && c.Value == "1" {
			sticky.Add(1)
		}
		http.SetCookie(w, &http.Cookie{Name: "server", Value: "1"})
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}).ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	each(t, func(t *testing.T, cfg client.Config) {
		cfg.Jar, _ = cookiejar.New(nil)
		cfg.Header, cfg.Query = http.Header{"X-Custom": {"yes"}}, url.Values{"q": {"1"}}
		way := &http.Transport{TLSClientConfig: front.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
		cfg.RoundTripper = way
		before := sticky.Load()
		c := connect(t, open(t, front.URL+"/?r=2", cfg).Socket())
		got := ask[map[string]string](t, c, "tell")
		if want := map[string]string{"header": "yes", "query": "12", "path": "/socket.io/"}; !reflect.DeepEqual(got, want) {
			t.Errorf("got %v", got)
		}
		if len(cfg.Transports) > 1 || cfg.Transports[0] == client.Polling {
			if sticky.Load() == before {
				t.Error("no cookie came back")
			}
		}
		shut(t, c.Client())
	})
	// Without trust in the certificate there is no connection, and it is said why.
	c := open(t, front.URL, client.Config{NoReconnection: true})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Socket().Connect(ctx); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Connect: %v", err)
	}
}

// The other parser, agreed upon by both.
func TestMsgpack(t *testing.T) {
	s := start(t, server.Config{Parser: packet.MsgPack()})
	s.io.OnConnection(func(x *server.Socket) {
		x.On("echo", func(v typed) typed { return v })
	})
	each(t, func(t *testing.T, cfg client.Config) {
		cfg.Parser = packet.MsgPack()
		c := connect(t, open(t, s.url, cfg).Socket())
		in := typed{1, []byte{0, 255}, time.Unix(1700000000, 0).UTC()}
		if got := ask[typed](t, c, "echo", in); !reflect.DeepEqual(got, in) {
			t.Errorf("got %+v", got)
		}
	})
}

// Handlers that fail without anybody waiting for it are logged.
func TestFailuresAreSaid(t *testing.T) {
	s := start(t, server.Config{})
	s.io.OnConnection(func(x *server.Socket) { _ = x.Emit("n", "no number") })
	var b bytes.Buffer
	c := open(t, s.url, client.Config{Logger: slog.New(slog.NewTextHandler(&b, nil))}).Socket()
	c.On("n", func(int) { t.Error("called") })
	done := make(chan struct{})
	c.On("n", func() { close(done) })
	connect(t, c)
	get(t, done)
	shut(t, c.Client())
	if got := b.String(); !strings.Contains(got, "handler failed") || !strings.Contains(got, "event=n") {
		t.Errorf("log %q", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]client.Config{
		"transport": {Transports: []client.Transport{"carrier pigeon"}}, "negative": {MaxBufferBytes: -1}, "retries": {Retries: 1}, "random": {Randomization: 2},
	} {
		if _, err := client.New("http://localhost", cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, address := range []string{"", "localhost:80", "ftp://x", "http://", "http://%zz"} {
		if _, err := client.New(address, client.Config{}); err == nil {
			t.Errorf("address %q: no error", address)
		}
	}
}
