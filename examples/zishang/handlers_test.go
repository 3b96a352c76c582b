package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/server/servertest"
)

func come(t *testing.T, app host.Application, name string) *servertest.Client {
	t.Helper()
	return servertest.ConnectTo(t, app, "/", client.Config{Auth: map[string]string{"name": name}})
}

func TestChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, err := newServer(server.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := app.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		ada, bob := come(t, app, "Ada"), come(t, app, "Bob")
		if got := servertest.Expect[[]string](ada, "people"); len(got) != 2 {
			t.Errorf("people are %q", got)
		}
		if err := ada.Emit("typing"); err != nil {
			t.Fatal(err)
		}
		if got := servertest.Expect[string](bob, "typing"); got != "Ada" {
			t.Errorf("%q types", got)
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
		servertest.Expect[[]string](ada, "people") // with Bob, who may be back
		for _, name := range []string{"", "\u202e\u200b"} {
			refusal := servertest.Refused(t, app, "/", client.Config{Auth: map[string]string{"name": name}})
			if refusal.Message != "a name has 1 to 24 characters" {
				t.Errorf("%q: %s", name, refusal.Message)
			}
		}
	})
}
