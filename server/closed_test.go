package server_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
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
