package server_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// move is what a game takes.
type move struct {
	player
	To    place            `json:"to"`
	Parts []*place         `json:"parts"`
	Named map[string]place `json:"named"`
	Free  any              `json:"free"`
	Blob  []byte           `json:"blob"`
}

type player struct {
	Player string `json:"player"`
}

type place struct {
	X, Y int
}

// What one has not looked at, or got the name of wrong, is said in development, once, and nowhere else.
func TestDevelopmentSaysWhatWasNotLookedAt(t *testing.T) {
	for _, development := range []bool{true, false} {
		t.Run(fmt.Sprint("development=", development), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said remarks
				io := servertest.Server(t, server.Config{Development: development, Logger: said.log(slog.LevelWarn)})
				io.Of("/closed").Use(func(*server.Socket) error { return errors.New("no token") })
				io.Of("/chat").OnConnection(func(s *server.Socket) {
					var auth struct {
						Token string `json:"token"`
					}
					if err := s.Handshake().Auth(&auth); err != nil {
						t.Error(err)
					}
				})
				io.On("emit", func(s *server.Socket) {
					_ = s.Emit("disconnect")
					_ = s.Emit("closed", make(chan int))
					_ = s.Emit("hidden", struct{ secret string }{"x"})
					_ = io.To("room").Emit("room", func() {})                 // said always
					_ = io.Of("/chat").ServerSideEmit("connection", place{})  // reserved between servers
					_ = io.Of("/chat").Emit("fine", map[string]any{"x": 1})   // nothing to say
					_ = s.Emit("fine", []byte("x"), "y", 1, map[string]int{}) // nothing to say
				})
				io.On("move", func(move) {})
				io.On("rename", func(from, to string) {})
				io.On("pair", func(a string, b *int) {})
				io.On("rest", func(a string, rest ...int) {})
				io.On("raw", func(e *server.Event, a string) {})
				io.On("none", func(s *server.Socket) {})
				io.On("join", func(s *server.Socket, room string) {
					s.Join(room)
					s.On("message", func(string) {})
				})
				for range 2 {
					c := servertest.Connect(t, io)
					for _, args := range [][]any{
						{"emit"},
						{"move", map[string]any{
							"player": "ada", "palyer": 1, "TO": map[string]any{"x": 1, "y": 2, "z": 3}, "free": map[string]any{"any": 1}, "blob": []byte("x"),
							"parts": []any{nil, map[string]any{"X": 1, "w": 1}}, "named": map[string]any{"here": map[string]any{"v": 1}},
						}},
						{"rename", "a"}, {"rename", "a", "b"}, {"rename", "a", "b", "c"},
						{"pair", "a"}, {"rest", "a", 1, 2, 3}, {"raw", "a", "b"}, {"none", "x"},
						{"join", "lobby"}, {"join", ""},
					} {
						if err := c.Emit(args[0].(string), args[1:]...); err != nil {
							t.Error(err)
						}
					}
					if got := servertest.Refused(t, io, "/closed", client.Config{}); got.Message != "no token" {
						t.Error(got)
					}
					servertest.Refused(t, io, "/chta", client.Config{})
					servertest.ConnectTo(t, io, "/chat", client.Config{Auth: map[string]string{"tokn": "x"}})
					synctest.Wait()
				}
				said.once(t, "an event with a function among its arguments is not sent", "event=room") // always
				if !development {
					if lines := said.find(); len(lines) != 1 {
						t.Errorf("said without it:\n%s", strings.Join(lines, ""))
					}
					return
				}
				const unsent, dropped = "an event was not sent", "has no place in the struct"
				said.once(t, "event=disconnect", unsent, "log what Emit returns")
				said.once(t, "event=closed", unsent, "chan int")
				said.once(t, "event=hidden", unsent, "no exported fields")
				said.once(t, "event=connection", unsent)
				said.once(t, "a middleware has refused a client", "namespace=/closed", `err="no token"`, "development_silent_test.go:")
				said.once(t, "a client asks for a namespace that is not there", "namespace=/chta", "perhaps_meant=/chat")
				said.once(t, "field=palyer", dropped, "event=move", "type=server_test.move")
				said.once(t, "field=z", dropped, "type=server_test.place")
				said.once(t, "field=w", dropped, "type=server_test.place")
				said.once(t, "field=v", dropped, "type=server_test.place")
				said.once(t, "field=tokn", dropped, "event=auth", "perhaps_meant=token")
				said.once(t, "fewer arguments than the handler takes", "event=rename", "sent=1", "taken=2")
				said.once(t, "more arguments than the handler takes", "event=rename", "sent=3", "taken=2")
				said.once(t, "a room whose name is empty", "namespace=/")
				said.once(t, "Socket.On was called by a handler of an event", "event=message", "development_silent_test.go:", "call it in OnConnection")
				if n := len(said.find()); n != 16 {
					t.Errorf("%d lines:\n%s", n, strings.Join(said.find(), ""))
				}
			})
		})
	}
}
