package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/beanpole/beanpole/adapter"
	sio "github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/server/servertest"
)

// Who waits for an answer gets one, whatever the handler has for it, and the log says what was wrong.
func TestAnswersThatCannotBeEncoded(t *testing.T) {
	cyclic := map[string]any{}
	cyclic["self"] = cyclic
	values := map[string]any{
		"chan int":                make(chan int),
		"func()":                  func() {},
		"func() string":           time.Time{}.String, // a method value
		"json.RawMessage":         json.RawMessage(`{"a":`),
		"json.Number":             json.Number("seven"),
		"map[string]interface {}": cyclic,
		"complex128":              1i,
		"[]interface {}":          []any{1, make(chan int)},
		"*errors.errorString":     errors.New("its text is not seen"),
		"map[string]error":        map[string]error{"error": io.EOF},
		"server_test.hidden":      hidden{},
		"*server.Namespace":       (*server.Namespace)(nil),
	}
	log := &lines{}
	failed := make(chan error, 1)
	_, url := start(t, server.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, func(io *server.Server) {
		for name, v := range values {
			io.On("result "+name, func() any { return v })
			io.On("results "+name, func() (int, any, error) { return 1, v, nil })
			io.On("ack "+name, func(ack server.Ack) { go func() { failed <- ack(v) }() })
			io.On("event "+name, func(e *server.Event) { failed <- e.Ack(v) })
			io.On("error "+name, func() error { return &server.Error{Message: "no", Data: v} })
		}
	})
	p, _ := join(t, url, "/")
	for name := range values {
		for _, way := range []string{"result", "results", "ack", "event", "error"} {
			before := log.count("answer cannot be encoded")
			p.Send(fmt.Sprintf(`421["%s %s"]`, way, name))
			if got := p.Text(); got != `431[`+internal+`]` {
				t.Errorf("%s of %s: got %s", way, name, got)
			}
			if way == "ack" || way == "event" {
				if err := await(t, failed); !errors.Is(err, packet.ErrValue) {
					t.Errorf("%s of %s: error %v", way, name, err)
				}
			}
			line := fmt.Sprintf(`level=WARN msg="answer cannot be encoded" session=1 event="%s %s" type=%s`, way, name, quoted(name))
			if log.count("answer cannot be encoded") != before+1 || log.count(line) != 1 {
				t.Errorf("%s of %s: no line %s", way, name, line)
			}
		}
	}
}

// quoted is s as slog's text has it.
func quoted(s string) string {
	if strings.ContainsAny(s, ` "=`) {
		return `"` + s + `"`
	}
	return s
}

func TestNumbersThatJSONDoesNotHaveAreNull(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
		io.On("result", func() (float64, float32, any) {
			return math.NaN(), float32(math.Inf(1)), []any{math.Inf(-1), map[string]float64{"x": math.NaN()}, point{}}
		})
		io.On("error", func() error { return &server.Error{Message: "no", Data: math.NaN()} })
	})
	p, _ := join(t, url, "/")
	p.Send(`421["result"]`, `422["error"]`)
	p.Expect(`431[null,null,[null,{"x":null},{"X":0,"Y":0}]]`, `432[{"error":"no","data":null}]`)
	s := await(t, sockets)
	if err := errors.Join(s.Emit("x", math.NaN()), s.Data.Set("x", math.Inf(1))); err != nil {
		t.Error(err)
	}
	p.Expect(`42["x",null]`)
	if b, _ := s.Data.MarshalJSON(); string(b) != `{"x":null}` {
		t.Errorf("data %s", b)
	}
}

// What a handler returns answers, whatever else the handler takes.
func TestResultsAnswerWhateverAHandlerTakes(t *testing.T) {
	twice := make(chan error, 2)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		for name, fn := range map[string]any{
			"event":          func(*server.Event) string { return "r" },
			"event, error":   func(*server.Event, int) error { return nil },
			"event, fails":   func(*server.Event, int) error { return errors.New("no") },
			"all":            func(context.Context, *server.Socket, *server.Event, string) (int, error) { return 7, nil },
			"ack":            func(server.Ack) string { return "r" },
			"ack, no result": func(_ int, ack server.Ack) error { return ack("by itself") },
			"ack, fails":     func(server.Ack) error { return errors.New("no") },
			"answered": func(e *server.Event) string {
				_ = e.Ack("first")
				twice <- e.Ack("second")
				return "third"
			},
			"answered, fails": func(e *server.Event) error {
				_ = e.Ack("first")
				return errors.New("no")
			},
		} {
			io.On(name, fn)
		}
		io.On("next", func() string { return "next" })
	})
	p, _ := join(t, url, "/")
	for send, want := range map[string]string{
		`"event"`:           `"r"`,
		`"event, error",1`:  ``,
		`"event, fails",1`:  `{"error":"no"}`,
		`"all","x"`:         `7`,
		`"ack"`:             `"r"`,
		`"ack, no result"`:  `"by itself"`,
		`"ack, fails"`:      `{"error":"no"}`,
		`"answered"`:        `"first"`,
		`"answered, fails"`: `"first"`,
	} {
		p.Send(`421[`+send+`]`, `422["next"]`)
		p.Expect(`431[`+want+`]`, `432["next"]`)
	}
	if err := await(t, twice); !errors.Is(err, server.ErrAcknowledged) {
		t.Errorf("second answer: %v", err)
	}
}

type (
	hidden   struct{ a, b int }
	deepChan struct {
		List []map[string]*struct{ C chan int }
	}
	skipped struct {
		C chan int `json:"-"`
		c chan int
		N int
	}
	tree struct {
		Left, Right *tree
		N           int
	}
	myError interface {
		error
		Code() int
	}
)

// Functions that cannot be handlers are found when they are registered, with what is wrong and where.
func TestSignaturesThatCannotWork(t *testing.T) {
	srv, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	const (
		before   = "before the arguments"
		noForm   = "no form in JSON"
		last     = "only be the last"
		function = "not a function"
	)
	for _, c := range []struct {
		fn   any
		want string
	}{
		{1, function},
		{nil, function},
		{(func())(nil), function},
		{(func(int) error)(nil), function},
		{func(int, context.Context) {}, before},
		{func(string, *server.Socket) {}, before},
		{func(int, *server.Event) {}, before},
		{func([]*server.Socket) {}, before},
		{func(struct{ E *server.Event }) {}, before},
		{func(map[string]context.Context) {}, before},
		{func(...*server.Socket) {}, before},
		{func() *server.Socket { return nil }, "of which nothing can travel"},
		{func() (int, context.Context) { return 0, nil }, "of which nothing can travel"},
		{func(server.Ack, int) {}, last},
		{func(server.Ack, server.Ack) {}, last},
		{func(...server.Ack) {}, last},
		{func() server.Ack { return nil }, last},
		{func() (error, int) { return nil, 0 }, last},
		{func() (error, error) { return nil, nil }, last},
		{func(error) {}, last},
		{func([]error) {}, last},
		{func() []error { return nil }, last},
		{func() (int, myError) { return 0, nil }, last},
		{func() *server.Error { return nil }, last},
		{func() (int, *server.Error) { return 0, nil }, last},
		{func() (*json.SyntaxError, error) { return nil, nil }, last},
		{func(chan int) {}, noForm},
		{func(...chan int) {}, noForm},
		{func(int, func()) {}, noForm},
		{func(io.Reader) {}, "use []byte"},
		{func(*io.ReadCloser) {}, "use []byte"},
		{func(complex128) {}, noForm},
		{func(unsafe.Pointer) {}, noForm},
		{func(deepChan) {}, "deepChan has chan int"},
		{func(...*deepChan) {}, "deepChan has chan int"},
		{func(map[[2]int]string) {}, "names"},
		{func(fmt.Stringer) {}, "what to decode into"},
		{func(hidden) {}, "no exported fields"},
		{func() hidden { return hidden{} }, "no exported fields"},
		{func([]hidden) {}, "no exported fields"},
		{func() map[string]*hidden { return nil }, "no exported fields"},
		{func() []server.Args { return nil }, "result 1: []server.Args has server.Args, of which nothing can travel: use"},
		{func() ([]server.Args, error) { return srv.EmitWithAck(t.Context(), "q") }, "by Values or Scan"},
		{func() (server.Args, error) { return server.Args{}, nil }, "by Values or Scan"},
		{func(int, server.Args) {}, "by Values or Scan"},
		{func() map[string]server.Args { return nil }, "by Values or Scan"},
		{func() struct{ A *server.Args } { return struct{ A *server.Args }{} }, "by Values or Scan"},
		{func() ([]*server.RemoteSocket, error) { return srv.FetchSockets(t.Context()) }, "its ID and Rooms"},
		{func() *server.RemoteSocket { return nil }, "its ID and Rooms"},
		{func() []*server.Socket { return nil }, "of which nothing can travel: use what it tells, as the ID"},
		{func() []*server.Namespace { return nil }, "its Name"},
		{func() server.Broadcast { return srv.To("x") }, "nothing can travel"},
		{func() (server.Handshake, error) { return server.Handshake{}, nil }, "as its Addr"},
		{func(int, func(string)) {}, "parameter 2: func(string), which has no form in JSON; to acknowledge, return the answer, or take a server.Ack"},
		{func() chan int { return nil }, noForm},
		{func() (func(), error) { return nil, nil }, noForm},
		{func() io.Reader { return nil }, "use []byte"},
		{func() (int, deepChan) { return 0, deepChan{} }, "result 2"},
	} {
		for where, on := range map[string]func(string, any) func(){
			"server": srv.On, "server side": srv.OnServerSide, "pattern": srv.OfPattern(tenants).On,
		} {
			got := panicOf(func() { on("my event", c.fn) })
			if !strings.Contains(got, c.want) || !strings.Contains(got, `"my event"`) {
				t.Errorf("%s, %T: panic %q, want %q in it", where, c.fn, got, c.want)
			}
		}
	}
	for _, fn := range []any{
		func(any) any { return nil }, func(...any) {}, func(time.Time) *time.Time { return nil }, func(json.RawMessage) {},
		func(skipped) skipped { return skipped{} }, func(*tree) []tree { return nil }, func(map[int]string) {},
		func(context.Context, *server.Event, ...string) {}, func(struct{}) {}, func(json.Number, [2]bool) {},
		func(map[string]struct{}) loop { return nil }, func() (server.Stats, error) { return srv.Stats(), nil },
		func() []*server.Data { return nil }, func() []time.Time { return nil },
		func(http.Header) fmt.Stringer { return nil },
	} {
		if got := panicOf(func() { srv.On("fine", fn) }); got != "" {
			t.Errorf("%T: panic %q", fn, got)
		}
	}
}

// loop is a type that holds itself.
type loop []loop

// What of ours is sent by mistake is no empty object: the emit says what to send.
func TestHandlesAreNotSent(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	join(t, url, "/")
	s := await(t, sockets)
	remote, err := srv.FetchSockets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		value any
		want  string
	}{
		{server.Args{}, "send its Values"}, {[]server.Args{{}}, "send its Values"}, {map[string]any{"a": []any{&server.Args{}}}, "send its Values"},
		{remote, "as its ID"}, {remote[0], "as its ID"}, {s, "as its ID"}, {struct{ Socket *server.Socket }{s}, "as its ID"},
	} {
		for name, err := range map[string]error{
			"socket": s.Emit("x", x.value), "broadcast": srv.Emit("x", x.value), "data": s.Data.Set("x", x.value),
		} {
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%s, %T: %v, want %q in it", name, x.value, err, x.want)
			}
		}
	}
}

// What is no pointer is an error also when nothing was sent, so that it is found by the first client.
func TestWhatIsNoPointerIsFoundWithoutAPayload(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	join(t, url, "/")
	h := await(t, sockets).Handshake()
	var auth struct{ Token string }
	for _, bad := range []any{auth, nil, (*int)(nil), 1} {
		for what, err := range map[string]error{"auth": h.Auth(bad), "argument": server.Args{}.Decode(0, bad), "scan": server.Args{}.Scan(bad)} {
			if err == nil {
				t.Errorf("%s into %T is no error", what, bad)
			}
		}
	}
	if err := errors.Join(h.Auth(&auth), server.Args{}.Scan(&auth, new(any))); err != nil {
		t.Error(err)
	}
}

// The callback of Node's emit is an error that says what to do, and the log does too, once.
func TestEmitWithACallbackIsSaid(t *testing.T) {
	var log journal
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{Logger: log.logger(slog.LevelWarn)}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p, _ := join(t, url, "/")
	s := await(t, sockets)
	answer := func(string) { t.Error("called") }
	for name, emit := range map[string]func() error{
		"socket":    func() error { return s.Emit("q", 1, answer) },
		"volatile":  func() error { return s.Volatile().Emit("q", answer) },
		"ask":       func() error { _, err := s.EmitWithAck(t.Context(), "q", answer); return err },
		"func":      func() error { return s.EmitFunc(func(server.Args, error) {}, "q", answer) },
		"broadcast": func() error { return srv.To("r").Emit("q", answer) },
		"servers":   func() error { return srv.ServerSideEmit("q", answer) },
		"remote":    func() error { return s.Broadcast().In(s.ID()).Emit("q", 1, answer) },
	} {
		if err := emit(); err == nil || !strings.Contains(err.Error(), "EmitWithAck returns, or EmitThen") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if lines := log.lines("EmitWithAck"); len(lines) != 1 || !strings.Contains(lines[0], "event=") {
		t.Errorf("the log says %q", lines)
	}
	_ = s.Emit("end")
	p.Expect(`42["end"]`)
}

// panicOf returns what fn panics with, or "".
func panicOf(fn func()) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint(v)
		}
	}()
	fn()
	return ""
}

func TestNilFunctions(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	join(t, url, "/")
	s, d := await(t, sockets), srv.OfPattern(tenants)
	for name, do := range map[string]func(){
		"Use": func() { srv.Use(nil) }, "UseAlways": func() { srv.UseAlways(nil) },
		"OnConnection": func() { srv.OnConnection(nil) }, "OnNamespace": func() { srv.OnNamespace(nil) },
		"OfFunc": func() { srv.OfFunc(nil) }, "OfPattern": func() { srv.OfPattern(nil) },
		"Dynamic's Use": func() { d.Use(nil) }, "Dynamic's UseAlways": func() { d.UseAlways(nil) },
		"Dynamic's OnConnection": func() { d.OnConnection(nil) },
		"Socket's Use":           func() { s.Use(nil) }, "OnAny": func() { s.OnAny(nil) },
		"OnAnyOutgoing": func() { s.OnAnyOutgoing(nil) }, "OnDisconnect": func() { s.OnDisconnect(nil) },
		"OnDisconnecting": func() { s.OnDisconnecting(nil) },
	} {
		if got := panicOf(do); !strings.Contains(got, "not nil") {
			t.Errorf("%s: panic %q", name, got)
		}
	}
}

// Names that are no events say what takes their place.
func TestNamesThatAreNoEvents(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	join(t, url, "/")
	s := await(t, sockets)
	for event, advice := range map[string]string{
		"connection": "OnConnection", "connect": "OnConnection", "disconnect": "OnDisconnect",
		"disconnecting": "OnDisconnecting", "new_namespace": "OnNamespace", "connect_error": "another name",
		"newListener": "another name", "removeListener": "another name",
	} {
		for where, on := range map[string]func(string, any) func(){
			"server": srv.On, "socket": s.On, "once": s.Once, "pattern": srv.OfPattern(tenants).On, "server side": srv.OnServerSide,
		} {
			want := fmt.Sprintf("server: %q is no event that is sent; use %s", event, advice)
			if got := panicOf(func() { on(event, func() {}) }); !strings.HasPrefix(got, want) {
				t.Errorf("%s: panic %q, want %q", where, got, want)
			}
		}
	}
}

// The client is told which of its arguments does not fit, and what would, in its own terms.
func TestDecodeFailuresNameTheArgument(t *testing.T) {
	_, url := start(t, server.Config{}, func(io *server.Server) {
		for name, fn := range map[string]any{
			"string": func(string) {}, "two": func(string, int) {}, "bool": func(bool) {}, "list": func([]string) {},
			"binary": func([]byte) {}, "object": func(point) {}, "nested": func(int, map[string][]point) {},
			"variadic": func(int, ...float64) {}, "small": func(int8) {}, "unsigned": func(*uint) {}, "time": func(time.Time) {},
			"by itself": func(e *server.Event) error { var n int; return e.Scan(new(string), &n) },
		} {
			io.On(name, fn)
		}
	})
	p, _ := join(t, url, "/")
	for send, want := range map[string]string{
		`"string",1`:                       "argument 1: expected string, got number",
		`"two","a","b"`:                    "argument 2: expected integer, got string",
		`"two","a",1.5`:                    "argument 2: expected integer, got number",
		`"bool","true"`:                    "argument 1: expected boolean, got string",
		`"list",{}`:                        "argument 1: expected array, got object",
		`"list",["a",1]`:                   "argument 1: 1: expected string, got number",
		`"binary",7`:                       "argument 1: expected binary, got number",
		`"object",[1]`:                     "argument 1: expected object, got array",
		`"object",{"X":"1"}`:               "argument 1: X: expected integer, got string",
		`"nested",1,{"a":[{},{"Y":true}]}`: "argument 2: a.1.Y: expected integer, got boolean",
		`"variadic",1,2,"3"`:               "argument 3: expected number, got string",
		`"small",300`:                      "argument 1: expected integer in range, got number",
		`"unsigned",-1`:                    "argument 1: expected integer in range, got number",
		`"time",true`:                      "argument 1: this boolean does not fit",
		`"by itself","a",[]`:               "argument 2: expected integer, got array",
	} {
		p.Send(`421[` + send + `]`)
		if got := p.Text(); got != `431[{"error":"`+want+`"}]` {
			t.Errorf("%s: got %s, want %s", send, got, want)
		}
	}
	p.Send(`451-1["string",{"_placeholder":true,"num":0}]`)
	p.SendBinary([]byte("x"))
	p.Expect(`431[{"error":"argument 1: expected string, got binary"}]`)
	p.Send(`451-1["object",{"_placeholder":true,"num":0}]`)
	p.SendBinary([]byte("x"))
	p.Expect(`431[{"error":"argument 1: expected object, got binary"}]`)
}

// A handshake that is sent on is JSON, its auth payload included.
func TestHandshakeIsEmittedAsJSON(t *testing.T) {
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("handshakes", func(ctx context.Context, s *server.Socket) ([]adapter.Handshake, error) {
			found, err := s.Namespace().FetchSockets(ctx)
			list := make([]adapter.Handshake, len(found))
			for i, r := range found {
				list[i] = r.Handshake()
			}
			return list, err
		})
	})
	for auth, want := range map[string]string{
		`{"token":"t","list":[1,2]}`: `{"token":"t","list":[1,2]}`,
		"":                           `{}`,
	} {
		p := dial(t, url)
		p.Connect("/", auth)
		p.Send(`421["handshakes"]`)
		answer := p.Text()
		var got [][]struct {
			Auth    json.RawMessage
			Headers map[string]string
			Query   map[string]string
			Address string
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "431")), &got); err != nil || len(got) != 1 || len(got[0]) != 1 {
			t.Fatalf("answer %s, %v", answer, err)
		}
		h := got[0][0]
		if string(h.Auth) != want || h.Query["EIO"] != "4" || h.Address != "127.0.0.1" || h.Headers["upgrade"] != "websocket" {
			t.Errorf("handshake %+v, want auth %s", h, want)
		}
		found, err := srv.FetchSockets(t.Context())
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if err := srv.Emit("h", found[0].Handshake()); err != nil {
			t.Error(err)
		}
		if event := p.Text(); !strings.HasPrefix(event, `42["h",{"headers":`) || !strings.Contains(event, `"auth":`+want) {
			t.Errorf("event %s", event)
		}
		p.HangUp()
		eventually(t, "it left", func() bool { return srv.LocalCount() == 0 })
	}
}

// Recovery is configured in the server and in an adapter of one's own, or in neither.
func TestHalfARecoveryIsAnError(t *testing.T) {
	keeps := adapter.Memory(&adapter.Recovery{})
	forgets := adapter.Memory(nil)
	for _, c := range []struct {
		name string
		cfg  server.Config
		want string
	}{
		{"neither", server.Config{Adapter: forgets}, ""},
		{"both", server.Config{Adapter: keeps, Recovery: &server.Recovery{}}, ""},
		{"the server's own adapter", server.Config{Recovery: &server.Recovery{}}, ""},
		{"the server alone", server.Config{Adapter: forgets, Recovery: &server.Recovery{}}, "the Adapter keeps no sessions"},
		{"the adapter alone", server.Config{Adapter: keeps}, "Recovery is not set"},
	} {
		closed := false
		if factory := c.cfg.Adapter; factory != nil {
			c.cfg.Adapter = func(n adapter.Namespace) (adapter.Adapter, error) {
				a, err := factory(n)
				return closing{a, func() { closed = true }}, err
			}
		}
		srv, err := server.New(c.cfg)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !closed):
			t.Errorf("%s: error %v, want %q; the adapter closed: %v", c.name, err, c.want, closed)
		}
		if srv != nil {
			_ = srv.Close()
		}
	}
}

// What is nested too deep for a packet is refused where it is emitted, and the rest arrives, by either parser.
func TestDeepRawMessages(t *testing.T) {
	for name, parser := range map[string]packet.Parser{"text": packet.Text(), "msgpack": packet.MsgPack()} {
		t.Run(name, func(t *testing.T) {
			sockets := make(chan *server.Socket, 1)
			_, url := start(t, server.Config{Parser: parser}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) { sockets <- s })
			})
			p := dial(t, url)
			for _, m := range parser.Encode(nil, nil, &packet.Packet{Type: packet.Connect, Namespace: "/"}) {
				if m.Binary {
					p.SendBinary(m.Data)
				} else {
					p.Send("4" + string(m.Data))
				}
			}
			s := await(t, sockets)
			_, _, _ = p.Read() // the answer
			for _, depth := range []int{1, 100, 1000, 1023, 1024, 1025, 5000, 100_000} {
				raw := json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
				err := s.Emit("x", raw)
				if errors.Is(err, server.ErrPanic) || depth < 1000 && err != nil {
					t.Fatalf("%d deep: %v", depth, err)
				}
				if err != nil {
					continue
				}
				if data, _, err := p.Read(); err != nil || len(data) < depth {
					t.Fatalf("%d deep: read %d bytes, %v", depth, len(data), err)
				}
			}
		})
	}
}

// endings keep how handlers have ended, as an observer is told.
type endings struct{ list chan error }

func (e endings) Handling(ctx context.Context, _ *server.Socket, _ string, _ bool) context.Context {
	return ctx
}

func (e endings) Handled(_ context.Context, _ *server.Socket, event string, _ bool, _ time.Duration, err error) {
	if event == "buy" {
		e.list <- err
	}
}

func (e endings) Acknowledged(*server.Socket, time.Duration, error) {}

type loud struct{}

func (loud) MarshalJSON() ([]byte, error) { panic("loud") }

// What a handler has returned and what has become of its answer are two things: one that succeeds has not failed as
// nobody can be told so.
func TestWhatBecomesOfAnAnswerIsNoFailureOfTheHandler(t *testing.T) {
	sell := func() { time.Sleep(time.Second) }
	no := errors.New("no beans")
	for name, c := range map[string]struct {
		handler any
		stays   bool  // the client
		err     error // that the handler has returned
		says    string
	}{
		"typed, left":          {func(string) (string, error) { sell(); return "sold", nil }, false, nil, ""},
		"text, left":           {func(item string) string { sell(); return item }, false, nil, ""},
		"JSON, left":           {func(item json.RawMessage) json.RawMessage { sell(); return item }, false, nil, ""},
		"not encoded":          {func() any { return make(chan int) }, true, nil, ""},
		"panics as JSON":       {func() loud { return loud{} }, true, nil, ""},
		"too large":            {func() string { return strings.Repeat("x", 1<<20) }, true, nil, ""},
		"fails, left":          {func() error { sell(); return no }, false, no, "the client that waits for an acknowledgement has left"},
		"fails":                {func() error { return no }, true, no, "it is the client's acknowledgement"},
		"fails, answered":      {func(ack server.Ack) error { _ = ack(1); return no }, true, no, "the client has had an acknowledgement before"},
		"fails, mapped":        {func() error { return io.EOF }, true, io.EOF, "the client's acknowledgement is what Config.MapError lets it see"},
		"fails, data not sent": {func() error { return &server.Error{Message: "no", Data: make(chan int)} }, true, &server.Error{}, "it cannot be sent"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said remarks
				ended := endings{make(chan error, 9)}
				cfg := server.Config{
					Development: true, Observers: []server.Observer{ended}, Logger: said.log(slog.LevelDebug),
					MapError: func(_ context.Context, _ *server.Socket, _ string, err error) error {
						if err == no { //nolint:errorlint // the very one
							return err
						}
						return nil
					},
				}
				cfg.Transport.MaxSendBytes = 1 << 19
				srv := servertest.Server(t, cfg)
				srv.On("buy", c.handler)
				client := servertest.Connect(t, srv)
				answers := make(chan string, 1)
				if err := client.EmitFunc(func(a sio.Args, _ error) { answers <- string(a.Raw(0)) }, "buy", "beans"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if !c.stays {
					client.Disconnect()
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if len(answers) != 1 {
					t.Error("the client has no answer")
				}
				if len(ended.list) != 1 {
					t.Fatalf("%d handlers have ended", len(ended.list))
				}
				err := <-ended.list
				if (err == nil) != (c.err == nil) {
					t.Errorf("the observer is told %v, and the handler has returned %v", err, c.err)
				}
				if n := srv.Stats().HandlerErrors; n != 0 && c.err == nil || n != 1 && c.err != nil {
					t.Errorf("%d errors", n)
				}
				if n := len(said.find("handler failed")); n != 0 && c.err == nil {
					t.Error("the log has a failure")
				}
				if c.says == "" {
					if lines := said.find("has returned an error"); len(lines) > 0 {
						t.Error(lines)
					}
				} else {
					said.once(t, "a handler has returned an error: "+c.says, "event=buy")
				}
				if n := len(said.find("handler panicked")); n > 1 || srv.Stats().Panics != uint64(n) {
					t.Errorf("%d panics in the log, %d counted", n, srv.Stats().Panics)
				}
			})
		})
	}
}
