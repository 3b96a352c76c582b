package doctor

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // what the protocol has
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
)

func TestHealthyEnvironmentIsAllOK(t *testing.T) {
	e := start(t, world{tls: true, redis: true, probe: true})
	r := e.look(t, func(o *Options) {
		o.Deep, o.Connections, o.Watch, o.Instances, o.Timeout = true, 50, 3*time.Second, 2, 5*time.Second
	})
	if got := fmt.Sprint(r.Instances); len(r.Instances) != 2 || !strings.HasPrefix(got, "[{a v1 ") || !strings.Contains(got, " {b v1 ") {
		t.Errorf("instances %s", got)
	}
	for _, c := range r.Results {
		if c.Verdict == OK {
			continue
		}
		// The certificate of a test server is one that nobody has signed, which Insecure accepts.
		t.Errorf("%s: %s: %s", c.Check, c.Verdict, c.Seen)
	}
	if r.Worst() != OK {
		t.Errorf("worst verdict %s", r.Worst())
	}
}

func TestDrainedInstanceIsNamed(t *testing.T) {
	e := start(t, world{count: 1})
	e.nodes[0].Drain()
	r := e.look(t)
	if got := r.Of("handshake"); got.Verdict != Failure || !strings.Contains(got.Means, "drains") || got.Instance != "" {
		t.Errorf("handshake: %+v", got)
	}
}

func TestWatchSeesADrain(t *testing.T) {
	e := start(t, world{})
	drained := make(chan struct{})
	r := e.look(t, func(o *Options) {
		o.Watch = 4 * time.Second
		o.Progress = func(check string) {
			if check != "watch" {
				return
			}
			go func() {
				defer close(drained)
				time.Sleep(500 * time.Millisecond) // the clients of the watch connect meanwhile
				e.nodes[0].DrainSessions(context.WithoutCancel(t.Context()), 100*time.Millisecond)
				e.nodes[0].Resume()
			}()
		}
	})
	<-drained
	got := r.Of("watch")
	if got.Verdict != Warning || !strings.Contains(got.Seen, "came back") || strings.Contains(got.Seen, cut) {
		t.Errorf("watch: %+v", got)
	}
}

func TestReportIsJSON(t *testing.T) {
	e := start(t, world{count: 1})
	raw, err := json.Marshal(e.look(t))
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(raw, &back); err != nil || len(back.Results) < len(checks()) {
		t.Errorf("%v: %s", err, raw)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{}, {URL: "ftp://example.com"}, {URL: "example.com"}, {URL: "http://127.0.0.1:1", Connections: MaxConnections + 1}} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// What has been seen until then is what an interruption leaves, and it is no pass.
func TestInterruptedReportSaysWhatWasSeen(t *testing.T) {
	e := start(t, world{count: 1})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, err := Run(ctx, Options{URL: e.front.URL, Timeout: 5 * time.Second, Progress: func(check string) {
		if check == "buffering" {
			stop()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Of("buffering"); got.Verdict != Warning || got.Seen != "interrupted" {
		t.Errorf("buffering: %+v", got)
	}
	if got := r.Of("polling"); got.Verdict != OK {
		t.Errorf("polling: %+v", got)
	}
	if got := r.Of("upgrade"); got.Verdict != NotApplicable {
		t.Errorf("upgrade: %+v", got)
	}
	if r.Worst() != Warning {
		t.Errorf("worst verdict %s", r.Worst())
	}
}

// What an interruption has ended is nobody's fault, and has not passed.
func TestInterruptedChecksHaveNotLooked(t *testing.T) {
	for _, name := range []string{"instances", "idle", "connections"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, world{count: 1})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			r, err := Run(ctx, Options{URL: e.front.URL, Timeout: 5 * time.Second, Deep: name == "idle", Connections: 50, Progress: func(check string) {
				if check == name {
					stop()
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			var of []Result
			for _, c := range r.Results {
				if c.Check == name {
					of = append(of, c)
				}
			}
			if len(of) != 1 || of[0].Verdict != Warning || of[0].Seen != "interrupted" {
				t.Errorf("%+v", of)
			}
		})
	}
}

func TestInterruptedWatchSaysWhatItSaw(t *testing.T) {
	e := start(t, world{count: 1})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var came atomic.Int64
	var over *time.Timer
	e.nodes[0].IO().Of("/").OnConnection(func(*server.Socket) {
		if came.Add(1) == watchClients {
			over = time.AfterFunc(500*time.Millisecond, stop) // the client has to know too
		}
	})
	r, err := Run(ctx, Options{URL: e.front.URL, Timeout: 5 * time.Second, Watch: time.Hour, Progress: func(check string) {
		if check == "watch" {
			came.Store(0)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	over.Stop()
	if last := r.Results[len(r.Results)-1]; last.Check != "watch" || last.Verdict != OK || !strings.Contains(last.Seen, "10 clients stayed connected for") ||
		!strings.Contains(last.Seen, "interrupted before the 1h0m0s were over") {
		t.Errorf("watch: %+v", r.Results[len(r.Results)-2:])
	}
}

// Two runs that agree decide, and of three the one in the middle.
func TestOneLostPacketIsNoFault(t *testing.T) {
	for _, test := range []struct{ runs, want string }{{"o", "o"}, {"foo", "o"}, {"fof", "f"}, {"ff", "f"}, {"wfw", "w"}, {"wff", "f"}, {"ow", "o"}} {
		verdicts := map[byte]Verdict{'o': OK, 'w': Warning, 'f': Failure}
		n := 0
		got := settle(func() []Result {
			n++
			return []Result{{Verdict: verdicts[test.runs[n-1]]}}
		})
		if worst(got) != verdicts[test.want[0]] {
			t.Errorf("%s comes to %s", test.runs, worst(got))
		}
	}
}

// A server may answer so that there is always more to ask for: a new instance each time, or packets without an end. A run
// ends all the same.
func TestHostileServersAreNotAskedWithoutEnd(t *testing.T) {
	for name, hostile := range map[string]struct{ name, packets string }{
		"a new instance each time": {"i%d v1 b1", "40"},
		"packets without an end":   {"a v1 b1", strings.Repeat("2\x1e", 1000) + "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				i := n.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set(instanceHeader, strings.ReplaceAll(hostile.name, "%d", fmt.Sprint(i)))
				q := r.URL.Query()
				switch {
				case r.URL.Path == "/healthz" || r.Method == http.MethodPost:
					_, _ = io.WriteString(w, "ok")
				case q.Get("transport") != "polling":
					w.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(w, `{"code":0,"message":"Transport unknown"}`)
				case q.Has("sid"):
					_, _ = io.WriteString(w, hostile.packets)
				default:
					_, _ = fmt.Fprintf(w, `0{"sid":"abcdefghijklmnopqrst%d","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`, i)
				}
			}))
			defer front.Close()
			r, err := Run(t.Context(), Options{URL: front.URL, Timeout: 5 * time.Second, requests: 500})
			if err != nil {
				t.Fatal(err)
			}
			if got := n.Load(); got > 700 { // some were on their way, and sessions are closed
				t.Errorf("%d requests", got)
			}
			if !slices.ContainsFunc(r.Results, func(c Result) bool { return strings.Contains(c.Seen, errEnough.Error()) }) {
				t.Errorf("it does not say that it has ended: %+v", r.Results)
			}
		})
	}
}

// What sends pings without end and reads nothing of what they are answered with keeps nobody: a run ends, and an interrupted
// one at once.
func TestWhoReadsNothingIsNotWaitedFor(t *testing.T) {
	stuck := make(chan struct{}, 1000)
	var conns sync.Map // of whose ends TCP may tell late, as nothing that was sent before has been read
	var flooding sync.WaitGroup
	defer func() {
		conns.Range(func(conn, _ any) bool {
			_ = conn.(net.Conn).Close() // or it is closed
			return true
		})
		flooding.Wait()
	}()
	e := start(t, world{count: 1, all: nginx{serve: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Upgrade") == "" {
			return false
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return true
		}
		flooding.Add(1)
		defer flooding.Done()
		conns.Store(conn, true)
		defer conn.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // what the protocol has
		open := `0{"sid":"abcdefghijklmnopqrst","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n\x81%c%s",
			base64.StdEncoding.EncodeToString(sum[:]), len(open), open)
		pings := bytes.Repeat([]byte("\x89\x00\x81\x012"), 20_000)
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		for {
			_, err := conn.Write(pings)
			if errors.Is(err, os.ErrDeadlineExceeded) { // both sides wait for the other to read
				stuck <- struct{}{}
				_ = conn.SetWriteDeadline(time.Time{})
			} else if err != nil {
				return true
			}
		}
	}}})
	look := func(ctx context.Context, timeout time.Duration) Report {
		t.Helper()
		end := make(chan Report, 1)
		go func() {
			r, err := Run(ctx, Options{URL: e.front.URL, Timeout: timeout})
			if err != nil {
				t.Error(err)
			}
			end <- r
		}()
		select {
		case r := <-end:
			return r
		case <-time.After(time.Minute):
			t.Fatal("it does not end")
			return Report{}
		}
	}
	if r := look(t.Context(), 3*time.Second); r.Of("websocket").Verdict != Failure {
		t.Errorf("%+v", r.Results)
	}
	for len(stuck) > 0 {
		<-stuck
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		select {
		case <-stuck:
		case <-ctx.Done():
		}
		stop()
	}()
	if r := look(ctx, time.Hour); r.Of("handshake").Verdict != OK && r.Of("polling").Verdict != OK {
		t.Errorf("what was found is lost: %+v", r.Results)
	}
}
