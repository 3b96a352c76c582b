package zishang_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

// TestRealClient has socket.io-client talk to an application of the library over polling, over WebSocket,
// and from one to the other. It needs Node and the client from the project's package.json (npm ci).
func TestRealClient(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "node_modules", "socket.io-client")); err != nil {
		t.Skip("socket.io-client is not installed")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	n := start(t, zishang.Config{Options: withRecovery()}, func(io *socket.Server) {
		io.Of("/closed", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
			next(socket.NewExtendedError("closed to all", nil))
		})
		for _, name := range []string{"/", "/admin"} {
			onConnection(io.Of(name, nil), func(s *socket.Socket) { answerClient(io, s) })
		}
	})
	out, err := exec.CommandContext(t.Context(), "node", "testdata/client.mjs", root, n.url).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// answerClient is what testdata/client.mjs talks to.
func answerClient(io *socket.Server, s *socket.Socket) {
	last := func(args []any) socket.Ack { return args[len(args)-1].(socket.Ack) }
	echo(s)
	s.Join("room")
	_ = s.Emit("hello", s.Handshake().Auth, s.Recovered())
	_ = s.On("large", func(args ...any) { last(args)([]any{strings.Repeat("x", 500_000)}, nil) })
	_ = s.On("ask", func(args ...any) {
		_ = s.Emit("question", 1, func(answer []any, _ error) { last(args)(answer[:1], nil) })
	})
	_ = s.On("burst", func(...any) {
		for i := range 500 {
			_ = io.To("room").Emit("burst", i)
		}
	})
	_ = s.On("kick", func(...any) { s.Disconnect(true) })
}
