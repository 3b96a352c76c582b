package zishang_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
)

// onRedis makes the adapter of one node.
func onRedis(t *testing.T, s *redistest.Server, mode redis.Mode, r *adapter.Recovery) adapter.Factory {
	t.Helper()
	c, err := redis.New(redis.Config{URL: s.URL(), Mode: mode, Recovery: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("cluster: %v", err)
		}
	})
	return c.Adapter()
}

// clustered waits until all nodes know of each other.
func clustered(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, "all servers known", func() bool {
			time.Sleep(20 * time.Millisecond)
			return n.io.Sockets().Adapter().ServerCount() == int64(len(nodes))
		})
	}
}

func TestCluster(t *testing.T) {
	for _, mode := range []redis.Mode{redis.PubSub, redis.Sharded, redis.Streams} {
		t.Run(string(mode), func(t *testing.T) { testCluster(t, mode) })
	}
}

func testCluster(t *testing.T, mode redis.Mode) {
	s := redistest.Start(t)
	setup := func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			s.SetData(map[string]any{"name": "n"})
			s.Join("a")
			_ = s.On("reach", func(args ...any) {
				_ = io.To(socket.Room(args[0].(string))).Emit("reached", args[1:]...)
			})
			echo(s)
		})
		_ = io.On("question", func(args ...any) {
			ack := args[len(args)-1].(socket.Ack)
			ack([]any{fmt.Sprint("answer to ", args[0])}, nil)
		})
	}
	a := start(t, zishang.Config{Adapter: onRedis(t, s, mode, nil)}, setup)
	b := start(t, zishang.Config{Adapter: onRedis(t, s, mode, nil)}, setup)
	clustered(t, a, b)
	p, pid := join(t, a.url, "/")
	q, qid := join(t, b.url, "/")
	for _, c := range []*peer{p, q} { // their connection handlers have run
		c.Send(`42["echo",1]`)
		c.Expect(`42["echo",1]`)
	}
	eventually(t, "rooms known", func() bool { return remoteRooms(t, a) == 2 && remoteRooms(t, b) == 2 })

	t.Run("Broadcast", func(t *testing.T) {
		a.io.Emit("all", 1)
		p.Expect(`42["all",1]`)
		q.Expect(`42["all",1]`)
		a.io.To("a", "b").Emit("rooms", 2)
		p.Expect(`42["rooms",2]`)
		q.Expect(`42["rooms",2]`)
		p.Send(`42["reach","` + qid + `","x"]`)
		q.Expect(`42["reached","x"]`)
		a.io.Local().Emit("here")
		p.Expect(`42["here"]`)
	})
	t.Run("Binary", func(t *testing.T) {
		a.io.Emit("bin", types.NewBytesBufferString("one"), struct{ B []byte }{[]byte("two")})
		for _, c := range []*peer{p, q} {
			c.Expect(`452-["bin",{"_placeholder":true,"num":0},{"B":{"_placeholder":true,"num":1}}]`)
			c.ExpectBinary("one")
			c.ExpectBinary("two")
		}
	})
	t.Run("Fetch", func(t *testing.T) {
		for _, n := range []*node{a, b} {
			var ids []string
			n.io.FetchSockets()(func(list []*socket.RemoteSocket, err error) {
				if err != nil {
					t.Error(err)
				}
				for _, r := range list {
					ids = append(ids, string(r.Id()))
					if !r.Rooms().Has("a") || r.Data().(map[string]any)["name"] != "n" || r.Handshake().Address != "127.0.0.1" {
						t.Errorf("remote socket %v %v %+v", r.Rooms().Keys(), r.Data(), r.Handshake())
					}
				}
			})
			slices.Sort(ids)
			want := []string{pid, qid}
			slices.Sort(want)
			if !slices.Equal(ids, want) {
				t.Errorf("fetched %v, want %v", ids, want)
			}
		}
		a.io.In("nobody").FetchSockets()(func(list []*socket.RemoteSocket, err error) {
			if len(list) != 0 || err != nil {
				t.Errorf("%v %v", list, err)
			}
		})
	})
	t.Run("Acks", func(t *testing.T) {
		got := make(chan string, 1)
		go func() {
			answers, err := zishang.Ask(t.Context(), a.io.Sockets(), nil, "ask")
			got <- fmt.Sprint(answers, err)
		}()
		for _, c := range []*peer{p, q} {
			packet := c.Text() // 42<id>["ask"]
			c.Send("43" + strings.TrimSuffix(packet[2:], `["ask"]`) + `["yes"]`)
		}
		if got := await(t, got); got != "[yes yes] <nil>" {
			t.Error(got)
		}
	})
	t.Run("ServerSide", func(t *testing.T) {
		got := make(chan string, 1)
		if err := a.io.ServerSideEmit("question", 7, func(args []any, err error) { got <- fmt.Sprint(args, err) }); err != nil {
			t.Fatal(err)
		}
		if got := await(t, got); got != "[answer to 7] <nil>" {
			t.Error(got)
		}
	})
	t.Run("Manage", func(t *testing.T) {
		a.io.In(socket.Room(qid)).SocketsJoin("joined")
		eventually(t, "joined", func() bool {
			set, ok := b.io.Sockets().Adapter().Rooms().Load("joined")
			return ok && set.Has(socket.SocketId(qid))
		})
		a.io.In("joined").DisconnectSockets(true)
		q.Expect("41")
		q.ExpectClosed()
	})
}

// remoteRooms returns how many sockets of the cluster a node sees.
func remoteRooms(t *testing.T, n *node) (count int) {
	t.Helper()
	n.io.FetchSockets()(func(list []*socket.RemoteSocket, _ error) { count = len(list) })
	return count
}

func TestClusterWithNativeServer(t *testing.T) {
	s := redistest.Start(t)
	a := start(t, zishang.Config{Adapter: onRedis(t, s, redis.PubSub, nil)}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { s.Join("room"); echo(s) })
	})
	native, err := server.New(server.Config{Adapter: onRedis(t, s, redis.PubSub, nil)})
	if err != nil {
		t.Fatal(err)
	}
	native.OnConnection(func(s *server.Socket) { s.Join("room") })
	native.On("echo", func(v int) int { return v })
	web := httptest.NewServer(native)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := native.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	p, _ := join(t, a.url, "/")
	q, _ := join(t, web.URL, "/")
	p.Send(`42["echo",1]`)
	p.Expect(`42["echo",1]`)
	q.Send(`421["echo",1]`)
	q.Expect(`431[1]`)
	eventually(t, "both see both", func() bool {
		count, err := native.Count(t.Context())
		return err == nil && count == 2 && remoteRooms(t, a) == 2
	})
	a.io.To("room").Emit("from zishang", []byte("b"))
	if err := native.To("room").Emit("from native", 1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*peer{p, q} {
		for range 2 {
			switch got := c.Text(); got {
			case `451-["from zishang",{"_placeholder":true,"num":0}]`:
				c.ExpectBinary("b")
			case `42["from native",1]`:
			default:
				t.Errorf("got %q", got)
			}
		}
	}
}

func TestClusterRecovery(t *testing.T) {
	s := redistest.Start(t)
	recovered := make(chan string, 2)
	setup := func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			if !s.Recovered() {
				s.Join("club")
				s.SetData(map[string]any{"name": "Ann"})
			}
			recovered <- fmt.Sprint(s.Recovered(), s.Data(), s.Rooms().Has("club"))
		})
	}
	r := &adapter.Recovery{}
	a := start(t, zishang.Config{Options: withRecovery(), Adapter: onRedis(t, s, redis.Streams, r)}, setup)
	b := start(t, zishang.Config{Options: withRecovery(), Adapter: onRedis(t, s, redis.Streams, r)}, setup)
	clustered(t, a, b)
	p := dial(t, a.url)
	w := p.Connect("/", "")
	if got := await(t, recovered); got != "false map[name:Ann] true" {
		t.Fatal(got)
	}
	b.io.To("club").Emit("one")
	offset := offsetOf(t, p.Text())
	p.HangUp()
	eventually(t, "saved", func() bool { return a.handler.Stats().Disconnected == 1 })
	b.io.To("club").Emit("two", []byte("bin"))
	q := dial(t, b.url)
	if w2 := q.Connect("/", `{"pid":"`+w.PID+`","offset":"`+offset+`"}`); w2 != w {
		t.Fatalf("welcome %+v, want %+v", w2, w)
	}
	if got := await(t, recovered); got != "true map[name:Ann] true" {
		t.Error(got)
	}
	if got := q.Text(); !strings.HasPrefix(got, `451-["two",{"_placeholder":true,"num":0},"`) {
		t.Errorf("got %q", got)
	}
	q.ExpectBinary("bin")
}
