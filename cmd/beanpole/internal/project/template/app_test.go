package main

import (
	"testing"
	"testing/synctest"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

func TestWhatOneSaysTheOthersHear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no port, no browser, and no time passes
		io := servertest.Server(t, server.Config{})
		register(io)
		ada, ben := servertest.Connect(t, io), servertest.Connect(t, io)
		if bytes := servertest.Ask[int](ada, "say", "hello"); bytes != 5 {
			t.Errorf("%d bytes are acknowledged, want 5", bytes)
		}
		if text := servertest.Expect[string](ben, "said"); text != "hello" {
			t.Errorf("the other hears %q", text)
		}
		ada.ExpectNothing("said")
	})
}
