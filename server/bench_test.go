package server_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// The clients of these benchmarks write frames that are built once and read what they expect, so that
// what is allocated is the server's. test/bench measures whole processes, and other servers.

// quiet is a configuration without log and, as long as a benchmark takes, without heartbeats.
var quiet = server.Config{
	Logger:    slog.New(slog.DiscardHandler),
	Transport: transport.Config{PingInterval: time.Hour},
}

// frames returns the masked frames of a client's messages; those after the first are binary.
func frames(text string, binary ...[]byte) []byte {
	var b bytes.Buffer
	for i, data := range append([][]byte{[]byte(text)}, binary...) {
		op := ws.OpText
		if i > 0 {
			op = ws.OpBinary
		}
		_ = ws.WriteFrame(&b, ws.MaskFrameWith(ws.NewFrame(op, true, data), [4]byte{1, 2, 3, 4}))
	}
	return b.Bytes()
}

// BenchmarkEcho is one event and its acknowledgement over one WebSocket on loopback.
func BenchmarkEcho(b *testing.B) {
	type message struct {
		Room string `json:"room"`
		Text string `json:"text"`
	}
	_, url := start(b, quiet, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("text", func(text string) string { return text })
			s.On("struct", func(m message) message { return m })
			s.On("error", func(text string) (string, error) { return text, nil })
			s.On("event", func(e *server.Event) { _ = e.Ack(e.Raw(0)) })
			s.On("bin", func(data []byte) []byte { return data })
		})
	})
	kib := string(bytes.Repeat([]byte("0123456789abcdef"), 64))
	const placeholder = `{"_placeholder":true,"num":0}`
	for _, c := range []struct {
		name, event, answer string
		binary              []byte
	}{
		{"string", `42100000["text","hello, world"]`, `43100000["hello, world"]`, nil},
		{"string=1KiB", `42100000["text","` + kib + `"]`, `43100000["` + kib + `"]`, nil},
		{"struct", `42100000["struct",{"room":"lobby","text":"hello"}]`, `43100000[{"room":"lobby","text":"hello"}]`, nil},
		{"error", `42100000["error","hello, world"]`, `43100000["hello, world"]`, nil},
		{"event", `42100000["event","hello, world"]`, `43100000["hello, world"]`, nil},
		{"binary=1KiB", `451-100000["bin",` + placeholder + `]`, `461-100000[` + placeholder + `]`, []byte(kib)},
	} {
		for _, window := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/outstanding=%d", c.name, window), func(b *testing.B) {
				p, _ := join(b, url, "/")
				event, answer := frames(c.event), serverFrame(ws.OpText, []byte(c.answer))
				if c.binary != nil {
					event = frames(c.event, c.binary)
					answer = append(answer, serverFrame(ws.OpBinary, c.binary)...)
				}
				events := bytes.Repeat(event, window)
				answers := make([]byte, window*len(answer))
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					if n%window != 0 {
						continue
					}
					if _, err := p.conn.Write(events); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(p.conn, answers); err != nil {
						b.Fatal(err)
					}
				}
				if !bytes.HasPrefix(answers, answer) {
					b.Fatalf("answer is %q, want %q", answers, answer)
				}
			})
		}
	}
}

// serverFrame is the frame that a server sends.
func serverFrame(op ws.OpCode, data []byte) []byte {
	var b bytes.Buffer
	_ = ws.WriteFrame(&b, ws.NewFrame(op, true, data))
	return b.Bytes()
}

// BenchmarkBroadcast is one event to every WebSocket session, until the last has it.
func BenchmarkBroadcast(b *testing.B) {
	for _, sessions := range []int{100, 1000} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			var broadcaster *server.Server
			_, url := start(b, quiet, func(io *server.Server) { broadcaster = io })
			want := serverFrame(ws.OpText, []byte(`42["news","hello, everybody"]`))
			var got sync.WaitGroup
			for range sessions {
				p, _ := join(b, url, "/")
				go func() {
					buf := make([]byte, len(want))
					for {
						if _, err := io.ReadFull(p.conn, buf); err != nil || !bytes.Equal(buf, want) {
							return // the end, or a ping
						}
						got.Done()
					}
				}()
			}
			b.ReportAllocs()
			for b.Loop() {
				got.Add(sessions)
				if err := broadcaster.Emit("news", "hello, everybody"); err != nil {
					b.Fatal(err)
				}
				got.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sessions), "ns/delivery")
		})
	}
}
