package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// The examples of this file are the Go half of docs/api.md; TestDocumentShowsCompiledCode compares them.

type orderLine struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

type receipt struct {
	ID string `json:"id"`
}

func find(string) (orderLine, bool) { return orderLine{}, true }

func ExampleNew() {
	io, err := server.New(server.Config{
		Path:           "/socket.io/",
		ConnectTimeout: 10 * time.Second,
		Transport: transport.Config{
			PingInterval:      25 * time.Second,
			MaxHTTPBufferSize: 1_000_000,
			CORS:              &transport.CORS{Origins: []string{"https://app.example.com"}},
		},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		log.Fatal(err) // names the field that cannot be
	}
	http.Handle(io.Path(), io)
}

func ExampleServer_Shutdown() {
	io, web := new(server.Server), new(http.Server)

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := io.Shutdown(ctx) // clients see "transport close" and come again
	err = errors.Join(err, web.Shutdown(ctx))
	log.Print(err)
}

func ExampleNamespace_OnConnection() {
	io := new(server.Server)

	io.OnConnection(func(s *server.Socket) {
		log.Print(s.ID(), s.Handshake().Addr(), s.Handshake().Query().Get("v"), s.Recovered())
		s.OnDisconnecting(func(server.Disconnection) { log.Print("leaves ", s.Rooms()) })
		s.OnDisconnect(func(why server.Disconnection) { log.Print("gone: ", why) })
	})
}

func ExampleHandshake_Auth() {
	io := new(server.Server)
	valid := func(string) (string, bool) { return "", true }

	io.Use(func(s *server.Socket) error {
		var auth struct {
			Token string `json:"token"`
		}
		if err := s.Handshake().Auth(&auth); err != nil {
			return err
		}
		name, ok := valid(auth.Token)
		if !ok {
			return &server.Error{Message: "not authorized", Data: map[string]any{"retry": false}}
		}
		s.Data.Set("name", name)
		return nil
	})
}

func ExampleSocket_On() {
	s := new(server.Socket)

	s.On("order", func(o orderLine, urgent bool) (receipt, error) {
		if o.Count < 1 {
			return receipt{}, errors.New("how many?") // the client gets {"error":"how many?"}
		}
		return receipt{ID: "r1"}, nil // the client gets {"id":"r1"}
	})

	s.On("search", func(ctx context.Context, words ...string) ([]string, error) {
		select {
		case <-time.After(time.Second):
			return words, nil
		case <-ctx.Done(): // the client has gone
			return nil, ctx.Err()
		}
	})

	s.On("later", func(what string, ack server.Ack) {
		time.AfterFunc(time.Second, func() { _ = ack("done", what) })
	})

	s.On("forward", func(all server.Args, ack server.Ack) error { return ack(all.Values()...) })

	s.On("anything", func(e *server.Event) {
		log.Print(e.Name, e.Len(), string(e.Raw(0)), e.WantsAck())
		b, isBinary := e.Bytes(1)
		log.Print(b, isBinary)
	})

	s.Once("hello", func() {})
	off := s.On("tick", func(n json.Number) {})
	off()
	s.Off("order")
}

func ExampleNamespace_On_typed() {
	io := new(server.Server)

	io.On("order", func(ctx context.Context, s *server.Socket, o orderLine) (receipt, error) {
		return receipt{ID: s.ID()}, nil
	})
}

func ExampleSocket_Use() {
	s := new(server.Socket)

	s.Use(func(ctx context.Context, e *server.Event) error {
		if strings.HasPrefix(e.Name, "admin:") {
			return errors.New("not allowed")
		}
		return nil
	})
	s.OnAny(func(e *server.Event) { log.Print("in ", e.Name) })
	s.OnAnyOutgoing(func(e *server.Event) { log.Print("out ", e.Name) })
}

func ExampleSocket_Emit() {
	s := new(server.Socket)

	err := s.Emit("picture", "x.png", []byte{0x89, 'P', 'N', 'G'}, map[string]any{"thumb": []byte{1}})
	_ = s.Volatile().Emit("position", 1.5, 2.5)
	_ = s.Compress(false).Emit("noise", "…")
	log.Print(err) // server.ErrDisconnected, or what cannot be encoded
}

func ExampleSocket_EmitWithAck() {
	s := new(server.Socket)

	answer, err := s.Timeout(5*time.Second).EmitWithAck(context.Background(), "confirm?", 42)
	switch {
	case errors.Is(err, server.ErrTimeout):
		log.Print("no answer")
	case errors.Is(err, server.ErrDisconnected):
		log.Print("gone")
	case err == nil:
		var yes bool
		var note string
		err = answer.Scan(&yes, &note)
	}
	log.Print(err)
}

func ExampleSocket_EmitFunc() {
	s := new(server.Socket)

	err := s.EmitFunc(func(answer server.Args, err error) { // called once, with the answer or ErrDisconnected
		var yes bool
		log.Print(errors.Join(err, answer.Scan(&yes)), yes)
	}, "confirm?", 42)
	log.Print(err)
}

func ExampleBroadcast_Emit() {
	io, s := new(server.Server), new(server.Socket)

	s.Join("room 1", "room 2")
	s.Leave("room 2")
	_ = io.Emit("news", 1)
	_ = io.To("room 1", "room 2").Except("muted").Emit("news", 1)
	_ = s.Broadcast().Emit("joined", s.ID())
	_ = s.To("room 1").Volatile().Emit("typing", s.ID())
	_ = io.Local().Emit("to this server's clients only")
	_ = io.To(s.ID()).Emit("private", "to one socket, wherever it is")
}

func ExampleBroadcast_EmitWithAck() {
	io := new(server.Server)

	answers, err := io.To("players").Timeout(3*time.Second).EmitWithAck(context.Background(), "ready?")
	var missing *adapter.PartialError
	if errors.As(err, &missing) {
		log.Printf("%d answered; %d clients and %d servers did not", len(answers), missing.Clients, missing.Nodes)
	}
}

func ExampleBroadcast_FetchSockets() {
	io, ctx := new(server.Server), context.Background()

	sockets, err := io.In("room 1").FetchSockets(ctx) // the whole cluster; err names who did not answer
	for _, s := range sockets {
		name, _ := server.Value[string](&s.Data, "name")
		log.Print(s.ID(), s.Rooms(), name, s.Handshake().Issued)
		_ = s.Emit("hello")
	}
	_ = io.In("room 1").SocketsJoin("room 2")
	_ = io.In("room 1").SocketsLeave("room 1")
	_ = io.In("room 2").DisconnectSockets(true)
	n, err := io.In("room 2").Count(ctx)
	there, err := io.Exists(ctx, "a socket's id")
	local := io.Sockets() // of this server
	log.Print(n, there, local, err)
}

func ExampleNamespace_FetchSockets() {
	io, ctx := new(server.Server), context.Background()

	lobbies := map[string]int{}
	sockets, err := io.FetchSockets(ctx)
	for _, s := range sockets {
		for _, room := range s.Rooms() { // its own id among them
			if strings.HasPrefix(room, "lobby:") {
				lobbies[room]++
			}
		}
	}
	log.Print(lobbies, err)
}

func ExampleServer_Of() {
	io := new(server.Server)

	admin := io.Of("/admin")
	admin.Use(func(s *server.Socket) error { return nil })
	admin.OnConnection(func(s *server.Socket) {})
	_ = admin.Emit("an event for admins")

	games := io.OfPattern(regexp.MustCompile(`^/game-\d+$`))
	games.OnConnection(func(s *server.Socket) { _ = s.Namespace().Emit("joined", s.ID()) })

	io.OfFunc(func(ctx context.Context, name string, auth json.RawMessage) bool {
		_, ok := find(strings.TrimPrefix(name, "/order-"))
		return ok
	})
	io.OnNamespace(func(n *server.Namespace) { log.Print("new: ", n.Name()) })
	status := io.Static("/status") // the application's own, whatever the function says
	status.Use(func(s *server.Socket) error { return nil })
}

func ExampleData() {
	s := new(server.Socket)

	s.Data.Set("cart", []orderLine{{"bean", 3}})
	cart, ok := server.Value[[]orderLine](&s.Data, "cart") // also from another server, or recovered
	log.Print(cart, ok)
}

func ExampleSocket_Disconnect() {
	s := new(server.Socket)

	s.Disconnect(false) // leaves this namespace
	s.Disconnect(true)  // closes the session, with all its namespaces
}

func ExampleConfig_cluster() {
	cluster, err := redis.New(redis.Config{URL: "rediss://redis.example.com:6379", Mode: redis.PubSub})
	if err != nil {
		log.Fatal(err)
	}
	io, err := server.New(server.Config{Adapter: cluster.Adapter()})
	if err != nil {
		log.Fatal(err)
	}
	io.OnConnection(func(s *server.Socket) {})
}

func ExampleNamespace_ServerSideEmit() {
	io, ctx := new(server.Server), context.Background()

	io.OnServerSide("load?", func(precise bool) (float64, error) { return 0.7, nil })
	_ = io.ServerSideEmit("flush", "prices")
	loads, err := io.ServerSideEmitWithAck(ctx, "load?", true) // one of each other server
	log.Print(loads, err)
}

func ExampleConfig_recovery() {
	io, err := server.New(server.Config{
		Recovery: &server.Recovery{Recovery: adapter.Recovery{MaxDisconnection: 2 * time.Minute}},
	})
	if err != nil {
		log.Fatal(err)
	}
	io.OnConnection(func(s *server.Socket) {
		if s.Recovered() {
			return // id, rooms and data are the former ones, missed events are on their way
		}
		log.Print(s.RecoveryError()) // why not, when the client asked for it
	})
}

func ExampleConfig_transport() {
	io, err := server.New(server.Config{
		Parser: packet.MsgPack(),
		Transport: transport.Config{
			Transports:        []transport.Name{transport.WebSocket},
			PerMessageDeflate: &transport.PerMessageDeflate{Threshold: 4096},
			Cookie:            &transport.Cookie{Name: "io", Secure: true},
			AllowRequest: func(r *http.Request) error {
				if r.Header.Get("X-Api-Key") == "" {
					return errors.New("no key") // 403
				}
				return nil
			},
			InitialHeaders:  func(h http.Header, r *http.Request) { h.Set("X-Served-By", "beanpole") },
			ConnectionError: func(e *transport.ConnectionError) { log.Print(e.Code, e.Message, e.Context) },
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Print(io.Engine().Sessions(), io.Engine().Stats().Closed, io.Stats().EventsIn)
}

func ExampleSocket_Session() {
	s := new(server.Socket)

	log.Print(s.Session().Transport()) // polling or websocket, now
	packets, bytes := s.Session().Backlog()
	log.Print(packets, bytes, s.Session().Writable())
}

func sessionOf(*http.Request) (user string, ok bool) { return "", false }

func ExampleServer_ServeHTTP() {
	io := new(server.Server)

	http.Handle(io.Path(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("X-User") // a client's own
		if user, ok := sessionOf(r); ok {
			r.Header.Set("X-User", user) // s.Handshake().Header().Get("X-User")
		}
		io.ServeHTTP(w, r)
	}))
}

func ExampleServer_ServeHTTP_context() {
	type userKey struct{}

	io, err := server.New(server.Config{Transport: transport.Config{KeepContext: true}})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle(io.Path(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, ok := sessionOf(r); ok {
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, user))
		}
		io.ServeHTTP(w, r)
	}))
	io.Use(func(s *server.Socket) error {
		user, ok := s.Handshake().Context().Value(userKey{}).(string)
		if !ok {
			return errors.New("log in first")
		}
		s.Join("user:" + user)
		return nil
	})
}

func ExampleNamespace_UseEvents() {
	io := new(server.Server)

	off := io.UseEvents(func(ctx context.Context, e *server.Event) error {
		if strings.HasPrefix(e.Name, "admin:") && e.Socket().Identity() != "root" {
			return errors.New("not allowed")
		}
		return nil
	})
	io.OnAny(func(e *server.Event) { log.Print("in ", e.Name) })
	io.OnAnyOutgoing(func(e *server.Event) { log.Print("out ", e.Name) })
	io.OnDisconnect(func(s *server.Socket, why server.Disconnection) { log.Print(s.ID(), " gone: ", why) })
	off() // what is registered returns what takes it out again
}

func ExampleConfig_mapError() {
	validate := func(any) error { return nil } // such as (*validator.Validate).Struct

	cfg := server.Config{
		MapError: func(_ context.Context, _ *server.Socket, event string, err error) error {
			var bad *packet.ArgError
			switch {
			case errors.Is(err, sql.ErrNoRows):
				return &server.Error{Message: "not found", Data: event}
			case errors.As(err, &bad):
				return errors.New("bad argument")
			}
			return nil // "internal error" for the client, and err for the log
		},
		Validate: func(_ context.Context, _ string, arg any) error {
			if err := validate(arg); err != nil {
				return &server.Error{Message: err.Error()}
			}
			return nil
		},
	}
	_ = cfg
}

func ExampleSocket_EmitThen() {
	io, ctx := new(server.Server), context.Background()

	io.On("start", func(s *server.Socket) error {
		return s.EmitThen(func(answer server.Args, err error) { // in the socket's turn, as if it were a handler
			var yes bool
			log.Print(errors.Join(err, answer.Scan(&yes)), yes)
		}, "confirm?", 42)
	})
	err := io.To("players").EmitThen(func(answers []server.Args, err error) {
		log.Print(len(answers), err)
	}, "ready?")
	log.Print(err)

	sockets, err := io.FetchSockets(ctx)
	for _, s := range sockets {
		yes, err := server.Ask[bool](ctx, s, "confirm?", 42) // a *Socket, s.Timeout(…) or a *RemoteSocket
		log.Print(yes, err)
	}
	log.Print(err)
}

func ExampleData_Replace() {
	s := new(server.Socket)

	err := s.Data.Replace(map[string]any{"name": "ann", "role": "player"})
	err = errors.Join(err, s.Data.Replace(nil)) // nothing is left
	log.Print(err, s.Describe().Rooms())
}

func ExampleNamespace_All() {
	io := new(server.Server)

	audience := io.All()
	for _, room := range []string{"muted", "away"} {
		audience = audience.Except(room)
	}
	log.Print(audience.Emit("news"))
}

func ExampleNamespace_OnRoom() {
	io, ctx := new(server.Server), context.Background()

	rooms, err := io.Rooms(ctx) // of the whole cluster, with how many sockets are in each
	here, err := io.Local().Rooms(ctx)
	n, err := io.In("room 1").Count(ctx)
	off := io.OnRoom(func(e adapter.RoomEvent) { // of this server
		switch e.Kind {
		case adapter.RoomCreated, adapter.RoomDeleted:
			log.Print(e.Kind, " ", e.Room)
		case adapter.RoomJoined, adapter.RoomLeft:
			log.Print(e.Kind, " ", e.Room, " ", e.Member.ID())
		}
	})
	off()
	log.Print(rooms, here, n, err)
}
