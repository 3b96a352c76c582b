package load

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// liar is a server that answers events, and does wrong what it is told to.
type liar struct {
	// answer returns the messages that answer the n-th event of a client, which without a lie are right.
	answer func(n int, right string) []string
}

func (l liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	go l.serve(conn)
}

func (l liar) serve(conn net.Conn) {
	defer conn.Close()
	send := func(text string) { _ = wsutil.WriteServerText(conn, []byte(text)) }
	send(`0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
	for n := 0; ; {
		data, err := wsutil.ReadClientText(conn)
		if err != nil {
			return
		}
		text := string(data)
		id, args, isEvent := strings.Cut(strings.TrimPrefix(text, "42"), "[")
		switch {
		case text == "40":
			send(`40{"sid":"y"}`)
		case !isEvent:
		case strings.HasPrefix(args, `"echo",`):
			for _, m := range l.answer(n, "43"+id+"["+strings.TrimPrefix(args, `"echo",`)) {
				send(m)
			}
			n++
		case strings.HasPrefix(args, `"broadcast",`):
			for _, m := range l.answer(n, `42["msg",`+strings.TrimPrefix(args, `"broadcast",`)) {
				send(m)
			}
			n++
		}
	}
}

// Every lie is found, and the truth is none.
func TestFaultsHaveNames(t *testing.T) {
	held := ""
	for _, c := range []struct {
		name   string
		answer func(n int, right string) []string
		echo   string // the fault, or ""
		cast   string
	}{
		{"honest", func(_ int, right string) []string { return []string{right} }, "", ""},
		{"lost", func(n int, right string) []string {
			if n == 3 {
				return nil
			}
			return []string{right}
		}, "acknowledgement out of order", "delivery lost or out of order"},
		{"doubled", func(n int, right string) []string {
			if n == 3 {
				return []string{right, right}
			}
			return []string{right}
		}, "acknowledgement out of order", "delivery doubled or out of order"},
		{"swapped", func(n int, right string) []string {
			switch n {
			case 3:
				held = right
				return nil
			case 4:
				return []string{right, held}
			}
			return []string{right}
		}, "acknowledgement out of order", "delivery doubled or out of order"},
		{"changed", func(n int, right string) []string {
			if n == 3 {
				return []string{strings.Replace(right, "f", "g", 1)}
			}
			return []string{right}
		}, "acknowledgement differs", "delivery differs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := swarm(t, liar{c.answer})
			r, err := s.Echo(EchoOptions{Window: 4, Size: 32, Rate: 500, Duration: 100 * time.Millisecond})
			check(t, "echo", &r, err, c.echo)
			s = swarm(t, liar{c.answer})
			r, err = s.Broadcast(BroadcastOptions{Size: 32, Rate: 100, Count: 10})
			check(t, "broadcast", &r, err, c.cast)
		})
	}
}

func swarm(t *testing.T, h http.Handler) *Swarm {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	s, err := New(Options{Addr: web.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.patience = 200 * time.Millisecond
	if r, err := s.Connect(1, 1); err != nil || r.Faults != nil {
		t.Fatalf("connect: %v, %v", err, r.Faults)
	}
	return s
}

func check(t *testing.T, what string, r *Result, err error, fault string) {
	t.Helper()
	switch {
	case err != nil:
		t.Errorf("%s: %v", what, err)
	case r.Count == 0:
		t.Errorf("%s: nothing came", what)
	case fault == "" && r.Faults != nil:
		t.Errorf("%s: faults are %v, want none", what, r.Faults)
	case fault != "" && r.Faults[fault] == 0:
		t.Errorf("%s: faults are %v, want %q", what, r.Faults, fault)
	}
}

func TestHistogramQuantiles(t *testing.T) {
	var h Histogram
	for i := range 10000 {
		h.Add(time.Duration(i+1) * time.Microsecond)
	}
	for _, q := range []float64{0.01, 0.5, 0.99, 0.999} {
		want := time.Duration(q * float64(10*time.Millisecond))
		if got := h.Quantile(q); got < want*97/100 || got > want*103/100 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := h.Quantile(1); got != 10*time.Millisecond {
		t.Errorf("quantile 1 is %v, want 10ms", got)
	}
}

func TestPatchedFramesAreMasked(t *testing.T) {
	payload := []byte("42000000[]")
	frame := appendMasked(nil, opText, payload)
	patch(frame[headerLen(len(payload)):], 2, 6, 123456)
	var got []byte
	for i, b := range frame[headerLen(len(payload)):] {
		got = append(got, b^mask[i&3])
	}
	if want := fmt.Sprintf("42%d[]", 123456); string(got) != want {
		t.Errorf("patched frame is %q, want %q", got, want)
	}
}
