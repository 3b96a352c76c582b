package host

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
)

// running starts a host on a free port and returns what Run returns.
func running(t *testing.T, h *Host) <-chan error {
	t.Helper()
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Run(context.Background()) }()
	get(t, h, "livez") // Run takes signals from before it serves
	return done
}

func get(t *testing.T, h *Host, target string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Get(h.URL() + target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func signalSelf(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("Run has not returned")
		return nil
	}
}

func TestSignalStopsGracefully(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
			reasons := make(chan string, 1)
			h.IO().OnConnection(func(s *server.Socket) { s.OnDisconnect(func(d server.Disconnection) { reasons <- string(d.Reason) }) })
			done := running(t, h)

			open := get(t, h, "socket.io/?EIO=4&transport=polling")
			sid := strings.Split(open, `"`)[3]
			session := "socket.io/?EIO=4&transport=polling&sid=" + sid
			res, err := http.Post(h.URL()+session, "text/plain", strings.NewReader("40"))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if got := get(t, h, session); !strings.HasPrefix(got, "40{") {
				t.Fatalf("connect: %q", got)
			}

			// A poll that waits when the signal comes is answered with a CLOSE packet.
			answer := make(chan string, 1)
			go func() { answer <- get(t, h, session) }()
			awaitPoll(t, h)
			signalSelf(t, sig)
			if got := <-answer; got != "1" {
				t.Errorf("the waiting poll got %q, want a CLOSE packet", got)
			}
			if err := await(t, done); err != nil {
				t.Errorf("Run returned %v", err)
			}
			if got := <-reasons; got != "server shutting down" {
				t.Errorf("reason %q", got)
			}
		})
	}
}

// awaitPoll waits until the session of the host has a poll pending.
func awaitPoll(t *testing.T, h *Host) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		for _, s := range h.IO().Sockets() {
			if s.Session().Writable() {
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no poll is pending")
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", ShutdownTimeout: time.Hour})
	entered, release := make(chan struct{}), make(chan struct{})
	h.Handle("GET", "/stuck", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "here\n")
		_ = http.NewResponseController(w).Flush()
		close(entered)
		<-release
	}))
	done := running(t, h)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(h.URL() + "stuck")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || line != "here\n" {
		t.Fatal(line, err)
	}
	<-entered
	signalSelf(t, syscall.SIGTERM)
	for !h.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); !errors.Is(err, ErrForced) {
		t.Errorf("Run returned %v, want ErrForced", err)
	}
	close(release)
}

func TestStopKeepsItsDeadline(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", ShutdownTimeout: 200 * time.Millisecond})
	entered, release := make(chan struct{}), make(chan struct{})
	h.Handle("GET", "/stuck", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}))
	done := running(t, h)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		if res, err := client.Get(h.URL() + "stuck"); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-entered
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run returned %v, want the deadline's error", err)
	}
	close(release)
}

func TestRunEndsWithItsContext(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	cancel()
	if err := await(t, done); err != nil {
		t.Errorf("Run returned %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.listener.Close() }()
	port := h.listener.Addr().(*net.TCPAddr).Port
	other, _ := newTestHost(t, Config{Port: Port(port), Host: "127.0.0.1"})
	if err := other.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "the host's own port (set PORT ") {
		t.Errorf("Run returned %v", err)
	}
}

// A poll that waits for long leaves net/http, its connection comes back, and neither is seen from outside.
func TestLongPollAndItsConnection(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	h.IO().OnConnection(func(s *server.Socket) {
		time.AfterFunc(time.Second, func() { _ = s.Emit("late") })
	})
	var left atomic.Bool
	h.http.ConnState = func(_ net.Conn, state http.ConnState) { left.Store(left.Load() || state == http.StateHijacked) }
	done := running(t, h)
	conn, err := net.Dial("tcp", h.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(conn)
	ask := func(request string) (body, instance string) {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b), res.Header.Get(InstanceHeader)
	}
	poll := "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"
	open, instance := ask(poll)
	sid := "&sid=" + strings.Split(open, `"`)[3]
	poll = strings.Replace(poll, "polling", "polling"+sid, 1)
	ask("POST /socket.io/?EIO=4&transport=polling" + sid + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n40")
	for _, want := range []string{"40{", `42["late"]`} {
		if got, by := ask(poll); !strings.HasPrefix(got, want) || by != instance {
			t.Errorf("poll %q by %q, want %q by %q", got, by, want, instance)
		}
	}
	if !left.Load() && runtime.GOOS == "linux" {
		t.Error("the poll has not left net/http: is its ResponseWriter wrapped?")
	}
	if got, _ := ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); got != get(t, h, "livez") {
		t.Errorf("livez on the same connection %q", got)
	}
	ask("POST /socket.io/?EIO=4&transport=polling" + sid + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Errorf("Run: %v", err)
	}
}
