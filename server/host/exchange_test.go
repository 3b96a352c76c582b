package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server"
)

// pipes is a listener for connections in memory, whose time is the test's.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// servePipes serves h until stop is called, which returns what Shutdown does. It returns what dials it.
func servePipes(t *testing.T, h *Host) (dial func() net.Conn, stop func() error) {
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- h.http.Serve(p) }()
	dial = func() net.Conn {
		client, server := net.Pipe()
		t.Cleanup(func() { _ = client.Close() })
		p.conns <- server
		return client
	}
	return dial, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), DefaultShutdownTimeout)
		defer cancel()
		err := h.Shutdown(ctx)
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			t.Error(e)
		}
		return err
	}
}

func send(t *testing.T, c net.Conn, request string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Error(err)
	}
}

// askable are requests of a host with the routes of withRoutes.
var askable = map[string]string{
	"not found":   "POST /nobody",
	"file":        "GET /",
	"file posted": "POST /",
	"health":      "GET /healthz",
	"bundle":      "GET /socket.io/socket.io.js",
	"transport":   "GET /socket.io/?EIO=9&transport=polling",
	"bare":        "POST /socket.io",
	"not reading": "POST /ignore",
	"reading":     "POST /read",
	"large":       "GET /large",
}

const large = 1 << 20

func withRoutes(t *testing.T) *Host {
	h, _ := newTestHost(t, Config{AccessLog: AccessNone})
	h.Handle("POST", "/ignore", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h.Handle("POST", "/read", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil && r.Context().Err() == nil {
			_, _ = io.WriteString(w, "read "+strings.Repeat("x", int(n>>20)))
		}
	}))
	h.Handle("GET", "/large", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, large))
	}))
	return h
}

// A body that never comes, and an answer that is never read, hold no request of any route for long.
func TestNoRequestIsHeldForEver(t *testing.T) {
	for name, line := range askable {
		for kind, head := range map[string]string{
			"length": "Content-Length: 9\r\n\r\n", "chunked": "Transfer-Encoding: chunked\r\n\r\n", "not read": "\r\n",
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dial, stop := servePipes(t, withRoutes(t))
					c, start := dial(), time.Now()
					request := line + " HTTP/1.1\r\nHost: x\r\n" + head
					send(t, c, request)
					if kind != "not read" {
						_, _ = io.Copy(io.Discard, c) // however the end is told
					}
					for err := error(nil); err == nil; { // the next is read when the one before is answered
						_, err = io.WriteString(c, request)
					}
					if took := time.Since(start); took > bodyTimeout+answerTimeout+time.Second {
						t.Errorf("held for %v", took)
					}
					if err := stop(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// What goes on may take long.
func TestSlowRequestsThatGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := servePipes(t, withRoutes(t))
		c := dial()
		r := bufio.NewReader(c)
		start := time.Now()
		send(t, c, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n")
		for range 2 << 20 / bodyRate {
			send(t, c, strings.Repeat("x", bodyRate))
			time.Sleep(time.Second)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "read xx" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		send(t, c, "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if res, err = http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		got, b := 0, make([]byte, 8<<10)
		for err == nil {
			var n int
			n, err = res.Body.Read(b)
			got += n
			time.Sleep(5 * time.Second)
		}
		if got != large || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes in %v: %v", got, time.Since(start), err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A handler that waits for something else keeps its context, and sets deadlines of its own if it likes.
func TestHandlersMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withRoutes(t)
		h.Handle("POST", "/long", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(time.Hour)
			if r.Context().Err() == nil {
				_, _ = io.WriteString(w, "late")
			}
		}))
		h.Handle("POST", "/own", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			b, _ := io.ReadAll(r.Body)
			_, _ = w.Write(b)
		}))
		dial, stop := servePipes(t, h)
		c := dial()
		r := bufio.NewReader(c)
		for path, want := range map[string]string{"/long": "late", "/own": "x"} {
			send(t, c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
			time.Sleep(time.Minute / 4 * map[string]time.Duration{"/long": 1, "/own": 8}[path])
			send(t, c, "x")
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(path, err)
			}
			if b, err := io.ReadAll(res.Body); string(b) != want || err != nil {
				t.Errorf("%s: %q, %v", path, b, err)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A stop waits for handlers, and not for clients.
func TestStopDoesNotWaitForClients(t *testing.T) {
	for name, line := range askable {
		for kind, head := range map[string]string{
			"length": "Content-Length: 9\r\n\r\n", "chunked": "Transfer-Encoding: chunked\r\n\r\n", "not read": "\r\n",
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := withRoutes(t)
					entered := make(chan struct{})
					h.Handle("GET", "/work", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						close(entered)
						time.Sleep(10 * time.Second)
						_, _ = io.WriteString(w, "worked")
					}))
					dial, stop := servePipes(t, h)
					held, worker := dial(), dial()
					send(t, held, line+" HTTP/1.1\r\nHost: x\r\n"+head)
					synctest.Wait()
					start := time.Now()
					if strings.HasPrefix(name, "not") { // with a handler at work too
						send(t, worker, "GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
						<-entered
						go func() {
							res, err := http.ReadResponse(bufio.NewReader(worker), nil)
							if err != nil {
								t.Error(err)
								return
							}
							if b, err := io.ReadAll(res.Body); string(b) != "worked" || err != nil {
								t.Errorf("%q, %v", b, err)
							}
						}()
						if err := stop(); err != nil || time.Since(start) < 10*time.Second {
							t.Errorf("after %v: %v", time.Since(start), err)
						}
						return
					}
					if err := stop(); err != nil || time.Since(start) > 2*stopGrace {
						t.Errorf("after %v: %v", time.Since(start), err)
					}
				})
			})
		}
	}
}

func TestStopDoesNotWaitForABodyToForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHost(t, Config{Adjust: func(c *server.Config) {
			c.Transport.UnknownSession = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
				_, _ = io.Copy(io.Discard, r.Body)
				return true
			}
		}})
		dial, stop := servePipes(t, h)
		send(t, dial(), "POST /socket.io/?EIO=4&transport=polling&sid=elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil || time.Since(start) > 2*stopGrace {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// A poll that another server will answer is no client that is waited for, unless it does not take the answer.
func TestStopWaitsForWhatIsForwarded(t *testing.T) {
	for name, takes := range map[string]bool{"taken": true, "not taken": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := newTestHost(t, Config{Adjust: func(c *server.Config) {
					c.Transport.UnknownSession = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
						time.Sleep(10 * time.Second)
						_, _ = io.WriteString(w, "late")
						_ = http.NewResponseController(w).Flush()
						return true
					}
				}})
				dial, stop := servePipes(t, h)
				c, start := dial(), time.Now()
				send(t, c, "GET /socket.io/?EIO=4&transport=polling&sid=elsewhere HTTP/1.1\r\nHost: x\r\n\r\n")
				synctest.Wait()
				answer := make(chan string, 1)
				if takes {
					go func() {
						b, _ := io.ReadAll(c)
						answer <- string(b)
					}()
				}
				if err := stop(); err != nil || time.Since(start) < 10*time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				if takes && !strings.Contains(<-answer, "late") {
					t.Error("the poll is not answered")
				}
			})
		})
	}
}

// Over HTTP/2 a deadline that passes ends the request, though nobody reads or writes: none stands while the handler
// does something else.
func TestNoDeadlineWhileTheClientIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHost(t, Config{AccessLog: AccessNone})
		wait := func() { time.Sleep(10 * (answerTimeout + bodyTimeout)) }
		h.Handle("POST", "/events", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wait()
			_, err := io.ReadFull(r.Body, make([]byte, 300_000))
			wait()
			rest, err2 := io.ReadAll(r.Body)
			wait()
			_, _ = fmt.Fprintln(w, err, len(rest), err2)
			w.(http.Flusher).Flush()
			wait()
			_, _ = fmt.Fprint(w, "end")
		}))
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		h.http.Protocols = &protocols
		dial, stop := servePipes(t, h)
		transport := &http.Transport{Protocols: &protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return dial(), nil
		}}
		client := http.Client{Transport: transport}
		res, err := client.Post("http://x/events", "text/plain", strings.NewReader(strings.Repeat("x", 2<<20)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if want := fmt.Sprintln(nil, 2<<20-300_000, nil) + "end"; string(got) != want || err != nil || res.ProtoMajor != 2 {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
