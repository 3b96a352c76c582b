package server_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// A socket's own broadcasts leave it out, whatever they select.
func TestBroadcastsOfASocketLeaveItOut(t *testing.T) {
	sockets := make(chan *server.Socket, 3)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	names := []string{"a", "b", "c"}
	peers, socket := map[string]*peer{}, map[string]*server.Socket{}
	for _, name := range names {
		peers[name], _ = join(t, url, "/")
		socket[name] = await(t, sockets)
	}
	socket["a"].Join("r")
	socket["b"].Join("r", "s")
	a, kept := socket["a"], srv.In("s")
	for _, c := range []struct {
		name string
		b    server.Broadcast
		want []string
	}{
		{"all but itself", a.Broadcast(), []string{"b", "c"}},
		{"in", a.In("r"), []string{"b"}},
		{"in twice", a.In("nobody").In("r", "s"), []string{"b"}},
		{"except", a.Except("s"), []string{"c"}},
		{"except twice", a.Except("s").Except(socket["c"].ID()), nil},
		{"local", a.Local(), []string{"b", "c"}},
		{"of the server, in", srv.In("r").In("s"), []string{"a", "b"}},
		{"of the server, local", srv.Local().Except("r"), []string{"c"}},
		{"one that is kept is not changed", kept, []string{"b"}},
	} {
		_ = kept.To("r").Except("s")
		if err := errors.Join(c.b.Emit("m"), srv.Emit("end")); err != nil {
			t.Error(err)
		}
		var got []string
		for _, name := range names {
			for peers[name].Text() != `42["end"]` {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: reached %v, want %v", c.name, got, c.want)
		}
	}
}

// A volatile event is for who can take it at once: a polling client between two polls cannot.
func TestVolatileEventsAreDroppedForWhoCannotTakeThem(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p := dialPolling(t, url)
	p.post("40")
	s := await(t, sockets)
	p.get()
	for _, emit := range []func(event string) error{
		func(event string) error { return s.Volatile().Emit(event) },
		func(event string) error { return s.Compress(false).Volatile().Emit(event) },
		func(event string) error { return srv.Volatile().Emit(event) },
		func(event string) error { return srv.To(s.ID()).Volatile().Emit(event) },
	} {
		if err := errors.Join(emit("dropped"), s.Emit("kept")); err != nil {
			t.Error(err)
		}
		if got := p.get(); got != `42["kept"]` {
			t.Errorf("between two polls: %s", got)
		}
		got := make(chan string, 1)
		go func() { got <- p.get() }()
		eventually(t, "the poll waits", s.Session().Writable)
		if err := emit("taken"); err != nil {
			t.Error(err)
		}
		if got := await(t, got); got != `42["taken"]` {
			t.Errorf("while a poll waits: %s", got)
		}
	}
}

// Compress(false) spares what is compressed already.
func TestCompressFalseLeavesTheAnswerPlain(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p := dialPolling(t, url)
	p.post("40")
	s := await(t, sockets)
	p.get()
	text := strings.Repeat("x", 10_000)
	for _, c := range []struct {
		name     string
		emit     func(string, ...any) error
		encoding string
	}{
		{"by default", s.Emit, "gzip"},
		{"socket", s.Compress(false).Emit, ""},
		{"socket, true", s.Compress(true).Emit, "gzip"},
		{"unicast", s.Timeout(time.Second).Compress(false).Emit, ""},
		{"namespace", srv.Compress(false).Emit, ""},
		{"broadcast", srv.To(s.ID()).Compress(false).Emit, ""},
		{"broadcast, true", srv.To(s.ID()).Compress(true).Emit, "gzip"},
	} {
		if err := c.emit("x", text); err != nil {
			t.Error(err)
		}
		req, err := http.NewRequest(http.MethodGet, p.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip") // said by hand, so the body comes as it is
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = res.Body
		encoding := res.Header.Get("Content-Encoding")
		if encoding == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(body)
		_ = res.Body.Close()
		if err != nil || string(got) != `42["x","`+text+`"]` || encoding != c.encoding {
			t.Errorf("%s: encoding %q, want %q; %.20s, %v", c.name, encoding, c.encoding, got, err)
		}
	}
}

// A v2 client is in "/" from the start, and sends a query with a namespace where others send an auth payload.
func TestClientsOfV2(t *testing.T) {
	sockets := make(chan *server.Socket, 4)
	_, url := start(t, server.Config{Transport: transport.Config{AllowEIO3: true}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
		io.Of("/admin").Use(func(s *server.Socket) error {
			var auth struct{ Token, Name string }
			if err := s.Handshake().Auth(&auth); err != nil {
				return err
			}
			if auth.Token != "2" {
				return &server.Error{Message: "no", Data: auth.Token + "/" + auth.Name}
			}
			return nil
		})
		io.Of("/admin").OnConnection(func(s *server.Socket) { sockets <- s })
		io.Of("/admin").On("echo", func(s string) string { return s })
	})
	p := dialEIO(t, url, "3")
	p.Expect("40")
	if s := await(t, sockets); s.ID() != p.SID || s.Handshake().RawAuth() != nil {
		t.Errorf("id %q of session %q, auth %s", s.ID(), p.SID, s.Handshake().RawAuth())
	}
	for _, c := range []struct{ send, want string }{
		{"40/admin,", `44/admin,"/"`},
		{"40/admin?token=1&name=a%20b,", `44/admin,"1/a b"`},
		{"40/nowhere?x=1,", `44/nowhere,{"message":"Invalid namespace"}`},
	} {
		p.Send(c.send)
		p.Expect(c.want)
	}
	p.Send("40/admin?token=1&token=2&flag&bad=%zz,")
	p.Expect("40/admin,")
	s := await(t, sockets)
	if got := string(s.Handshake().RawAuth()); got != `{"flag":"","token":"2"}` {
		t.Errorf("auth %s", got)
	}
	if s.ID() != "/admin#"+p.SID || s.Namespace().Name() != "/admin" {
		t.Errorf("id %q in %q", s.ID(), s.Namespace().Name())
	}
	p.Send(`42/admin,1["echo","x"]`, `42/admin?token=2,2["echo","y"]`)
	p.Expect(`43/admin,1["x"]`, `43/admin,2["y"]`)
	p.Send("41/admin?token=2,")
	eventually(t, "it left", func() bool { return !s.Connected() })
}

func TestDataOfASocket(t *testing.T) {
	type user struct{ Name string }
	var d server.Data
	if d.Get("x") != nil || d.All() != nil {
		t.Error("the zero value is not empty")
	}
	u := &user{"ann"}
	for key, v := range map[string]any{"n": 7, "user": u, "raw": []byte("ab"), "gone": 1} {
		if err := d.Set(key, v); err != nil {
			t.Error(err)
		}
	}
	d.Delete("gone")
	d.Delete("never")
	if err := d.Set("bad", make(chan int)); err == nil || !strings.Contains(err.Error(), `"bad"`) {
		t.Errorf("error %v", err)
	}
	if d.Get("user") != any(u) || d.Get("n") != 7 || d.Get("gone") != nil || d.Get("bad") != nil {
		t.Errorf("not as it was set: %v", d.All())
	}
	if v, ok := server.Value[*user](&d, "user"); !ok || *v != *u {
		t.Errorf("%v, %v", v, ok)
	}
	if err := d.Set("hidden", struct{ name string }{"ann"}); err == nil || d.Get("hidden") != nil {
		t.Errorf("what cannot travel is stored: %v", err)
	}
	if _, ok := server.Value[string](&d, "n"); ok {
		t.Error("a number is a string")
	}
	if all := d.All(); len(all) != 3 || all["n"] != 7 {
		t.Errorf("%v", all)
	}
	if b, _ := d.MarshalJSON(); string(b) != `{"n":7,"raw":"YWI=","user":{"Name":"ann"}}` {
		t.Errorf("%s", b)
	}
}

// One question has one answer, of a socket here, of one on another server, and of one that was recovered.
func TestValueIsTheSameWhereverItCameFrom(t *testing.T) {
	type user struct {
		Name   string
		secret int
	}
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	join(t, url, "/")
	here := &await(t, sockets).Data
	for key, v := range map[string]any{
		"int64": int64(5), "float": 1.5, "user": user{"ann", 7}, "pointer": &user{"bob", 7}, "list": []string{"a"},
		"bytes": []byte{1, 2}, "time": time.Unix(5, 0).UTC(), "null": nil, "text": "5",
	} {
		if err := here.Set(key, v); err != nil {
			t.Fatal(err)
		}
	}
	found, err := srv.FetchSockets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := &found[0].Data
	same(t, here, there, "int64", 5, true)
	same(t, here, there, "int64", int64(5), true)
	same(t, here, there, "int64", uint8(5), true)
	same(t, here, there, "int64", 5.0, true)
	same(t, here, there, "int64", any(5.0), true)
	same(t, here, there, "int64", "", false)
	same(t, here, there, "float", 0, false)
	same(t, here, there, "user", user{Name: "ann"}, true)
	same(t, here, there, "user", map[string]string(nil), true)
	same(t, here, there, "pointer", user{Name: "bob"}, true)
	same(t, here, there, "list", []any{"a"}, true)
	same(t, here, there, "bytes", []byte{1, 2}, true)
	same(t, here, there, "bytes", "AQI=", true)
	same(t, here, there, "time", time.Unix(5, 0).UTC(), true)
	same(t, here, there, "null", 0, true)
	same(t, here, there, "text", 0, false)
	same(t, here, there, "none", 0, false)
}

// same has both say the same of key as a T; want is looked at unless it is nil.
func same[T any](t *testing.T, here, there *server.Data, key string, want T, ok bool) {
	t.Helper()
	a, okHere := server.Value[T](here, key)
	b, okThere := server.Value[T](there, key)
	if okHere != ok || okThere != ok || !reflect.DeepEqual(a, b) {
		t.Errorf("%s as a %T: %v, %v here and %v, %v there, want %v", key, want, a, okHere, b, okThere, ok)
	}
	if v := reflect.ValueOf(&want).Elem(); !v.IsZero() && !reflect.DeepEqual(a, want) {
		t.Errorf("%s as a %T: %v, want %v", key, want, a, want)
	}
}

func TestRemoteSocket(t *testing.T) {
	handled := make(chan bool, 1) // a client is told that it is connected before the connection handlers run
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.Join("room")
			_ = s.Data.Set("n", 7)
			_ = s.Data.Set("list", []string{"a"})
			handled <- true
		})
	})
	p, id := join(t, url, "/")
	await(t, handled)
	found, err := srv.FetchSockets(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	r := found[0]
	rooms := []string{id, "room"}
	got := slices.Sorted(slices.Values(r.Rooms()))
	slices.Sort(rooms)
	if !slices.Equal(got, rooms) {
		t.Errorf("rooms %v, want %v", got, rooms)
	}
	if want := map[string]any{"n": 7.0, "list": []any{"a"}}; !reflect.DeepEqual(r.Data.All(), want) || r.Data.Get("n") != 7.0 {
		t.Errorf("data %v, want %v", r.Data.All(), want)
	}
	if list, ok := server.Value[[]string](&r.Data, "list"); !ok || len(list) != 1 {
		t.Errorf("list %v", list)
	}
	_ = r.Data.Set("n", 8) // a copy
	if again, err := srv.FetchSockets(t.Context()); err != nil || string(again[0].RawData()) != `{"list":["a"],"n":7}` {
		t.Errorf("%v, %v", again, err)
	}
	if err := r.Leave("room"); err != nil {
		t.Error(err)
	}
	if n, err := srv.To("room").Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d in the room, %v", n, err)
	}
	p.answerAcks(`"yes"`)
	answer, err := r.EmitWithAck(t.Context(), "q")
	if v := answer.Values(); err != nil || len(v) != 1 || v[0] != "yes" {
		t.Errorf("answer %v, %v", v, err)
	}
	p.HangUp()
	eventually(t, "it left", func() bool { return srv.LocalCount() == 0 })
	if _, err := r.EmitWithAck(t.Context(), "q"); !errors.Is(err, server.ErrDisconnected) {
		t.Errorf("asked when it was gone: %v", err)
	}
}

// The raw form of arguments tells binaries from what only looks like one.
func TestArgumentsInTheirRawForm(t *testing.T) {
	got := make(chan *server.Event, 1)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("x", func(e *server.Event) { got <- e })
	})
	p, _ := join(t, url, "/")
	p.Send(`452-["x",{"_placeholder":true,"num":1},"text",{"b":{"_placeholder":true,"num":0}},{},null]`)
	p.SendBinary([]byte("first"))
	p.SendBinary([]byte("second"))
	e := await(t, got)
	want := []any{[]byte("second"), "text", map[string]any{"b": []byte("first")}, map[string]any{}, nil}
	if v := e.Values(); !reflect.DeepEqual(v, want) {
		t.Errorf("values %v, want %v", v, want)
	}
	for i := range e.Len() + 1 {
		b, ok := e.Bytes(i)
		if isFirst := i == 0; ok != isFirst || isFirst && string(b) != "second" {
			t.Errorf("argument %d as bytes: %q, %v", i, b, ok)
		}
	}
	if string(e.Raw(1)) != `"text"` || e.Raw(5) != nil || e.Raw(-1) != nil || e.WantsAck() {
		t.Errorf("raw %s", e.Raw(1))
	}
	if err := e.Ack(); !errors.Is(err, server.ErrNoAck) {
		t.Errorf("answer to nobody: %v", err)
	}
}

func TestWhatASocketTellsOfItself(t *testing.T) {
	sockets := make(chan *server.Socket, 2)
	before := time.Now()
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
		io.Of("/b").OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p := dial(t, url)
	p.Connect("/", `{"k":1}`)
	s := await(t, sockets)
	p.Connect("/b", "")
	b := await(t, sockets)
	if s.Session().ID() != p.SID || b.Session() != s.Session() || s.Namespace().Server() != srv || b.Namespace().Server() != srv {
		t.Error("not of one session and server")
	}
	h := s.Handshake()
	if string(h.RawAuth()) != `{"k":1}` || b.Handshake().RawAuth() != nil {
		t.Errorf("auth %s", h.RawAuth())
	}
	if ms := h.Issued(); ms < before.UnixMilli() || ms > time.Now().UnixMilli() {
		t.Errorf("issued %d", ms)
	}
	if got := srv.SocketCounts(); !reflect.DeepEqual(got, map[string]int{"/": 1, "/b": 1}) {
		t.Errorf("counts %v", got)
	}
}

// A server alone in its cluster has nobody to ask, and says what it cannot send.
func TestServerSideEmitOfAServerAlone(t *testing.T) {
	srv, _ := start(t, server.Config{}, func(io *server.Server) {
		io.OnServerSide("x", func() { t.Error("this server gets its own event") })
	})
	if err := srv.ServerSideEmit("x"); err != nil {
		t.Error(err)
	}
	if answers, err := srv.ServerSideEmitWithAck(t.Context(), "x"); err != nil || len(answers) != 0 {
		t.Errorf("%v, %v", answers, err)
	}
	if _, err := srv.ServerSideEmitWithAck(t.Context(), "disconnect"); !errors.Is(err, server.ErrReservedEvent) {
		t.Errorf("reserved: %v", err)
	}
	if n, err := srv.Servers(t.Context()); n != 1 || err != nil {
		t.Errorf("%d servers, %v", n, err)
	}
}

// An adapter that does not close is said by the log, and nobody waits for it.
func TestAdapterThatDoesNotClose(t *testing.T) {
	log := &lines{}
	cfg := server.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}
	cfg.Adapter = func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := adapter.Memory(nil)(n)
		if n.Name() == "/" {
			return a, err
		}
		return closingErr{closing{a, func() {}}, errors.New("broken")}, err
	}
	io, url := start(t, cfg, func(io *server.Server) { io.OfPattern(tenants) })
	for range 2 {
		p, _ := join(t, url, "/tenant-5")
		p.HangUp()
		onlyMain(t, io)
	}
	// Behind that it is in the list no more.
	eventually(t, "each is said", func() bool { return log.count(`msg="adapter not closed" namespace=/tenant-5 err=broken`) == 2 })
}

// unresumed is an adapter whose sessions are taken by somebody else between Restore and Resume.
type unresumed struct{ adapter.Adapter }

var errTaken = errors.New("taken by somebody else")

func (unresumed) Resume(context.Context, adapter.Member, *adapter.Session, func(adapter.Message)) error {
	return errTaken
}

// A client whose session cannot be resumed begins anew: with a new id, through all middlewares, and without
// what they did the first time.
func TestSessionThatCannotBeResumedBeginsAnew(t *testing.T) {
	sockets, gone := make(chan *server.Socket, 2), make(chan string, 2)
	passed := 0
	_, url := start(t, server.Config{
		Recovery: &server.Recovery{},
		Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
			a, err := adapter.Memory(&adapter.Recovery{})(n)
			return unresumed{a}, err
		},
	}, func(io *server.Server) {
		io.UseAlways(func(s *server.Socket) error {
			passed++
			s.Join("always")
			return s.Emit("early")
		})
		io.Use(identified)
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(why server.Disconnection) { gone <- string(why.Reason) })
			s.Join("room")
			sockets <- s
		})
	})
	p := dial(t, url)
	first := p.connect(`{"name":"ann"}`)
	await(t, sockets)
	p.HangUp()
	await(t, gone)
	q := dial(t, url)
	again := q.connect(`{"name":"bob","pid":"` + first.PID + `"}`)
	s := await(t, sockets)
	if s.Recovered() || !errors.Is(s.RecoveryError(), errTaken) || again.SID == first.SID || again.PID == first.PID {
		t.Errorf("recovered %v, %v, as %v", s.Recovered(), s.RecoveryError(), again)
	}
	if s.Identity() != "bob" || passed != 3 {
		t.Errorf("identity %q, %d middlewares", s.Identity(), passed)
	}
	if rooms := s.Rooms(); len(rooms) != 3 {
		t.Errorf("rooms %v", rooms)
	}
	_ = s.Emit("end")
	if got := q.Text(); !strings.HasPrefix(got, `42["early",`) {
		t.Errorf("got %s", got)
	}
	if got := q.Text(); !strings.HasPrefix(got, `42["end",`) {
		t.Errorf("got %s, want what was emitted early once", got)
	}
}

// A socket's id is a room that it can leave and join again. What is emitted to itself reaches it all the same.
func TestASocketMayLeaveTheRoomOfItsID(t *testing.T) {
	for name, recovery := range map[string]*server.Recovery{"plain": nil, "recovery": {}} {
		t.Run(name, func(t *testing.T) {
			sockets := make(chan *server.Socket, 1)
			srv, url := start(t, server.Config{Recovery: recovery}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) { sockets <- s })
			})
			p, id := join(t, url, "/")
			s := await(t, sockets)
			s.Join("r")
			check := func(rooms []string, want string) {
				t.Helper()
				_ = srv.To(id).Emit("to id")
				_ = srv.To("r", id).Emit("to r and id")
				_ = s.Emit("direct")
				_ = s.Broadcast().Emit("broadcast")
				_ = srv.Except(id).Emit("except")
				_ = srv.Emit("all")
				var got []string
				for last := ""; last != "all"; got = append(got, last) {
					var packet []string
					if err := json.Unmarshal([]byte(p.Text()[2:]), &packet); err != nil {
						t.Fatal(err)
					}
					last = packet[0]
				}
				if got := strings.Join(got, ", "); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if !slices.Equal(s.Rooms(), rooms) {
					t.Errorf("in %v, want %v", s.Rooms(), rooms)
				}
				there, err := srv.Exists(t.Context(), id)
				found, err2 := srv.In(id).FetchSockets(t.Context())
				in := slices.Contains(rooms, id)
				if err != nil || err2 != nil || there != in || (len(found) == 1) != in || srv.Socket(id) != s || srv.LocalCount() != 1 {
					t.Errorf("there %v, %d found, %v, %v", there, len(found), err, err2)
				}
			}
			check([]string{id, "r"}, "to id, to r and id, direct, all")
			s.Leave(id)
			s.Leave(id)
			check([]string{"r"}, "to r and id, direct, all")
			s.Join(id)
			s.Join(id)
			check([]string{id, "r"}, "to id, to r and id, direct, all")
			if err := srv.In("r").SocketsLeave(id); err != nil {
				t.Error(err)
			}
			check([]string{"r"}, "to r and id, direct, all")
			if err := srv.In("r").SocketsJoin(id); err != nil {
				t.Error(err)
			}
			check([]string{id, "r"}, "to id, to r and id, direct, all")
		})
	}
}
