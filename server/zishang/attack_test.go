package zishang_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	epacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/server/zishang"
)

// The tests of this file use the library's API as its README and Node's documentation do.

type key struct{}

// What middlewares around the handler have put into the request's context is there.
func TestContextOfTheRequest(t *testing.T) {
	got := make(chan any, 1)
	srv, handler, err := zishang.New(zishang.Config{})
	if err != nil {
		t.Fatal(err)
	}
	onConnection(srv.Sockets(), func(s *socket.Socket) {
		ctx := s.Request().Context()
		got <- fmt.Sprintln(ctx.Value(key{}), ctx.Err(), s.Request().Request().Context().Value(key{}))
	})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "user")))
	}))
	n := &node{srv, handler, web.URL}
	t.Cleanup(func() { n.stop(t); web.Close() })
	join(t, n.url, "/")
	if s := await(t, got); s != "user <nil> user\n" {
		t.Error(s)
	}
}

// Options that come too late are not ignored in silence.
func TestOptionsAfterNew(t *testing.T) {
	for name, change := range map[string]func(*socket.Server){
		"":        func(*socket.Server) {},
		"opts":    func(srv *socket.Server) { srv.Opts().(*socket.ServerOptions).SetPingTimeout(time.Second) },
		"timeout": func(srv *socket.Server) { srv.SetConnectTimeout(time.Second) },
		"path":    func(srv *socket.Server) { srv.SetPath("/ws") },
		"bundle":  func(srv *socket.Server) { srv.SetServeClient(!srv.ServeClient()) },
		"adapter": func(srv *socket.Server) { srv.SetAdapter(&socket.AdapterBuilder{}) },
	} {
		var log bytes.Buffer
		srv, handler, err := zishang.New(zishang.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		change(srv)
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/socket.io/", nil))
		if told := strings.Contains(log.String(), "not used"); told != (name != "") {
			t.Errorf("%s: log %s", name, &log)
		}
		(&node{srv, handler, ""}).stop(t)
	}
}

// What a host is told of development, and is not for these applications, is not ignored in silence.
func TestDevelopmentIsForPackageServer(t *testing.T) {
	for _, sc := range []server.Config{{}, {Development: true}, {Debug: "*"}} {
		var log bytes.Buffer
		sc.Logger = slog.New(slog.NewTextHandler(&log, nil))
		zishang.FromServer(sc, nil)
		if told := log.Len() > 0; told != (sc.Development || sc.Debug != "") {
			t.Errorf("%v, %q: log %s", sc.Development, sc.Debug, &log)
		}
	}
}

// Socket.Conn tells of what comes.
func TestConnTellsOfPackets(t *testing.T) {
	var got notes
	n := start(t, zishang.Config{}, func(srv *socket.Server) {
		onConnection(srv.Sockets(), func(s *socket.Socket) {
			_ = s.Conn().On("packet", func(args ...any) {
				p := args[0].(*epacket.Packet)
				b, _ := io.ReadAll(p.Data)
				got.add("%s %s", p.Type, b)
				panic("listener")
			})
			_ = s.Conn().On("data", func(args ...any) { got.add("data %s", args[0]) })
			_ = s.Conn().On("message", func(args ...any) { _, text := args[0].(*types.StringBuffer); got.add("text %v", text) })
			echo(s)
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`421["echo",1]`)
	p.Expect(`431[1]`)
	for _, want := range []string{`message 21["echo",1]`, `data 21["echo",1]`, "text true"} {
		if !got.has(want) {
			t.Errorf("no %q in %q", want, got.list)
		}
	}
}

// Values leave as from the library.
func TestValuesAreTheLibrarys(t *testing.T) {
	n := start(t, zishang.Config{}, func(srv *socket.Server) {
		onConnection(srv.Sockets(), func(s *socket.Socket) {
			_ = s.Emit("v", nil, []any(nil), map[string]any(nil), map[string]any{"a": map[string]any(nil), "b": []any(nil)})
			_ = s.Emit("n", math.NaN(), math.Inf(1))
			_ = s.Emit("r", strings.NewReader("text"), types.NewStringBufferString("more"))
			_ = s.Emit("b", []byte(nil), types.NewBytesBufferString("x"))
			_ = s.Emit("after")
		})
	})
	p, _ := join(t, n.url, "/")
	p.Expect(`42["v",null,[],{},{"a":{},"b":[]}]`, `42["n",null,null]`, `42["r","text","more"]`,
		`452-["b",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	p.ExpectBinary("")
	p.ExpectBinary("x")
	p.Expect(`42["after"]`)
}

// Functions that are nil, and callbacks that panic, end nothing.
func TestNilFunctions(t *testing.T) {
	n := start(t, zishang.Config{}, func(srv *socket.Server) {
		srv.Of("/refused", nil).Use(nil)
		_ = srv.On("connection", nil)
		_ = srv.On("new_namespace", func(...any) { panic("new_namespace") })
		onConnection(srv.Of("/made", nil), echo)
		onConnection(srv.Sockets(), func(s *socket.Socket) {
			s.Join()
			s.Leave("")
			s.OnAny(nil)
			_ = s.On("x", nil)
			_ = s.Once("x", nil)
			_ = s.Emit("hello", nil)
			_ = s.Conn().On("close", func(...any) { panic("close") })
			_ = s.On("disconnect", func(...any) { panic("disconnect") })
			_ = s.On("use", func(...any) { s.Use(nil) })
			echo(s)
		})
	})
	for range 2 {
		p := dial(t, n.url)
		p.Send("40/refused,")
		p.Expect(`44/refused,{"message":"internal error"}`)
		p.Connect("/", "")
		p.Expect(`42["hello",null]`)
		p.Connect("/made", "")
		p.Send(`421["echo",1]`)
		p.Expect("431[1]")
		p.Send(`42/made,1["echo",1]`)
		p.Expect("43/made,1[1]")
		p.Send(`42["use"]`, `421["echo",1]`)
		p.Expect(`431[{"error":"internal error"}]`)
		p.HangUp()
	}
	if _, _, err := zishang.New(zishang.Config{Observers: []server.Observer{nil}}); err == nil {
		t.Error("a nil observer is taken")
	}
}

// The flags and targets of a broadcast.
func TestTargets(t *testing.T) {
	var mu sync.Mutex
	sockets := make(map[string]*socket.Socket)
	n := start(t, zishang.Config{}, func(srv *socket.Server) {
		onConnection(srv.Sockets(), func(s *socket.Socket) {
			name := s.Handshake().Auth.(map[string]any)["name"].(string)
			s.Join("all", socket.Room(name))
			mu.Lock()
			sockets[name] = s
			mu.Unlock()
			echo(s)
		})
	})
	peers := make(map[string]*peer)
	for _, name := range []string{"a", "b", "c"} {
		peers[name] = dial(t, n.url)
		peers[name].Connect("/", `{"name":"`+name+`"}`)
		peers[name].Send(`421["echo",1]`)
		peers[name].Expect(`431[1]`)
	}
	a := sockets["a"]
	for i, tt := range []struct {
		emit func(event string)
		to   string
	}{
		{func(e string) { n.io.Emit(e) }, "abc"},
		{func(e string) { _ = n.io.To("a", "b").Emit(e) }, "ab"},
		{func(e string) { _ = n.io.To("a").To("b").Except("b").Emit(e) }, "a"},
		{func(e string) { _ = n.io.Except("a").Emit(e) }, "bc"},
		{func(e string) { _ = n.io.In("all").Except(socket.Room(a.Id())).Emit(e) }, "bc"},
		{func(e string) { _ = n.io.Local().Volatile().Compress(true).Emit(e) }, "abc"},
		{func(e string) { _ = a.Broadcast().Emit(e) }, "bc"},
		{func(e string) { _ = a.To("a", "b").Emit(e) }, "b"},
		{func(e string) { _ = a.Except("b").Emit(e) }, "c"},
		{func(e string) { _ = a.Local().Volatile().Emit(e) }, "bc"},
		{func(e string) { _ = a.Compress(false).Volatile().Emit(e) }, "a"},
		{func(e string) { _ = n.io.To("nobody").Emit(e) }, ""},
		{func(e string) { n.io.In("c").SocketsLeave("all"); _ = n.io.To("all").Emit(e) }, "ab"},
		{func(e string) { n.io.In("c").SocketsJoin("x", "all"); _ = n.io.To("x").Emit(e) }, "c"},
		{func(e string) {
			n.io.FetchSockets()(func(list []*socket.RemoteSocket, _ error) { _ = list[0].Emit(e) })
		}, "?"},
	} {
		event := fmt.Sprint("e", i)
		tt.emit(event)
		n.io.Emit("end", i)
		reached := ""
		for _, name := range []string{"a", "b", "c"} {
			for {
				got := peers[name].Text()
				if got == fmt.Sprintf(`42["end",%d]`, i) {
					break
				}
				if got != `42["`+event+`"]` {
					t.Fatalf("%d: %s got %s", i, name, got)
				}
				reached += name
			}
		}
		if reached != tt.to && !(tt.to == "?" && len(reached) == 1) {
			t.Errorf("%d reached %q, want %q", i, reached, tt.to)
		}
	}
	late := make(chan string, 4)
	a.Timeout(20 * time.Millisecond).EmitWithAck("q")(func(args []any, err error) { late <- fmt.Sprint(args, err != nil) })
	if s := await(t, late); s != "[] true" {
		t.Error(s)
	}
	n.io.In("b").DisconnectSockets(false)
	peers["b"].Expect("41")
	n.io.In("c").DisconnectSockets(true)
	peers["c"].Expect("41")
	peers["c"].ExpectClosed()
	ids, err := n.io.AllSockets()
	if err != nil || ids.Len() != 1 || !ids.Has(a.Id()) {
		t.Errorf("sockets %v: %v", ids.Keys(), err)
	}
}

// The other wire forms.
func TestOldAndBinaryClients(t *testing.T) {
	options := socket.DefaultServerOptions()
	options.SetAllowEIO3(true)
	n := start(t, zishang.Config{Options: options}, func(srv *socket.Server) {
		srv.Of("/no", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
			next(socket.NewExtendedError("no", map[string]any{"why": 1}))
		})
		onConnection(srv.Sockets(), func(s *socket.Socket) { s.Join("r"); echo(s) })
		onConnection(srv.Of("/x", nil), echo)
	})
	p := dialEIO(t, n.url, "3")
	p.Expect("40")
	p.Send(`421["echo",1]`)
	p.Expect("431[1]")
	_ = n.io.To("r").Emit("b", []byte("bin"))
	p.Expect(`451-["b",{"_placeholder":true,"num":0}]`)
	p.ExpectBinary("\x04bin")
	p.Send("40/x?token=1")
	p.Expect("40/x,")
	p.Send(`42/x,1["echo",2]`)
	p.Expect("43/x,1[2]")
	p.Send("40/no")
	p.Expect(`44/no,{"why":1}`)

	m := start(t, zishang.Config{Parser: packet.MsgPack(), Options: withRecovery()}, func(srv *socket.Server) {
		onConnection(srv.Sockets(), func(s *socket.Socket) {
			_ = s.On("bin", func(args ...any) {
				b := args[0].(*types.BytesBuffer)
				args[len(args)-1].(socket.Ack)([]any{b.Bytes(), b.Len()}, nil)
			})
		})
	})
	q := dial(t, m.url)
	send := func(p *packet.Packet) {
		for _, msg := range packet.MsgPack().Encode(nil, nil, p) {
			q.SendBinary(msg.Data)
		}
	}
	read := func() *packet.Packet {
		data, _, err := q.Read()
		if err != nil {
			t.Fatal(err)
		}
		got, err := packet.MsgPack().NewDecoder(packet.Limits{}).Add(packet.Message{Data: data, Binary: true})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	send(&packet.Packet{Type: packet.Connect, Namespace: "/"})
	if got := read(); got.Type != packet.Connect || !bytes.Contains(got.Data, []byte("pid")) {
		t.Fatalf("%+v", got)
	}
	data, attachments, _ := packet.AppendEvent(nil, nil, "bin", []any{[]byte("abc")})
	send(&packet.Packet{Type: packet.Event, Namespace: "/", ID: 7, HasID: true, Data: data, Attachments: attachments})
	if got := read(); got.Type != packet.Ack || got.ID != 7 || len(got.Attachments) != 1 || string(got.Attachments[0]) != "abc" {
		t.Errorf("%+v", got)
	}
}

// Everything at once, from everywhere.
func TestEverythingAtOnce(t *testing.T) {
	var over atomic.Bool
	n := start(t, zishang.Config{Options: withRecovery()}, func(srv *socket.Server) {
		srv.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
			s.Join("mid")
			_ = s.Emit("early")
			go next(nil)
		})
		parents["function"](srv).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) { next(nil); next(nil) })
		on := func(s *socket.Socket) {
			s.Use(func(_ []any, next func(error)) { go next(nil) })
			s.OnAny(func(...any) { s.SetData(map[string]any{"n": 1}) })
			s.OnAnyOutgoing(func(...any) { _ = s.Data() })
			_ = s.On("disconnecting", func(...any) { _ = s.Rooms(); s.Leave("mid") })
			_ = s.On("leave", func(...any) { s.Disconnect(true) })
			echo(s)
		}
		onConnection(srv.Sockets(), on)
		onConnection(srv.Of("/tenant-9", nil), on)
	})
	var busy, clients sync.WaitGroup
	for _, act := range []func(){
		func() { n.io.Emit("all", map[string]any{"x": []byte("y")}) },
		func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			defer cancel()
			_, _ = zishang.Ask(ctx, n.io.Sockets(), []socket.Room{"mid"}, "q")
		},
		func() {
			n.io.FetchSockets()(func(list []*socket.RemoteSocket, _ error) {
				for _, s := range list {
					_, _, _ = s.Data(), s.Rooms().Keys(), s.Handshake().Address
					s.Join("club")
				}
			})
		},
		func() { n.io.In("club").SocketsLeave("club"); _, _ = n.io.AllSockets() },
		func() { _ = n.io.Of("/tenant-3", nil).Emit("x"); _ = n.io.Sockets().Adapter().Rooms() },
		func() {
			n.io.Sockets().Sockets().Range(func(_ socket.SocketId, s *socket.Socket) bool { _ = s.Emit("y"); return true })
		},
		func() { n.io.In("mid").DisconnectSockets(false); time.Sleep(20 * time.Millisecond) },
	} {
		busy.Go(func() {
			for !over.Load() {
				act()
				time.Sleep(time.Millisecond)
			}
		})
	}
	for i := range 4 {
		clients.Go(func() {
			for k := range 25 {
				p := dial(t, n.url)
				p.Flood(1, "40")
				p.Flood(1, fmt.Sprintf("40/tenant-%d,", k%4))
				p.Flood(1, `421["echo",1]`)
				p.Flood(1, `42["leave"]`)
				if (i+k)%2 == 0 {
					time.Sleep(5 * time.Millisecond)
				}
				p.HangUp()
			}
		})
	}
	clients.Wait()
	over.Store(true)
	busy.Wait()
	eventually(t, "all gone", func() bool { return n.io.Sockets().Sockets().Len() == 0 })
	if st := n.handler.Stats(); st.Panics != 0 {
		t.Errorf("%d panics", st.Panics)
	}
}
