package servertest_test

import (
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAskAndExpect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		io.OnConnection(func(s *server.Socket) { _ = s.Emit("welcome", s.ID()) })
		io.On("say", func(s *server.Socket, text string) (int, error) { return len(text), s.Broadcast().Emit("said", text) })
		ada, bob := servertest.Connect(t, io), servertest.Connect(t, io)
		if got := servertest.Expect[string](ada, "welcome"); got != ada.ID() {
			t.Errorf("welcomed as %q, want %q", got, ada.ID())
		}
		if n := servertest.Ask[int](ada, "say", "beans"); n != 5 {
			t.Errorf("answer %d", n)
		}
		if got := servertest.Expect[string](bob, "said"); got != "beans" {
			t.Errorf("got %q", got)
		}
		ada.ExpectNothing("said")
	})
}
