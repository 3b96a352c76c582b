package zishang_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
	"github.com/beanpole/beanpole/transport"
)

// echo answers every event "echo" with its arguments.
func echo(s *socket.Socket) {
	_ = s.On("echo", func(args ...any) {
		if ack, ok := args[len(args)-1].(socket.Ack); ok {
			ack(args[:len(args)-1], nil)
			return
		}
		_ = s.Emit("echo", args...)
	})
}

func TestApplicationTalksToClient(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			echo(s)
			s.Join("lobby")
			_ = s.Emit("hello", s.Id(), 1, true, map[string]any{"a": []string{"b"}})
		})
	})
	p, id := join(t, n.url, "/")
	if len(id) != 20 {
		t.Errorf("socket id %q has %d characters; Node's have 20", id, len(id))
	}
	p.Expect(`42["hello","` + id + `",1,true,{"a":["b"]}]`)
	p.Send(`42["echo",1.5,"x",null,{"y":[2]}]`)
	p.Expect(`42["echo",1.5,"x",null,{"y":[2]}]`)
	p.Send(`427["echo","x"]`)
	p.Expect(`437["x"]`)
	n.io.To("lobby").Emit("news", "n")
	p.Expect(`42["news","n"]`)
	n.io.Emit("all")
	p.Expect(`42["all"]`)
}

func TestBinaryArrivesAndLeavesWhole(t *testing.T) {
	kinds := make(chan string, 2)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("bin", func(args ...any) {
				b := args[0].(types.BufferInterface)
				kinds <- fmt.Sprintf("%T %s", args[0], b.Bytes())
				_ = s.Emit("back", b, []byte("two"), strings.NewReader("text"))
				_ = io.Sockets().Emit("all", b, struct{ B []byte }{[]byte("three")})
			})
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`451-["bin",{"_placeholder":true,"num":0}]`)
	p.SendBinary([]byte("one"))
	if got := await(t, kinds); got != "*types.BytesBuffer one" {
		t.Errorf("handler got %s", got)
	}
	p.Expect(`452-["back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},"text"]`)
	p.ExpectBinary("one")
	p.ExpectBinary("two")
	p.Expect(`452-["all",{"_placeholder":true,"num":0},{"B":{"_placeholder":true,"num":1}}]`)
	p.ExpectBinary("one")
	p.ExpectBinary("three")
}

func TestMiddlewareRefuses(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
			if auth, _ := s.Handshake().Auth.(map[string]any); auth["token"] != "t" {
				next(socket.NewExtendedError("who are you", nil))
				return
			}
			next(nil)
		})
		io.Of("/data", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
			go next(socket.NewExtendedError("no", map[string]any{"code": 7}))
		})
	})
	p := dial(t, n.url)
	p.Send("40")
	p.Expect(`44{"message":"who are you"}`)
	p.Send("40/data,")
	p.Expect(`44/data,{"message":"no","data":{"code":7}}`)
	p.Send("40/none,")
	p.Expect(`44/none,{"message":"Invalid namespace"}`)
	p.Connect("/", `{"token":"t"}`) // a client that was refused may try again
	eventually(t, "all counted", func() bool {
		got := n.handler.Stats()
		return got.Connected == 1 && got.RefusedConnects == 3
	})
}

func TestHandshakeIsNodes(t *testing.T) {
	got := make(chan *socket.Handshake, 1)
	n := start(t, zishang.Config{
		Transport: transport.Config{},
	}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			if s.Request().Method() != "GET" || s.Conn().Transport().Name() != "websocket" {
				t.Errorf("request %s over %s", s.Request().Method(), s.Conn().Transport().Name())
			}
			got <- s.Handshake()
		})
	})
	join(t, n.url, "/")
	h := await(t, got)
	if h.Address != "127.0.0.1" || h.Headers["X-Test"][0] != "yes" || h.Query["EIO"][0] != "4" || h.Xdomain || h.Secure ||
		!strings.HasPrefix(h.Url, "/socket.io/?EIO=4") {
		t.Errorf("handshake %+v", h)
	}
}

func TestSocketMiddlewareSeesEvents(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			echo(s)
			s.OnAny(func(args ...any) { _ = s.Emit("any", args[0]) })
			s.Use(func(args []any, next func(error)) {
				switch args[1] {
				case "bad":
					next(fmt.Errorf("no %v", args[1]))
				case "late":
					go func() { time.Sleep(time.Millisecond); next(nil) }()
				case "change":
					args[1] = "changed"
					next(nil)
				default:
					next(nil)
				}
			})
			_ = s.On("error", func(args ...any) { _ = s.Emit("failed", args[0].(error).Error()) })
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`42["echo","bad"]`)
	p.Expect(`42["any","echo"]`, `42["failed","no bad"]`)
	p.Send(`42["echo","late"]`)
	p.Expect(`42["any","echo"]`, `42["echo","late"]`)
	p.Send(`423["echo","change"]`)
	p.Expect(`42["any","echo"]`, `433["changed"]`)
}

func TestEmitWaitsForAck(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("ask", func(...any) {
				// A handler may wait for its own client: acknowledgements overtake events.
				answer := make(chan []any, 1)
				s.EmitWithAck("question", 1)(func(args []any, err error) { answer <- append(args, err) })
				_ = s.Emit("answered", <-answer)
			})
			_ = s.On("then", func(...any) { _ = s.Emit("then") })
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`42["ask"]`, `42["then"]`)
	p.Expect(`421["question",1]`)
	p.Send(`431["yes",2]`, `431["again"]`)
	p.Expect(`42["answered",["yes",2,null]]`, `42["then"]`)
}

func TestNamespacesShareSession(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), echo)
		onConnection(io.Of("/a", nil), echo)
	})
	p, _ := join(t, n.url, "/")
	p.Connect("/a", "")
	p.Send(`42/a,["echo",1]`)
	p.Expect(`42/a,["echo",1]`)
	p.Send("41/a,", "40/a,") // leave, and come again at once
	if got := p.Text(); !strings.HasPrefix(got, `40/a,{"sid":"`) {
		t.Fatalf("got %q", got)
	}
	p.Send(`42/a,["echo",2]`)
	p.Expect(`42/a,["echo",2]`)
	p.Send(`42["echo",3]`)
	p.Expect(`42["echo",3]`)
}

func TestOldClientConnectsToRoot(t *testing.T) {
	options := socket.DefaultServerOptions()
	options.SetAllowEIO3(true)
	auth := make(chan any, 1)
	n := start(t, zishang.Config{Options: options}, func(io *socket.Server) {
		onConnection(io.Sockets(), echo)
		onConnection(io.Of("/a", nil), func(s *socket.Socket) { auth <- s.Handshake().Auth; echo(s) })
	})
	p := dialEIO(t, n.url, "3")
	p.Expect("40")
	p.Send(`42["echo",1]`)
	p.Expect(`42["echo",1]`)
	p.Send("40/a?token=x,")
	p.Expect("40/a,")
	if got := fmt.Sprint(await(t, auth)); got != "map[token:[x]]" {
		t.Errorf("auth is %s", got)
	}
	p.Send(`42/a,["echo",2]`)
	p.Expect(`42/a,["echo",2]`)
	if s, ok := n.io.Sockets().Sockets().Load(socket.SocketId(p.SID)); !ok || string(s.Id()) != p.SID {
		t.Error("a v2 client takes its session id for its socket's")
	}
}

func TestTypedHandlers(t *testing.T) {
	type order struct {
		Name  string
		Image []byte
		Sizes []int
	}
	gone := make(chan error, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			zishang.OnAck(s, "order", func(_ context.Context, o order) (map[string]any, error) {
				if o.Name == "" {
					return nil, fmt.Errorf("no name")
				}
				return map[string]any{"got": o.Name, "bytes": len(o.Image), "sizes": o.Sizes}, nil
			})
			zishang.On(s, "stay", func(ctx context.Context, _ struct{}) error {
				<-ctx.Done()
				gone <- ctx.Err()
				return nil
			})
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`451-1["order",{"Name":"tea","Image":{"_placeholder":true,"num":0},"Sizes":[1,2]}]`)
	p.SendBinary([]byte("pic"))
	p.Expect(`431[{"bytes":3,"got":"tea","sizes":[1,2]}]`)
	p.Send(`422["order",{}]`)
	p.Expect(`432[{"error":"no name"}]`)
	p.Send(`423["order",[]]`)
	if got := p.Text(); !strings.HasPrefix(got, `433[{"error":"`) {
		t.Errorf("got %q", got)
	}
	p.Send(`42["stay"]`)
	p.HangUp()
	if err := await(t, gone); err != context.Canceled {
		t.Errorf("context ended with %v", err)
	}
}

func TestLimitsHold(t *testing.T) {
	n := start(t, zishang.Config{Limits: server.Limits{EventsPerSecond: 5, MaxNamespaces: 2}}, func(io *socket.Server) {
		for _, name := range []string{"/", "/a", "/b"} {
			onConnection(io.Of(name, nil), echo)
		}
	})
	p, _ := join(t, n.url, "/")
	p.Connect("/a", "")
	p.Send("40/b,")
	p.Expect(`44/b,{"message":"too many namespaces"}`)
	for i := range 10 {
		p.Send(fmt.Sprintf(`42["echo",%d]`, i))
	}
	p.Send(`42["echo",99]`)
	p.ExpectClosed()
	if got := n.handler.Stats(); got.RateLimited != 1 {
		t.Errorf("stats %+v", got)
	}
}

func TestCloseByApplication(t *testing.T) {
	reasons := make(chan string, 4)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("disconnect", func(args ...any) { reasons <- args[0].(string) })
			echo(s)
			_ = s.On("bye", func(...any) {
				_ = s.Emit("last")
				s.Disconnect(true)
				_ = s.Emit("never")
			})
		})
	})
	p, _ := join(t, n.url, "/")
	p.Send(`42["bye"]`)
	p.Expect(`42["last"]`, `41`)
	p.ExpectClosed()
	if got := await(t, reasons); got != "server namespace disconnect" {
		t.Errorf("reason %q", got)
	}
	q, _ := join(t, n.url, "/")
	q.Send(`42["echo",1]`)
	q.Expect(`42["echo",1]`)
	go n.io.Close(nil) // as applications of the library do
	q.ExpectClosed()
	if got := await(t, reasons); got != "server shutting down" {
		t.Errorf("reason %q", got)
	}
}

func TestConcurrentSocketsDoNotShareAnything(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { echo(s); s.Join("all") })
	})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p, _ := join(t, n.url, "/")
			for k := range 50 {
				p.Send(fmt.Sprintf(`42["echo",%d]`, i*1000+k))
			}
			for k := range 50 {
				p.Expect(fmt.Sprintf(`42["echo",%d]`, i*1000+k))
			}
		})
	}
	wg.Wait()
}
