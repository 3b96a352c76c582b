package zishang

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/internal/wsclient"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// serve runs a server whose sockets go through fn.
func serve(t *testing.T, cfg Config, fn func(*socket.Socket)) (*Handler, string) {
	t.Helper()
	io, h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = io.On("connection", func(args ...any) { fn(args[0].(*socket.Socket)) })
	web := httptest.NewServer(h)
	t.Cleanup(func() { io.Close(nil); web.Close(); http.DefaultClient.CloseIdleConnections() })
	return h, web.URL
}

// status is the answer to one handshake more.
func status(h *Handler) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling", nil))
	return w.Code
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(wsclient.Patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// questioner asks its client when that says so, and holds the first answer until hold is closed.
func questioner(begun, hold chan struct{}, called *atomic.Int32) func(*socket.Socket) {
	return func(s *socket.Socket) {
		_ = s.On("go", func(...any) {
			s.EmitWithAck("ask")(func([]any, error) {
				if called.Add(1) == 1 {
					close(begun)
					<-hold
				}
			})
		})
	}
}

// answering is a client that has answered so many questions.
func answering(t *testing.T, url string, many int) *wsclient.Client {
	t.Helper()
	c := wsclient.Dial(t, url, "4", nil)
	c.Connect("/", "")
	for range many {
		c.Send(`42["go"]`)
	}
	for range many {
		c.Text()
	}
	for i := range many {
		c.Flood(1, "43"+strconv.Itoa(i+1)+"[1]")
	}
	return c
}

func TestStopDropsAnswers(t *testing.T) {
	begun, hold := make(chan struct{}), make(chan struct{})
	var called atomic.Int32
	h, url := serve(t, Config{Transport: transport.Config{MaxSessions: 1}}, questioner(begun, hold, &called))
	c := answering(t, url, 50)
	<-begun
	c.HangUp()
	eventually(t, "closed", func() bool { return h.Engine().Sessions() == 0 })
	if got := status(h); got != http.StatusServiceUnavailable {
		t.Errorf("the place of answers that wait is given to another: %d", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wsclient.Patience)
	defer cancel()
	done := make(chan error)
	go func() { done <- h.Shutdown(ctx) }()
	<-h.hurry.Done()
	close(hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := called.Load(); n != 1 {
		t.Errorf("%d answers handed on", n)
	}
}

func TestAnswersCount(t *testing.T) {
	begun, hold := make(chan struct{}), make(chan struct{})
	var called atomic.Int32
	h, url := serve(t, Config{Limits: server.Limits{MaxQueuedEvents: 10}}, questioner(begun, hold, &called))
	answering(t, url, 9)
	<-begun
	close(hold)
	eventually(t, "all called", func() bool { return called.Load() == 9 })
	if n := h.Stats().QueueFull; n != 0 {
		t.Errorf("%d sessions closed", n)
	}
	begun, hold = make(chan struct{}), make(chan struct{})
	called.Store(0)
	h, url = serve(t, Config{Limits: server.Limits{MaxQueuedEvents: 10}}, questioner(begun, hold, &called))
	defer close(hold)
	answering(t, url, 30).ExpectClosed()
	if n := h.Stats().QueueFull; n != 1 {
		t.Errorf("%d sessions closed", n)
	}
}

// What a middleware has not let through yet counts for its client, also when that has gone, and is dropped after a while.
func TestParkedEventsCount(t *testing.T) {
	var nexts []func(error)
	var mu sync.Mutex
	var handled atomic.Int32
	h, url := serve(t, Config{Transport: transport.Config{MaxSessions: 1}}, func(s *socket.Socket) {
		s.Use(func(_ []any, next func(error)) {
			mu.Lock()
			defer mu.Unlock()
			nexts = append(nexts, next)
		})
		_ = s.On("x", func(...any) { handled.Add(1) })
	})
	parked := func() int { mu.Lock(); defer mu.Unlock(); return len(nexts) }
	c := wsclient.Dial(t, url, "4", nil)
	c.Connect("/", "")
	c.Flood(3, `42["x"]`)
	eventually(t, "all parked", func() bool { return parked() == 3 })
	nexts[0](nil)
	eventually(t, "let through", func() bool { return handled.Load() == 1 })
	c.HangUp()
	eventually(t, "closed", func() bool { return h.Engine().Sessions() == 0 })
	if got := status(h); got != http.StatusServiceUnavailable {
		t.Errorf("the place of events that wait is given to another: %d", got)
	}
	eventually(t, "dropped", func() bool { return status(h) == http.StatusOK })
	nexts[1](nil)
	if n := handled.Load(); n != 1 {
		t.Errorf("%d handled", n)
	}
}
