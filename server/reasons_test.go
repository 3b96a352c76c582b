package server_test

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// What ends a session here for a limit of ours, and would not have on Node or is recoverable there, is
// recoverable.
func TestLimitsOfOursAreRecoverable(t *testing.T) {
	for reason, end := range map[string]func(*peer){
		"forced close": func(p *peer) { p.Send("4garbage") },
		"slow consumer": func(p *peer) {
			frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame(make([]byte, 100))))
			go func() { // until the connection ends
				for pings := bytes.Repeat(frame, 1000); ; {
					if _, err := p.Conn.Write(pings); err != nil {
						return
					}
				}
			}()
		},
	} {
		t.Run(reason, func(t *testing.T) {
			recovered := make(chan bool, 2)
			gone := make(chan string, 2)
			cfg := server.Config{Recovery: &server.Recovery{}, Transport: transport.Config{MaxBacklogBytes: 10 << 10}}
			srv, url := start(t, cfg, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					s.OnDisconnect(func(reason string) { gone <- reason })
					recovered <- s.Recovered()
				})
			})
			p := dial(t, url)
			first := p.connect("")
			await(t, recovered)
			if err := srv.Emit("seen"); err != nil {
				t.Fatal(err)
			}
			last := offset(t, p.Text())
			end(p)
			if got := await(t, gone); got != reason {
				t.Errorf("ended by %q", got)
			}
			q := dial(t, url)
			if again := q.connect(`{"pid":"` + first.PID + `","offset":"` + last + `"}`); again != first || !await(t, recovered) {
				t.Errorf("not recovered: %v, was %v", again, first)
			}
		})
	}
}
