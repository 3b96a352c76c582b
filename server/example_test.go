package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"

	"github.com/beanpole/beanpole/server"
)

// A chat in a few lines. Handlers take the arguments in their own types, and what they return is the
// acknowledgement.
func Example() {
	type Message struct {
		Room string `json:"room"`
		Text string `json:"text"`
	}

	io, err := server.New(server.Config{})
	if err != nil {
		panic(err)
	}
	io.OnConnection(func(s *server.Socket) {
		// A client may send any name: with the prefix it is never the room of another socket.
		s.On("join", func(room string) int {
			s.Join("chat:" + room)
			return len(s.Rooms())
		})
		s.On("message", func(ctx context.Context, m Message) (string, error) {
			room := "chat:" + m.Room
			switch {
			case m.Text == "":
				return "", errors.New("say something")
			case !slices.Contains(s.Rooms(), room):
				return "", errors.New("join the room first")
			}
			return "delivered", s.To(room).Emit("message", s.ID(), m)
		})
		s.OnDisconnect(func(why server.Disconnection) {
			_ = io.Emit("left", s.ID(), why.Reason)
		})
	})
	http.Handle("/socket.io/", io)
	// http.ListenAndServe(":3000", nil)

	fmt.Println(io.Path())
	_ = io.Close()
	// Output: /socket.io/
}

// A middleware decides who may connect; what it puts into Data stays with the socket.
func ExampleNamespace_Use() {
	io, err := server.New(server.Config{})
	if err != nil {
		panic(err)
	}
	defer io.Close()
	io.Of("/admin").Use(func(s *server.Socket) error {
		var auth struct {
			Token string `json:"token"`
		}
		if err := s.Handshake().Auth(&auth); err != nil {
			return err
		}
		if auth.Token != "secret" {
			return &server.Error{Message: "not authorized", Data: map[string]int{"code": 401}}
		}
		s.Data.Set("role", "admin")
		return nil
	})
}

// Handlers of a namespace serve every socket of it and cost nothing per socket.
func ExampleNamespace_On() {
	io, err := server.New(server.Config{})
	if err != nil {
		panic(err)
	}
	defer io.Close()
	type Move struct {
		X float64 `json:"x"`
		Y float64 `json:"y"`
	}
	io.OfPattern(regexp.MustCompile(`^/game-\d+$`)).On("move", func(s *server.Socket, m Move) error {
		return s.Volatile().Emit("moved", m.X, m.Y)
	})
}

// Events with binary, acknowledgements with a time limit, broadcasts to rooms, questions to many.
func ExampleBroadcast() {
	io, err := server.New(server.Config{})
	if err != nil {
		panic(err)
	}
	web := httptest.NewServer(io)
	defer web.Close()
	defer io.Close()

	_ = io.To("room 1", "room 2").Except("muted").Emit("picture", map[string]any{"name": "x.png", "bytes": []byte{1, 2}})

	answers, err := io.To("room 1").EmitWithAck(context.Background(), "ready?")
	fmt.Println(len(answers), err)

	sockets, err := io.In("room 1").FetchSockets(context.Background())
	fmt.Println(len(sockets), err)
	// Output:
	// 0 <nil>
	// 0 <nil>
}
