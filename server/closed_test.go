package server_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
)

// After Shutdown nothing says that it was sent, or that there is nobody, when there is nobody who could know.
func TestEverythingIsSaidToBeClosedAfterShutdown(t *testing.T) {
	for _, recovery := range []*server.Recovery{nil, {Recovery: adapter.Recovery{MaxDisconnection: time.Minute}}} {
		sockets := make(chan *server.Socket, 2)
		var games *server.Dynamic
		srv, url := start(t, server.Config{Recovery: recovery}, func(io *server.Server) {
			io.OnConnection(func(s *server.Socket) { sockets <- s })
			games = io.OfPattern(regexp.MustCompile(`^/game-\d$`))
			games.OnConnection(func(s *server.Socket) { sockets <- s })
		})
		p, _ := join(t, url, "/")
		s := await(t, sockets)
		p.Connect("/game-1", "")
		game, child := await(t, sockets), srv.Of("/game-1")
		ctx := t.Context()
		list, err := srv.FetchSockets(ctx)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		remote := list[0]
		p.HangUp()
		eventually(t, "the client has gone", func() bool { return srv.LocalCount()+game.Namespace().LocalCount() == 0 })
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}

		one := func(_ any, err error) error { return err }
		for what, err := range map[string]error{
			"Server.Emit":                  srv.Emit("x"),
			"Server.Volatile":              srv.Volatile().Emit("x"),
			"Server.EmitWithAck":           one(srv.EmitWithAck(ctx, "x")),
			"Server.SocketsJoin":           srv.SocketsJoin("r"),
			"Server.SocketsLeave":          srv.SocketsLeave("r"),
			"Server.DisconnectSockets":     srv.DisconnectSockets(true),
			"Server.FetchSockets":          one(srv.FetchSockets(ctx)),
			"Server.Count":                 one(srv.Count(ctx)),
			"Server.Exists":                one(srv.Exists(ctx, s.ID())),
			"Server.Servers":               one(srv.Servers(ctx)),
			"Server.ServerSideEmit":        srv.ServerSideEmit("x"),
			"Server.ServerSideEmitWithAck": one(srv.ServerSideEmitWithAck(ctx, "x")),
			"Broadcast.Emit":               srv.To("r").Emit("x"),
			"Broadcast.Local":              srv.Local().Emit("x"),
			"Namespace.Emit, child":        child.Emit("x"),
			"Namespace.Emit, new":          srv.Of("/new").Emit("x"),
			"Namespace.Emit, kept":         game.Namespace().Emit("x"),
			"Dynamic.Emit":                 games.Emit("x"),
			"Socket.Broadcast":             s.Broadcast().Emit("x"),
			"Socket.To":                    game.To("r").Emit("x"),
			"RemoteSocket.Emit":            remote.Emit("x"),
			"RemoteSocket.EmitWithAck":     one(remote.EmitWithAck(ctx, "x")),
			"RemoteSocket.Join":            remote.Join("r"),
			"RemoteSocket.Leave":           remote.Leave("r"),
			"RemoteSocket.Disconnect":      remote.Disconnect(true),
		} {
			if !errors.Is(err, server.ErrServerClosed) {
				t.Errorf("%s: %v, want %v", what, err, server.ErrServerClosed)
			}
		}

		// To one socket it is said that this one has gone; with recovery its event would be a broadcast.
		gone := map[string]error{
			"Socket.EmitWithAck": one(s.EmitWithAck(ctx, "x")),
			"Socket.EmitFunc":    s.EmitFunc(func(server.Args, error) {}, "x"),
			"Socket.SetIdentity": s.SetIdentity("ann"),
		}
		if recovery == nil {
			gone["Socket.Emit"] = s.Emit("x")
			gone["Socket.Volatile"] = game.Volatile().Emit("x")
		} else if err := s.Emit("x"); !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Socket.Emit with recovery: %v, want %v", err, server.ErrServerClosed)
		}
		for what, err := range gone {
			if !errors.Is(err, server.ErrDisconnected) {
				t.Errorf("%s: %v, want %v", what, err, server.ErrDisconnected)
			}
		}

		// What would never be sent is said first, closed or not.
		for what, err := range map[string]error{
			"Server.Emit": srv.Emit("connect"), "Dynamic.Emit": games.Emit("connect"), "Socket.Emit": s.Emit("connect"),
		} {
			if !errors.Is(err, server.ErrReservedEvent) {
				t.Errorf("%s of a reserved name: %v", what, err)
			}
		}

		// These have no error: they find nobody, and register for nobody.
		s.Join("r")
		s.Leave("r")
		s.Disconnect(true)
		srv.On("x", func() {})()
		srv.Of("/new").On("x", func() {})()
		srv.Of("/new").Use(func(*server.Socket) error { return nil })
		srv.Of("/new").OnServerSide("x", func() {})()
		if n := len(srv.Sockets()) + srv.LocalCount() + len(srv.Namespaces()) + len(games.Children()) + len(s.Rooms()); n > 0 ||
			srv.Socket(s.ID()) != nil || s.Connected() || s.Context().Err() == nil {
			t.Errorf("%d are left of what was closed", n)
		}
	}
}

// A stop ends what waits for the answers of many or of other servers, of whom nothing is heard any more, and says that it was the stop.
func TestStopEndsWhatWaitsForOthers(t *testing.T) {
	type outcome struct {
		what string
		err  error
	}
	ended := func(t *testing.T, srv *server.Server, told chan outcome, n int) {
		t.Helper()
		began := make(chan error, 1)
		go func() { began <- srv.Close() }()
		for range n {
			if x := await(t, told); !errors.Is(x.err, server.ErrServerClosed) || errors.Is(x.err, context.Canceled) {
				t.Errorf("%s: %v, want %v", x.what, x.err, server.ErrServerClosed)
			}
		}
		if err := await(t, began); err != nil {
			t.Error(err)
		}
	}
	long := 10 * patience
	bounded, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	t.Run("answers", func(t *testing.T) {
		asked := make(chan struct{}, 1)
		start := nodes(t, redis.Config{})
		a, _, readyA := start(func(*server.Server) {})
		_, url, readyB := start(func(io *server.Server) {
			io.OnServerSide("?", func(server.Ack) { asked <- struct{}{} })
		})
		p, room := join(t, url, "/")
		readyA()
		readyB()
		list, err := a.FetchSockets(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		told := make(chan outcome, 4)
		go func() {
			_, err := a.To(room).Timeout(long).EmitWithAck(context.Background(), "?")
			told <- outcome{"EmitWithAck", err}
		}()
		question(t, p)
		go func() {
			_, err := list[0].EmitWithAck(bounded, "?")
			told <- outcome{"RemoteSocket.EmitWithAck", err}
		}()
		question(t, p)
		if err := a.Timeout(long).EmitThen(func(_ []server.Args, err error) { told <- outcome{"EmitThen", err} }, "?"); err != nil {
			t.Fatal(err)
		}
		question(t, p)
		go func() {
			_, err := a.ServerSideEmitWithAck(bounded, "?")
			told <- outcome{"ServerSideEmitWithAck", err}
		}()
		await(t, asked)
		ended(t, a, told, cap(told))
	})
	t.Run("descriptions", func(t *testing.T) {
		asked := make(chan struct{}, 2)
		srv, _ := start(t, server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
			a, err := adapter.Memory(nil)(n)
			return mute{a, asked}, err
		}}, func(*server.Server) {})
		told := make(chan outcome, cap(asked))
		go func() {
			_, err := srv.Timeout(long).FetchSockets(t.Context())
			told <- outcome{"FetchSockets", err}
		}()
		go func() {
			_, err := srv.Count(bounded)
			told <- outcome{"Count", err}
		}()
		await(t, asked)
		await(t, asked)
		ended(t, srv, told, cap(told))
	})
}
