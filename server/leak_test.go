package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Clients that go away at any moment, while others broadcast, join rooms and disconnect them, leave
// nothing behind.
func TestClientsThatGoAtAnyMomentLeaveNothing(t *testing.T) {
	srv, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		setup := func(s *server.Socket) {
			s.Join("room", fmt.Sprint(rand.IntN(5)))
			s.On("join", func(room string) { s.Join(room) })
			s.On("kick", func() { s.Disconnect(rand.IntN(2) == 0) })
			s.OnDisconnect(func(server.Disconnection) { s.Join("ghost") })
			_ = s.Emit("hello")
		}
		io.OnConnection(setup)
		io.Of("/other").OnConnection(setup)
	})
	const workers, rounds = 8, 60
	done := make(chan struct{})
	var clients, noise sync.WaitGroup
	noise.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = srv.To("room").Emit("noise", strings.Repeat("x", 100))
				_ = srv.SocketsJoin("all")
				_ = srv.To("3").DisconnectSockets(true)
			}
		}
	})
	for w := range workers {
		clients.Go(func() {
			for r := range rounds {
				goAway(t, url, w, r)
			}
		})
	}
	clients.Wait()
	close(done)
	noise.Wait()
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "no session is left", func() bool { return srv.Engine().Sessions() == 0 })
	for _, n := range srv.Namespaces() {
		for _, room := range []string{"room", "all", "ghost", "0", "1", "2", "3", "4"} {
			eventually(t, "the room "+room+" of "+n.Name()+" is empty", func() bool {
				return len(n.Adapter().Members(adapter.Target{Rooms: []string{room}})) == 0
			})
		}
		eventually(t, n.Name()+" is empty", func() bool { return len(n.Sockets()) == 0 })
	}
	eventually(t, "each socket that connected disconnected", func() bool {
		st := srv.Stats()
		return st.Connected == st.Disconnected
	})
	if p := srv.Stats().Panics; p != 0 {
		t.Errorf("%d panics", p)
	}
}

// goAway connects by one of the transports, sends some of what a client sends, and breaks off.
func goAway(t *testing.T, url string, worker, round int) {
	steps := []string{"0", "0/other,", `2["join","r"]`, `2/other,["kick"]`, `2["kick"]`, "1"}
	steps = steps[:rand.IntN(len(steps)+1)]
	if (worker+round)%3 == 0 {
		resp, err := http.Get(url + "/socket.io/?EIO=4&transport=polling")
		if err != nil {
			t.Error(err)
			return
		}
		var head [200]byte
		n, _ := resp.Body.Read(head[:])
		_ = resp.Body.Close()
		_, rest, _ := strings.Cut(string(head[:n]), `"sid":"`)
		sid, _, _ := strings.Cut(rest, `"`)
		body := "4" + strings.Join(append(steps, "1"), "\x1e4")
		body = strings.TrimSuffix(body, "41") + "1" // the client closes
		if resp, err = http.Post(url+"/socket.io/?EIO=4&transport=polling&sid="+sid, "text/plain", strings.NewReader(body)); err == nil {
			_ = resp.Body.Close()
		}
		return
	}
	conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Error(err)
		return
	}
	for _, s := range steps {
		if wsutil.WriteClientText(conn, []byte("4"+s)) != nil {
			break
		}
	}
	_ = conn.Close()
}

// Counting the sockets of a server copies nothing, however many there are.
func TestLocalCountCopiesNothing(t *testing.T) {
	srv, url := start(t, server.Config{}, func(*server.Server) {})
	for range 3 {
		join(t, url, "/")
	}
	if n := srv.LocalCount(); n != 3 || srv.SocketCounts()["/"] != 3 {
		t.Errorf("%d sockets, want 3", n)
	}
	if n := testing.AllocsPerRun(100, func() { srv.LocalCount() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
