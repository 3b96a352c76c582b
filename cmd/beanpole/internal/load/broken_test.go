package load

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// broken is a server by hand, over WebSockets alone, that acknowledges "echo" and "join" and passes "broadcast" and "room" on to
// all that are there, its sender too, and does to it what it is told to.
type broken struct {
	refuse bool   // every second client
	echo   mangle // the answers to one client
	cast   mangle // what is passed on to one client

	mu    sync.Mutex
	conns map[*peer]bool
	came  int
}

// mangle makes of the n-th message, counted from 1, those that are sent: by default that one.
type mangle func(n int, right string) []string

type peer struct {
	net.Conn
	mu    sync.Mutex
	n     map[string]int
	later map[string]string
}

// send sends what becomes of a message of a kind. "hangup" ends the connection.
func (p *peer) send(kind string, m mangle, right string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n[kind]++
	list := []string{right}
	if m != nil {
		list = m(p.n[kind], right)
	}
	for _, text := range list {
		switch text {
		case "later":
			p.later[kind] = right
			continue
		case "now":
			text = p.later[kind]
		case "hangup":
			_ = p.Close()
			continue
		}
		_ = wsutil.WriteServerText(p, []byte(text)) // the client may have gone
	}
}

func (b *broken) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	go b.serve(&peer{Conn: conn, n: map[string]int{}, later: map[string]string{}})
}

func (b *broken) serve(p *peer) {
	defer p.Close()
	p.send("", nil, `0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, p)
	}()
	for {
		data, err := wsutil.ReadClientText(p)
		if err != nil {
			return
		}
		id, args, event := strings.Cut(strings.TrimPrefix(string(data), "42"), "[")
		name, rest, _ := strings.Cut(args, ",")
		switch {
		case string(data) == "40":
			b.mu.Lock()
			b.came++
			refused := b.refuse && b.came > 3 && b.came%2 == 0 // two are those of the trial
			b.conns[p] = !refused
			b.mu.Unlock()
			if refused {
				p.send("", nil, `44{"message":"full"}`)
			} else {
				p.send("", nil, `40{"sid":"y"}`)
			}
		case !event:
		case name == `"echo"`:
			p.send("echo", b.echo, "43"+id+"["+rest)
		case name == `"join"`:
			p.send("", nil, "43"+id+"[]")
		case name == `"room"`:
			_, rest, _ = strings.Cut(rest, ",")
			fallthrough
		case name == `"broadcast"`:
			b.mu.Lock()
			for to, in := range b.conns {
				if in {
					to.send("cast", b.cast, `42["msg",`+rest)
				}
			}
			b.mu.Unlock()
		}
	}
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	if b, ok := h.(*broken); ok {
		b.conns = map[*peer]bool{}
	}
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return web.URL
}

// third leaves all messages as they are but the third.
func third(list ...string) mangle {
	return func(n int, right string) []string {
		if n != 3 {
			return []string{right}
		}
		return list
	}
}

func twice(n int, right string) []string {
	if n == 3 {
		return []string{right, right}
	}
	return []string{right}
}

func swapped(n int, right string) []string {
	switch n {
	case 3:
		return []string{"later"}
	case 4:
		return []string{right, "now"}
	}
	return []string{right}
}

// another changes a digit of the third message's number, or of the row where that is a room.
func another(n int, right string) []string {
	if n == 3 {
		i := strings.Index(right, `"bp`) + 1 + prefixLen + 7
		return []string{right[:i] + "f" + right[i+1:]}
	}
	return []string{right}
}
