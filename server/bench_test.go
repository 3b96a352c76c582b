package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
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

// echoes is a server of handlers that answer with their argument.
func echoes(t testing.TB, watching ...server.Observer) (url string) {
	type message struct {
		Room string `json:"room"`
		Text string `json:"text"`
	}
	cfg := quiet
	cfg.Observers = watching
	_, url = start(t, cfg, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.On("text", func(text string) string { return text })
			s.On("struct", func(m message) message { return m })
			s.On("error", func(text string) (string, error) { return text, nil })
			s.On("event", func(e *server.Event) { _ = e.Ack(e.Raw(0)) })
			s.On("bin", func(data []byte) []byte { return data })
		})
	})
	return url
}

// echoCase is one form of event and its acknowledgement.
type echoCase struct {
	name, event, answer string
	binary              []byte
	budget              float64 // allocations of the server
}

func echoCases() []echoCase {
	kib := string(bytes.Repeat([]byte("0123456789abcdef"), 64))
	const placeholder = `{"_placeholder":true,"num":0}`
	return []echoCase{
		{"string", `42100000["text","hello, world"]`, `43100000["hello, world"]`, nil, 1},
		{"string=1KiB", `42100000["text","` + kib + `"]`, `43100000["` + kib + `"]`, nil, 1},
		{
			"struct", `42100000["struct",{"room":"lobby","text":"hello"}]`,
			`43100000[{"room":"lobby","text":"hello"}]`, nil, 4,
		},
		{"error", `42100000["error","hello, world"]`, `43100000["hello, world"]`, nil, 5},
		{"event", `42100000["event","hello, world"]`, `43100000["hello, world"]`, nil, 3},
		{
			"binary=1KiB", `451-100000["bin",` + placeholder + `]`, `461-100000[` + placeholder + `]`,
			[]byte(kib), 7,
		},
	}
}

// exchange returns a function that sends so many events at once and reads their answers.
func (c *echoCase) exchange(t testing.TB, url string, window int) func() {
	p, _ := join(t, url, "/")
	event, answer := frames(c.event), serverFrame(ws.OpText, []byte(c.answer))
	if c.binary != nil {
		event = frames(c.event, c.binary)
		answer = append(answer, serverFrame(ws.OpBinary, c.binary)...)
	}
	events, answers := bytes.Repeat(event, window), bytes.Repeat(answer, window)
	got := make([]byte, len(answers))
	return func() {
		if _, err := p.Conn.Write(events); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(p.Conn, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, answers) {
			t.Fatalf("answers are %q, want %q", got, answers)
		}
	}
}

// BenchmarkEcho is one event and its acknowledgement over one WebSocket on loopback.
func BenchmarkEcho(b *testing.B) {
	url := echoes(b)
	for _, c := range echoCases() {
		for _, window := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/outstanding=%d", c.name, window), func(b *testing.B) {
				exchange := c.exchange(b, url, window)
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					if n%window == 0 {
						exchange()
					}
				}
			})
		}
	}
}

// What an event may allocate is a budget; who needs more has to say why.
func TestEchoKeepsItsAllocationBudget(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and empties pools")
	}
	for _, watching := range [][]server.Observer{nil, {bystander{}, bystander{}}} { // who only looks on costs nothing
		url := echoes(t, watching...)
		for _, c := range echoCases() {
			exchange := c.exchange(t, url, 16)
			// One more than the budget for pools that a collection has emptied.
			if got := testing.AllocsPerRun(200, exchange) / 16; got > c.budget+1 {
				t.Errorf("an echo of %s with %d observers takes %.1f allocations, want %v", c.name, len(watching), got, c.budget)
			}
		}
	}
}

// bystander is an observer.
type bystander struct{}

func (bystander) Handling(ctx context.Context, _ *server.Socket, _ string, _ bool) context.Context {
	return ctx
}
func (bystander) Handled(context.Context, *server.Socket, string, bool, time.Duration, error) {}
func (bystander) Acknowledged(*server.Socket, time.Duration, error)                           {}

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
						if _, err := io.ReadFull(p.Conn, buf); err != nil || !bytes.Equal(buf, want) {
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

// BenchmarkFetchSockets describes 1,000 sockets of this server, with headers as of a browser.
func BenchmarkFetchSockets(b *testing.B) {
	srv, err := server.New(quiet)
	if err != nil {
		b.Fatal(err)
	}
	const n = 1000
	for range n {
		ask := func(method, query, body string) string {
			r := httptest.NewRequest(method, "/?EIO=4&transport=polling"+query, strings.NewReader(body))
			for _, h := range []string{"User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Origin", "Referer", "Cookie", "Connection"} {
				r.Header.Set(h, "something of the usual length of a header")
			}
			w := httptest.NewRecorder()
			srv.ServeHTTP(w, r)
			return w.Body.String()
		}
		_, open, _ := strings.Cut(ask("GET", "", ""), `"sid":"`)
		sid, _, _ := strings.Cut(open, `"`)
		ask("POST", "&sid="+sid, "40")
		ask("GET", "&sid="+sid, "")
	}
	b.ReportAllocs()
	for b.Loop() {
		l, err := srv.FetchSockets(b.Context())
		if err != nil || len(l) != n {
			b.Fatal(len(l), err)
		}
	}
}
