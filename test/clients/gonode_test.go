package clients

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server/packet"
)

// patience bounds every wait of a test of package client.
const patience = 20 * time.Second

// TestGoClientOfNodesServer runs the cells of package client against Node's server, whatever the others run against.
func TestGoClientOfNodesServer(t *testing.T) {
	need(t, "node")
	install(t)
	u := urls{page: "http://app.example"}
	u.serve(t, true)
	p := programs[slices.IndexFunc(programs, func(p program) bool { return p.name == "go" })]
	cmd := p.start(t)
	cmd.Env = append(cmd.Environ(), u.env()...)
	cells := collect(t, cmd)
	complete(t, p, cells)
	for _, c := range cells {
		judge(t, c)
	}
}

// TestGoClient has package client do what else it can, over each transport, with Node's server and with ours, which has to make
// no difference.
func TestGoClient(t *testing.T) {
	need(t, "node")
	install(t)
	for name, nodes := range map[string]bool{"node": true, "beanpole": false} {
		t.Run(name, func(t *testing.T) {
			url := startFixture(t, "http://app.example", nodes)
			for transport, list := range map[string][]client.Transport{
				"polling": {client.Polling}, "websocket": {client.WebSocket}, "upgrade": {client.Polling, client.WebSocket},
			} {
				for does, test := range map[string]func(*goClient){
					"values": (*goClient).values, "order": (*goClient).order, "timeouts": (*goClient).timeouts, "refusals": (*goClient).refusals,
					"endings": (*goClient).endings, "retries": (*goClient).retries, "msgpack": (*goClient).msgpack, "coming back": (*goClient).comingBack,
				} {
					t.Run(transport+"/"+does, func(t *testing.T) {
						t.Parallel()
						test(&goClient{t, url, list})
					})
				}
			}
		})
	}
}

// goClient is one test of package client.
type goClient struct {
	*testing.T
	url        string
	transports []client.Transport
}

// open makes a client of a namespace, which is closed with the test.
func (t *goClient) open(namespace string, cfg client.Config) *client.Socket {
	t.Helper()
	cfg.Transports = t.transports
	cfg.ReconnectionDelay, cfg.ReconnectionDelayMax = 10*time.Millisecond, 50*time.Millisecond
	cfg.RoundTripper, cfg.Logger = &http.Transport{}, slog.New(slog.DiscardHandler)
	c, err := client.New(t.url+namespace, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c.Socket()
}

func (t *goClient) connect(s *client.Socket) *client.Socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Connect(ctx); err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return s
}

func (t *goClient) emit(s *client.Socket, event string, args ...any) {
	t.Helper()
	if err := s.Emit(event, args...); err != nil {
		t.Fatalf("Emit(%q): %v", event, err)
	}
}

// asked returns what the server answers.
func asked[T any](t *goClient, s *client.Socket, event string, args ...any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := client.Ask[T](ctx, s, event, args...)
	if err != nil {
		t.Fatalf("Ask(%q): %v", event, err)
	}
	return v
}

// got returns what comes next.
func got[T any](t *goClient, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("nothing of type %T has come", v)
	}
	return v
}

// typedValue is what the server's handler of "typed" takes.
type typedValue struct {
	N    int    `json:"n"`
	S    string `json:"s"`
	B    []byte `json:"b"`
	List []int  `json:"list"`
}

func (t *goClient) values() {
	s := t.connect(t.open("", client.Config{}))
	for _, v := range []any{nil, false, 1.5, "", "utf8 — 𝄞 \u2028 \x1e \x00", []any{1.0, "a"}, map[string]any{"a": []any{}},
		[]byte{0, 1, 255}, map[string]any{"b": []any{[]byte{4}, []byte{}}}} {
		if back := asked[any](t, s, "echo", v); !reflect.DeepEqual(back, v) {
			t.Errorf("echo of %#v is %#v", v, back)
		}
	}
	v := asked[typedValue](t, s, "typed", typedValue{1, "s", []byte("abc"), []int{1, 2}})
	if want := (typedValue{2, "s!", []byte("cba"), []int{2, 4}}); !reflect.DeepEqual(v, want) {
		t.Errorf("typed: %+v, want %+v", v, want)
	}
	if n := asked[int](t, s, "length", strings.Repeat("x", 700_000)); n != 700_000 {
		t.Errorf("%d letters have arrived", n)
	}
	if text, b := asked[string](t, s, "large", 3_000_000), asked[[]byte](t, s, "large-binary", 3_000_000); len(text) != 3_000_000 || len(b) != 3_000_000 {
		t.Errorf("%d letters and %d bytes have come", len(text), len(b))
	}
}

// order is that of the events before the connection, through the upgrade and behind it, with binaries and without.
func (t *goClient) order() {
	s := t.open("", client.Config{})
	type counts struct {
		Count   int
		Ordered bool
	}
	const n = 600
	for i := range n / 3 {
		t.emit(s, "count", i)
	}
	t.connect(s)
	for i := range n * 2 / 3 {
		t.emit(s, "count", n/3+i)
	}
	if c := asked[counts](t, s, "counted"); c != (counts{n, true}) {
		t.Errorf("the server has %+v", c)
	}
	for i := range n {
		t.emit(s, "count-binary", i, []byte{0, 0, byte(i >> 8), byte(i), 0, 0, 0, 0})
	}
	if c := asked[counts](t, s, "counted"); c != (counts{n, true}) {
		t.Errorf("of binaries the server has %+v", c)
	}
	come := make(chan int, 3*n)
	s.On("b", func(i int) { come <- i })
	s.On("sent", func(int) { come <- -1 })
	for _, binary := range []bool{false, true} {
		t.emit(s, "send", n, binary)
		for want := range n {
			if i := got(t, come); i != want {
				t.Fatalf("event %d came, want %d", i, want)
			}
		}
		if i := got(t, come); i != -1 {
			t.Fatalf("event %d came behind the last", i)
		}
	}
}

// timeouts end waits here and there.
func (t *goClient) timeouts() {
	s := t.open("", client.Config{AckTimeout: 50 * time.Millisecond})
	s.On("never", func(client.Ack) {})
	s.On("answer-me", func(string) error { return errors.New("not today") })
	if _, err := s.EmitWithAck(t.Context(), "echo", "unsent"); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("without a connection: %v", err)
	}
	t.connect(s)
	if _, err := s.EmitWithAck(t.Context(), "silent"); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("unanswered: %v", err)
	}
	patient := s.Timeout(patience)
	for event, want := range map[string]string{"question-unanswered": "operation has timed out", "question": "not today"} {
		arg := map[string]any{"question-unanswered": 20, "question": "?"}[event]
		answer, err := patient.EmitWithAck(t.Context(), event, arg)
		if err != nil || !strings.Contains(string(answer.Raw(0)), want) {
			t.Errorf("%s: %s, %v", event, answer, err)
		}
	}
	if events := asked[[]string](t, s, "seen"); slices.Contains(events, "echo") {
		t.Errorf("the server was sent what had been given up: %q", events)
	}
}

// refusals are those of namespaces and of events.
func (t *goClient) refusals() {
	s := t.open("/private", client.Config{AuthFunc: func(_ context.Context, nsp string) (any, error) {
		return map[string]string{"token": map[string]string{"/private": "expired"}[nsp]}, nil
	}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var refused *client.ConnectError
	if err := s.Connect(ctx); !errors.As(err, &refused) || refused.Message != "token expired" || refused.Data != nil || s.Active() {
		t.Errorf("refused: %v", err)
	}
	if err := s.Client().Of("/nonesuch").Connect(ctx); !errors.As(err, &refused) || refused.Message != "Invalid namespace" {
		t.Errorf("no such namespace: %v", err)
	}
	dyn := t.connect(s.Client().Of("/dyn-7"))
	said := make(chan string, 1)
	dyn.On("refused", func(why string) { said <- why })
	t.emit(dyn, "blocked")
	if why := got(t, said); why != "blocked by middleware" {
		t.Errorf("the event was refused with %q", why)
	}
}

// endings have the reasons that Node's client says, and that the server sees.
func (t *goClient) endings() {
	type end struct{ Reason string }
	witness := t.connect(t.open("", client.Config{}))
	ends := make(chan client.Reason, 1)
	last := make(chan int, 2)
	for _, c := range []struct {
		how         func(*client.Socket)
		here, there client.Reason
	}{
		{func(s *client.Socket) { t.emit(s, "leave-namespace") }, client.ReasonServer, "server namespace disconnect"},
		{func(s *client.Socket) { t.emit(s, "last-words") }, client.ReasonServer, "server namespace disconnect"},
		{func(s *client.Socket) { t.emit(s, "kick") }, client.ReasonServer, "server namespace disconnect"},
		{func(s *client.Socket) { t.emit(s, "drop") }, client.ReasonTransportClose, "forced close"},
		{(*client.Socket).Disconnect, client.ReasonClient, "client namespace disconnect"},
	} {
		s := t.open("", client.Config{NoReconnection: true})
		s.On("last", func(n int) { last <- n })
		s.OnDisconnect(func(r client.Reason, _ error) { ends <- r })
		t.connect(s)
		if v := asked[int](t, s, "echo", 1); v != 1 {
			t.Errorf("echo is %d", v)
		}
		id := s.ID()
		c.how(s)
		if r := got(t, ends); r != c.here || s.Connected() {
			t.Errorf("reason %q, want %q", r, c.here)
		}
		if e := asked[end](t, witness, "watch", id); e.Reason != string(c.there) {
			t.Errorf("reason %q at the server, want %q", e.Reason, c.there)
		}
	}
	if a, b := got(t, last), got(t, last); a != 1 || b != 2 {
		t.Errorf("the last events are %d and %d", a, b)
	}
}

// retries send again what is not acknowledged, one after the other.
func (t *goClient) retries() {
	s := t.open("", client.Config{AckTimeout: 100 * time.Millisecond, Retries: 2})
	t.connect(s)
	if _, err := s.EmitWithAck(t.Context(), "silent"); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("given up: %v", err)
	}
	if events := asked[[]string](t, s, "seen"); len(events) < 3 || !slices.Equal(events[:3], []string{"silent", "silent", "silent"}) {
		t.Errorf("the server got %q", events)
	}
}

func (t *goClient) msgpack() {
	s := t.connect(t.open("", client.Config{Path: "/msgpack/", Parser: packet.MsgPack()}))
	v := map[string]any{"b": []byte{0, 255}, "s": "é", "list": []any{1.0, nil, true}}
	if back := asked[map[string]any](t, s, "echo", v); !reflect.DeepEqual(back["b"], v["b"]) || back["s"] != "é" || len(back["list"].([]any)) != 3 {
		t.Errorf("echo is %#v", back)
	}
	if b := asked[typedValue](t, s, "typed", typedValue{1, "s", []byte("abc"), []int{}}).B; string(b) != "cba" {
		t.Errorf("bytes %q", b)
	}
}

// comingBack is what a client does by itself when the server has closed its connection.
func (t *goClient) comingBack() {
	s := t.open("", client.Config{})
	other := s.Client().Of("/admin")
	ups := make(chan string, 10)
	s.OnConnect(func() { ups <- s.ID() })
	t.connect(s)
	t.connect(other)
	before := got(t, ups)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	t.emit(s, "drop")
	if _, err := s.EmitWithAck(ctx, "silent"); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("a wait that the connection has ended: %v", err)
	}
	t.emit(s, "count", 0) // waits for the next connection, if there is none
	if id := got(t, ups); id == before {
		t.Error("the same id")
	}
	if n, m := asked[int](t, s, "echo", 1), asked[int](t, other, "echo", 2); n != 1 || m != 2 {
		t.Errorf("echoes are %d and %d", n, m)
	}
}
