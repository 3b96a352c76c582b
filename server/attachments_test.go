package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/server/servertest"
	"github.com/beanpole/beanpole/transport"
)

// A client may stream binary for as long as it likes: what is bounded is the wait for one packet's next attachment.
func TestBinaryStreamsLongerThanTheAttachmentTimeout(t *testing.T) {
	const header = `45%d-["part",%s]`
	placeholders := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`{"_placeholder":true,"num":%d}`, i))
		}
		return fmt.Sprintf(header, n, strings.Join(list, ","))
	}
	for name, bodies := range map[string][]string{
		// Whenever the handlers run, some packet waits.
		"one packet behind the other": {"bAQID\x1e" + placeholders(1)},
		"one packet of many":          {"bAQID", "bAQID", "bAQID", "bAQID", "bAQID\x1e" + placeholders(5)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				io, err := server.New(server.Config{Transport: transport.Config{PingInterval: time.Hour}})
				if err != nil {
					t.Fatal(err)
				}
				ends, parts := make(chan string, 1), 0
				io.OnConnection(func(s *server.Socket) {
					s.On("part", func(e *server.Event) { parts++ })
					s.OnDisconnect(func(why server.Disconnection) { ends <- string(why.Reason) })
				})
				v := openVirtual(t, io)
				post := v.post
				post("40")
				post(placeholders(strings.Count(strings.Join(bodies, ""), "bAQID")))
				for range 20 {
					for _, body := range bodies {
						time.Sleep(9 * time.Second)
						post(body)
					}
				}
				if parts != 20 {
					t.Errorf("%d packets came, want 20", parts)
				}
				start := time.Now()
				if reason := <-ends; reason != string(transport.ReasonForcedClose) {
					t.Errorf("reason %q", reason)
				}
				if d := time.Since(start); d < 10*time.Second || d > 30*time.Second { // and then a poll is waited for
					t.Errorf("ended after %v", d)
				}
				_ = io.Shutdown(t.Context())
			})
		})
	}
}

// virtual is a client of polling in virtual time.
type virtual struct {
	t   *testing.T
	srv *server.Server
	sid string
}

func openVirtual(t *testing.T, srv *server.Server) *virtual {
	t.Helper()
	v := &virtual{t: t, srv: srv}
	_, open, _ := strings.Cut(v.poll(), `"sid":"`)
	sid, _, _ := strings.Cut(open, `"`)
	v.sid = "&sid=" + sid
	return v
}

func (v *virtual) serve(method, body string) string {
	w := httptest.NewRecorder()
	v.srv.ServeHTTP(w, httptest.NewRequest(method, "/?EIO=4&transport=polling"+v.sid, strings.NewReader(body)))
	synctest.Wait()
	return w.Body.String()
}

// post sends a body and waits until everything that can be done about it has been.
func (v *virtual) post(body string) {
	v.t.Helper()
	if got := v.serve("POST", body); got != "ok" {
		v.t.Fatalf("post: %s", got)
	}
}

// poll returns the answer to a poll, for which it waits.
func (v *virtual) poll() string { return v.serve("GET", "") }

// What clients close their connection for is said once, whichever way it leaves; not where it does not leave, or more are taken.
func TestMoreBinariesThanClientsTakeAreSaid(t *testing.T) {
	type way = func(io *server.Server, s *server.Socket, c *servertest.Client)
	many := slices.Repeat([]any{[]byte{1}}, 11)
	said := func(cfg server.Config, emit way) (lines int) {
		synctest.Test(t, func(t *testing.T) {
			var log remarks
			cfg.Logger = log.log(slog.LevelWarn)
			io := servertest.Server(t, cfg)
			io.On("answer", func(list ...any) []any { return many })
			io.On("ack", func(ack server.Ack) { _ = ack(many...) })
			c := servertest.Connect(t, io)
			socket := io.Sockets()[0] // its client may leave for the first
			emit(io, socket, c)
			emit(io, socket, c)
			synctest.Wait()
			lines = len(log.find("a packet has more binaries than clients take", "binaries=11"))
		})
		return lines
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, emit := range map[string]way{
		"Emit": func(io *server.Server, s *server.Socket, c *servertest.Client) { _ = s.Emit("x", many...) },
		"inside": func(io *server.Server, s *server.Socket, c *servertest.Client) {
			_ = s.Emit("x", 1, map[string]any{"all": many})
		},
		"EmitWithAck": func(io *server.Server, s *server.Socket, c *servertest.Client) {
			_, _ = s.EmitWithAck(ctx, "x", many...)
		},
		"EmitThen": func(io *server.Server, s *server.Socket, c *servertest.Client) {
			_ = s.EmitThen(func(server.Args, error) {}, "x", many...)
		},
		"EmitFunc": func(io *server.Server, s *server.Socket, c *servertest.Client) {
			_ = s.EmitFunc(func(server.Args, error) {}, "x", many...)
		},
		"a broadcast": func(io *server.Server, s *server.Socket, c *servertest.Client) { _ = io.To("room").Emit("x", many...) },
		"a broadcast that asks": func(io *server.Server, s *server.Socket, c *servertest.Client) {
			_, _ = io.All().EmitWithAck(ctx, "x", many...)
		},
		"an answer": func(io *server.Server, s *server.Socket, c *servertest.Client) {
			_ = c.EmitFunc(func(client.Args, error) {}, "answer")
		},
		"an Ack": func(io *server.Server, s *server.Socket, c *servertest.Client) {
			_ = c.EmitFunc(func(client.Args, error) {}, "ack")
		},
	} {
		for _, cfg := range []server.Config{{}, {Recovery: &server.Recovery{}}} {
			if n := said(cfg, emit); n != 1 {
				t.Errorf("%s, recovery %v: said %d times", name, cfg.Recovery != nil, n)
			}
		}
	}
	all := func(io *server.Server, s *server.Socket, c *servertest.Client) { _ = io.Emit("x", many...) }
	for name, c := range map[string]struct {
		cfg  server.Config
		emit way
	}{
		"to servers": {server.Config{}, func(io *server.Server, s *server.Socket, c *servertest.Client) { _ = io.ServerSideEmit("x", many...) }},
		"ten":        {server.Config{}, func(io *server.Server, s *server.Socket, c *servertest.Client) { _ = s.Emit("x", many[1:]...) }},
		"raised":     {server.Config{Limits: server.Limits{Limits: packet.Limits{MaxAttachments: 11}}}, all},
	} {
		if n := said(c.cfg, c.emit); n != 0 {
			t.Errorf("%s: said %d times", name, n)
		}
	}
	var log remarks
	io, err := server.New(server.Config{Parser: packet.MsgPack(), Logger: log.log(slog.LevelWarn)})
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	if err := io.Emit("x", many...); err != nil || len(log.find("binaries")) != 0 {
		t.Errorf("MessagePack: %v, %q", err, log.find("binaries"))
	}
}
