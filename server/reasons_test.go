package server_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
	"github.com/gobwas/ws"
)

// A disconnect handler is told the reason, and the code and the error behind it where there are any.
func TestDisconnectionHasCodeAndCause(t *testing.T) {
	closed := func(p *peer, body []byte) {
		_ = ws.WriteFrame(p.Conn, ws.MaskFrameInPlace(ws.NewCloseFrame(body)))
	}
	for name, c := range map[string]struct {
		end    func(*peer)
		reason transport.CloseReason
		code   int
		cause  func(error) bool
	}{
		"close frame": {
			func(p *peer) { closed(p, ws.NewCloseFrameBody(4001, "tired")) },
			server.ReasonTransportClose, 4001, func(err error) bool {
				var frame *transport.CloseError
				return errors.As(err, &frame) && frame.Text == "tired" && err.Error() == "close frame with code 4001"
			},
		},
		"close frame without code": {
			func(p *peer) { closed(p, nil) },
			server.ReasonTransportClose, 1005, func(err error) bool { return err != nil },
		},
		"close packet": {
			func(p *peer) { p.Send("1") },
			server.ReasonTransportClose, 0, func(err error) bool { return err == nil },
		},
		"connection cut": {
			func(p *peer) { _ = p.Conn.Close() },
			server.ReasonTransportClose, 0, func(err error) bool { return err != nil },
		},
		"broken frame": {
			func(p *peer) { _ = ws.WriteFrame(p.Conn, ws.NewTextFrame([]byte("not masked"))) },
			server.ReasonTransportError, 0, func(err error) bool { return err != nil },
		},
		"invalid packet": {
			func(p *peer) { p.Send("42{}") },
			server.ReasonForcedClose, 0, func(err error) bool { return errors.Is(err, packet.ErrPayload) },
		},
		"silence": {
			func(p *peer) {}, // not even a pong
			server.ReasonPingTimeout, 0, func(err error) bool { return err != nil },
		},
		"disconnect": {
			func(p *peer) { p.Send("41") },
			server.ReasonClientDisconnect, 0, func(err error) bool { return err == nil },
		},
		"kick": {
			func(p *peer) { p.Send(`42["kick"]`) },
			server.ReasonServerDisconnect, 0, func(err error) bool { return err == nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ends := make(chan server.Disconnection, 2)
			cfg := server.Config{}
			if name == "silence" {
				cfg.Transport = transport.Config{PingInterval: 10 * time.Millisecond, PingTimeout: 10 * time.Millisecond}
			}
			_, url := start(t, cfg, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					s.On("kick", func() { s.Disconnect(true) })
					s.OnDisconnecting(func(d server.Disconnection) { ends <- d })
					s.OnDisconnect(func(d server.Disconnection) { ends <- d })
				})
			})
			p, _ := join(t, url, "/")
			c.end(p)
			for range 2 {
				if d := await(t, ends); d.Reason != c.reason || d.Code != c.code || !c.cause(d.Cause) {
					t.Errorf("ended by %q, code %d, cause %v", d.Reason, d.Code, d.Cause)
				}
			}
		})
	}
}

// What a middleware has begun ends with the client, when it goes while it is being connected too: disconnect
// handlers run, once, as soon as the middlewares have returned. A middleware's refusal ends the context alone,
// as no socket has been there (Node: no disconnect event).
func TestDisconnectHandlerOfAMiddleware(t *testing.T) {
	type seen struct {
		ends chan server.Disconnection
		ctx  context.Context
	}
	start := func(t *testing.T, rest func(*server.Socket) error) (string, chan seen) {
		sockets := make(chan seen, 1)
		_, url := start(t, server.Config{}, func(io *server.Server) {
			io.Use(func(s *server.Socket) error {
				ends := make(chan server.Disconnection, 2)
				s.OnDisconnect(func(d server.Disconnection) { ends <- d })
				sockets <- seen{ends, s.Context()}
				return nil
			})
			io.Use(rest)
		})
		return url, sockets
	}
	untilGone := func(s *server.Socket) error { <-s.Context().Done(); return nil }
	for name, c := range map[string]struct {
		rest   func(*server.Socket) error
		leave  func(*peer)
		reason transport.CloseReason
	}{
		"connected": {func(*server.Socket) error { return nil }, func(p *peer) { p.Text(); p.Send("41") }, server.ReasonClientDisconnect},
		"leaves":    {untilGone, func(p *peer) { p.Send("41") }, server.ReasonClientDisconnect},
		"gone":      {untilGone, func(p *peer) { _ = p.Conn.Close() }, server.ReasonTransportClose},
		"gone, and refused": {
			func(s *server.Socket) error { return errors.Join(untilGone(s), errors.New("no")) },
			func(p *peer) { _ = p.Conn.Close() }, server.ReasonTransportClose,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, sockets := start(t, c.rest)
			p := dial(t, url)
			p.Send("40")
			s := await(t, sockets)
			c.leave(p)
			if d := await(t, s.ends); d.Reason != c.reason {
				t.Errorf("ended by %q", d.Reason)
			}
			await(t, s.ctx.Done())
			if len(s.ends) > 0 {
				t.Error("called twice")
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		url, sockets := start(t, func(*server.Socket) error { return errors.New("no") })
		p := dial(t, url)
		p.Send("40")
		s := await(t, sockets)
		p.Expect(`44{"message":"no"}`)
		await(t, s.ctx.Done())
		p.Send("40") // the turn of the first is over
		await(t, sockets)
		if len(s.ends) > 0 {
			t.Error("called for a socket that was refused")
		}
	})
}

// A client may acknowledge without a payload: no values.
func TestAcknowledgementWithoutPayload(t *testing.T) {
	for _, c := range []struct {
		name, nsp string
		parser    packet.Parser
	}{
		{"text", "/", packet.Text()}, {"text in a namespace", "/n", packet.Text()}, {"MessagePack", "/n", packet.MsgPack()},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers := make(chan int, 3)
			_, url := start(t, server.Config{Parser: c.parser}, func(io *server.Server) {
				io.Of(c.nsp).On("go", func(ctx context.Context, s *server.Socket) error {
					args, err := s.EmitWithAck(ctx, "q")
					answers <- args.Len()
					if err != nil {
						return err
					}
					all, err := s.Namespace().EmitWithAck(ctx, "q")
					answers <- len(all)
					for _, a := range all {
						answers <- a.Len()
					}
					return err
				})
			})
			p := dial(t, url)
			send := func(q packet.Packet) {
				q.Namespace = c.nsp
				if m := c.parser.Encode(nil, nil, &q)[0]; m.Binary {
					p.SendBinary(m.Data)
				} else {
					p.Send("4" + string(m.Data))
				}
			}
			next := func() *packet.Packet {
				data, op, err := p.Read()
				if err != nil {
					t.Fatal(err)
				}
				if op == ws.OpText {
					data = data[len("4"):]
				}
				q, err := c.parser.NewDecoder(packet.Limits{}).Add(packet.Message{Data: data, Binary: op == ws.OpBinary})
				if err != nil {
					t.Fatal(err)
				}
				return q
			}
			send(packet.Packet{Type: packet.Connect})
			next()
			send(packet.Packet{Type: packet.Event, Data: []byte(`["go"]`), ID: 7, HasID: true})
			for i, want := range [][]int{{0}, {1, 0}} { // from one, and from a broadcast
				send(packet.Packet{Type: packet.Ack, ID: next().ID, HasID: true})
				for _, want := range want {
					if got := await(t, answers); got != want {
						t.Errorf("answer %d: %d, want %d", i, got, want)
					}
				}
			}
			if got := next(); got.Type != packet.Ack || got.ID != 7 || string(got.Data) != "[]" {
				t.Errorf("the handler answered %s", got.Data)
			}
		})
	}
}

// What ends a session here for a limit of ours, and would not have on Node or is recoverable there, is
// recoverable.
func TestLimitsOfOursAreRecoverable(t *testing.T) {
	type limit struct {
		reason transport.CloseReason
		set    func(*server.Config)
		beyond func(*peer)
	}
	for name, c := range map[string]limit{
		"invalid packet": {server.ReasonForcedClose, nil, func(p *peer) { p.Send("4garbage") }},
		"backlog": {
			server.ReasonSlowConsumer, func(c *server.Config) { c.Transport.MaxBacklogBytes = 10 << 10 },
			func(p *peer) {
				frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame(make([]byte, 100))))
				go func() { // until the connection ends
					for pings := bytes.Repeat(frame, 1000); ; {
						if _, err := p.Conn.Write(pings); err != nil {
							return
						}
					}
				}()
			},
		},
		"message": {
			server.ReasonTransportError, func(c *server.Config) { c.Transport.MaxHTTPBufferSize = 1000 },
			func(p *peer) { p.Send("42" + strings.Repeat("x", 1000)) },
		},
		"write timeout": {
			server.ReasonTransportError, func(c *server.Config) { c.Transport.WriteTimeout = 20 * time.Millisecond },
			func(p *peer) { p.Send(`42["large"]`) },
		},
		"attachments": {
			server.ReasonForcedClose, func(c *server.Config) { c.Limits.AttachmentTimeout = time.Millisecond },
			func(p *peer) { p.Send(`451-["x",{"_placeholder":true,"num":0}]`) },
		},
		"nesting": {
			server.ReasonForcedClose, func(c *server.Config) { c.Limits.MaxDepth = 3 },
			func(p *peer) { p.Send(`42["x",[[[[]]]]]`) },
		},
		"events per second": {
			server.ReasonRateLimited, func(c *server.Config) { c.Limits.EventsPerSecond = 5 },
			func(p *peer) { p.Flood(100, `42["x"]`) },
		},
		"queue": {
			server.ReasonQueueFull, func(c *server.Config) { c.Limits.MaxQueuedEvents = 10 },
			func(p *peer) { p.Flood(100, `42["block"]`) },
		},
		"silence": {
			server.ReasonPingTimeout, func(c *server.Config) {
				c.Transport.PingInterval, c.Transport.PingTimeout = time.Second, 20*time.Millisecond
			},
			func(*peer) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recovered := make(chan bool, 2)
			gone := make(chan transport.CloseReason, 2)
			cfg := server.Config{Recovery: &server.Recovery{}}
			if c.set != nil {
				c.set(&cfg)
			}
			srv, url := start(t, cfg, func(io *server.Server) {
				io.On("block", func(s *server.Socket) { <-s.Context().Done() })
				io.On("large", func(s *server.Socket) error { return s.Volatile().Emit("large", strings.Repeat("x", 16<<20)) })
				io.OnConnection(func(s *server.Socket) {
					s.OnDisconnect(func(why server.Disconnection) { gone <- why.Reason })
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
			c.beyond(p)
			if got := await(t, gone); got != c.reason {
				t.Errorf("ended by %q, want %q", got, c.reason)
			}
			q := dial(t, url)
			if again := q.connect(`{"pid":"` + first.PID + `","offset":"` + last + `"}`); again != first || !await(t, recovered) {
				t.Errorf("not recovered: %v, was %v", again, first)
			}
		})
	}
}
