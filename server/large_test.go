package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// A large event is no reason to end anybody: one to an idle WebSocket, again after it has come back, and one to many
// that poll. All with the limits that there are by default.
func TestLargeEventsReachEverybody(t *testing.T) {
	t.Run("websocket", func(t *testing.T) {
		large := strings.Repeat("x", 10<<20)
		srv, url := start(t, server.Config{}, func(*server.Server) {})
		for range 2 {
			p, _ := join(t, url, "/")
			for range 2 {
				if err := srv.Emit("large", large); err != nil {
					t.Fatal(err)
				}
				p.Expect(`42["large","` + large + `"]`)
			}
			_ = p.Conn.Close()
			eventually(t, "it leaves", func() bool { return srv.LocalCount() == 0 })
		}
		if n := srv.Engine().Stats().Closed["slow consumer"]; n > 0 {
			t.Errorf("%d slow consumers", n)
		}
	})
	t.Run("polling", func(t *testing.T) {
		large := strings.Repeat("x", 5<<20)
		srv, url := start(t, server.Config{}, func(*server.Server) {})
		var all []*polling
		for range 4 {
			p := dialPolling(t, url)
			p.post("40")
			p.get()
			all = append(all, p)
		}
		for range 2 {
			for _, emit := range []func() error{
				func() error { return srv.Emit("before") },
				func() error { return srv.Emit("large", large) },
				func() error { return srv.Emit("behind") },
			} {
				if err := emit(); err != nil {
					t.Fatal(err)
				}
			}
			for i, p := range all {
				want := `42["before"]` + "\n" + `42["large","` + large + `"]` + "\n" + `42["behind"]`
				if got := p.get(); got != want {
					t.Errorf("client %d got %d bytes, want %d", i, len(got), len(want))
				}
			}
		}
		if n := srv.LocalCount(); n != len(all) {
			t.Errorf("%d of %d are left", n, len(all))
		}
	})
}

// What a client has missed may be more than may wait for it. It gets all of it: as fast as it reads, by either
// transport, and when the connection ends in the middle, the rest by the next.
func TestReplayIsWhole(t *testing.T) {
	const n, size = 1200, 10_000
	begin := func(t *testing.T) (srv *server.Server, url, pid string) {
		srv, url, in, out := recovering(t, server.Recovery{}, nil)
		p := dial(t, url)
		pid = p.connect("").PID
		await(t, in)
		_ = p.Conn.Close()
		await(t, out)
		for i := range n {
			if err := srv.Emit("missed", i, strings.Repeat("x", size)); err != nil {
				t.Fatal(err)
			}
		}
		return srv, url, pid
	}
	prefix := func(i int) string { return fmt.Sprintf(`42["missed",%d,`, i) }
	t.Run("polling", func(t *testing.T) {
		srv, url, pid := begin(t)
		p := dialPolling(t, url)
		p.post(`40{"pid":"` + pid + `"}`)
		var got []string
		for len(got) < 1+n {
			got = append(got, strings.Split(p.get(), "\n")...)
		}
		for i, packet := range got[1:] {
			if !strings.HasPrefix(packet, prefix(i)) {
				t.Fatalf("event %d is %.40s", i, packet)
			}
		}
		if s := srv.Stats(); s.Recovered != 1 {
			t.Errorf("recovered %d", s.Recovered)
		}
	})
	t.Run("in parts", func(t *testing.T) {
		srv, url, pid := begin(t)
		seen, last := 0, ""
		for _, upTo := range []int{100, 400, 1000, n} {
			p := dial(t, url)
			p.connect(fmt.Sprintf(`{"pid":%q,"offset":%q}`, pid, last))
			for ; seen < upTo; seen++ {
				packet := p.Text()
				if !strings.HasPrefix(packet, prefix(seen)) {
					t.Fatalf("event %d is %.40s", seen, packet)
				}
				last = offset(t, packet)
			}
			_ = p.Conn.Close() // and nobody waits until the server has noticed
		}
		if s := srv.Stats(); s.Recovered != 4 || s.NotRecovered != 0 {
			t.Errorf("recovered %d, not %d", s.Recovered, s.NotRecovered)
		}
	})
}

// One large event behind the other is no reason to end who has missed them, in one namespace or in several: it would come back
// for the same, for ever.
func TestLargeEventsThatWereMissedComeOneByOne(t *testing.T) {
	const size, n = 6 << 20, 2
	nsps := []string{"/", "/other"}
	begin := func(t *testing.T) (url string, connects []string) {
		cfg := server.Config{Recovery: &server.Recovery{}, Transport: transport.Config{MaxBacklogBytes: 64 << 10}}
		srv, url := start(t, cfg, func(io *server.Server) { io.Of("/other") })
		p := dial(t, url)
		for _, nsp := range nsps {
			at := ""
			if nsp != "/" {
				at = nsp + ","
			}
			p.Send("40" + at)
			var w welcome
			if err := json.Unmarshal([]byte(strings.TrimPrefix(p.Text(), "40"+at)), &w); err != nil {
				t.Fatal(err)
			}
			connects = append(connects, fmt.Sprintf(`40%s{"pid":%q}`, at, w.PID))
		}
		_ = p.Conn.Close()
		eventually(t, "it leaves", func() bool { return srv.LocalCount()+srv.Of("/other").LocalCount() == 0 })
		for range n {
			for _, nsp := range nsps {
				if err := srv.Of(nsp).Emit("missed", strings.Repeat("x", size)); err != nil {
					t.Fatal(err)
				}
			}
		}
		return url, connects
	}
	t.Run("websocket", func(t *testing.T) {
		url, connects := begin(t)
		p := dial(t, url)
		p.Send(connects...)
		for got := 0; got < n*len(nsps); {
			if len(p.Text()) > size {
				got++
			}
		}
	})
	t.Run("polling", func(t *testing.T) {
		url, connects := begin(t)
		p := dialPolling(t, url)
		for _, connect := range connects {
			p.post(connect)
		}
		for got := 0; got < n*len(nsps); {
			for _, packet := range strings.Split(p.get(), "\n") {
				if len(packet) > size {
					got++
				}
			}
		}
	})
}
