package zishang

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/internal/wsclient"
)

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// Whatever clients do, nothing of them is kept when they have gone.
func TestNothingIsKept(t *testing.T) {
	options := socket.DefaultServerOptions()
	options.SetCleanupEmptyChildNamespaces(true)
	options.SetConnectionStateRecovery(&socket.ConnectionStateRecovery{})
	io, h, err := New(Config{Options: options})
	if err != nil {
		t.Fatal(err)
	}
	allow := func(name string, _ any, next func(error, bool)) { go next(nil, name != "/no") }
	p := io.Of(socket.ParentNspNameMatchFn(&allow), nil)
	p.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
		switch s.Nsp().Name() {
		case "/refused":
			next(socket.NewExtendedError("no", nil))
		case "/waits":
		default:
			next(nil)
		}
	})
	_ = p.On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		_ = s.On("leave", func(...any) { s.Disconnect(false) })
		if s.Nsp().Name() == "/kicked" {
			s.Disconnect(true)
		}
	})
	web := httptest.NewServer(h)
	defer web.Close()
	packets := [][]string{
		{"40/no,"}, {"40/refused,"}, {"40/waits,"}, {"40/a,", "41/a,", "40/a,"}, {"40/b,", `42/b,["leave"]`, "40/b,"},
		{"40/kicked,"}, {"40", "41"}, {"40", "40"}, {"40/a,"}, {"nonsense"}, {},
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 10 * len(packets) {
				c := wsclient.Dial(t, web.URL, "4", nil)
				for _, text := range packets[(i+k)%len(packets)] {
					c.Flood(1, text)
				}
				if k%3 == 0 {
					time.Sleep(time.Duration(k%7) * time.Millisecond)
				}
				c.HangUp()
			}
		})
	}
	wg.Wait()
	kept := func() (list [4]int) {
		list = [4]int{size(&h.conns), size(&h.members)}
		h.internals.namespacesOf(io).Range(func(_ string, n socket.Namespace) bool {
			list[2] += n.Sockets().Len()
			return true
		})
		list[3] = h.Engine().Sessions()
		return list
	}
	end := time.Now().Add(wsclient.Patience)
	for kept() != [4]int{} {
		if time.Now().After(end) {
			t.Fatalf("kept: conns, members, sockets, sessions: %v", kept())
		}
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wsclient.Patience)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
