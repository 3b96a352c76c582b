package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/server/servertest"
)

// start makes the application, which ends with the test.
func start(t *testing.T) host.Application {
	t.Helper()
	app, err := newServer(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return app
}

func come(t *testing.T, app host.Application, name string) *servertest.Client {
	t.Helper()
	return servertest.ConnectTo(t, app, "/", client.Config{Auth: map[string]string{"name": name}})
}

func TestChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := start(t)
		ada, bob := come(t, app, "Ada"), come(t, app, "Bob")
		if got := servertest.Expect[[]person](ada, "people"); len(got) != 2 || got[0].ID == got[1].ID {
			t.Errorf("people are %+v", got)
		}
		if err := ada.Emit("typing"); err != nil {
			t.Fatal(err)
		}
		if got := servertest.Expect[person](bob, "typing"); got != (person{socket.SocketId(ada.ID()), "Ada"}) {
			t.Errorf("%+v types", got)
		}
		said := servertest.Ask[line](ada, "message", " hello ")
		if got := servertest.Expect[line](bob, "message"); got != said || said.Text != "hello" || said.At != time.Now().UnixMilli() {
			t.Errorf("said %+v, got %+v", said, got)
		}
		ada.ExpectNothing("message", "typing")
		if got := servertest.AskFails(ada, "message", " "); got != "a message has 1 to 500 characters" {
			t.Error(got)
		}
		bob.Cut()
		servertest.Expect[[]person](ada, "people") // with Bob, who may be back
		for _, name := range []string{"", "\u202e\u200b"} {
			refusal := servertest.Refused(t, app, "/", client.Config{Auth: map[string]string{"name": name}})
			if refusal.Message != "a name has 1 to 24 characters" {
				t.Errorf("%q: %s", name, refusal.Message)
			}
		}
	})
}

// Two people with one name are two.
func TestNamesakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := start(t)
		one, two := come(t, app, "Ada"), come(t, app, "Ada")
		ids := map[socket.SocketId]bool{socket.SocketId(one.ID()): true, socket.SocketId(two.ID()): true}
		for _, p := range servertest.Expect[[]person](one, "people") {
			if p.Name != "Ada" || !ids[p.ID] {
				t.Errorf("there is %+v", p)
			}
			delete(ids, p.ID)
		}
		if len(ids) != 0 {
			t.Errorf("not there: %v", ids)
		}
		if said := servertest.Ask[line](two, "message", "hello"); said.ID != socket.SocketId(two.ID()) {
			t.Errorf("said by %s", said.ID)
		}
	})
}
