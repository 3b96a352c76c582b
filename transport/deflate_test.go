package transport

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestNegotiateDeflate(t *testing.T) {
	const offer = "permessage-deflate"
	tests := []struct {
		name  string
		lines []string
		want  string
	}{
		{"nothing", nil, ""},
		{"bare", []string{offer}, deflateAnswer},
		{"browser", []string{offer + "; client_max_window_bits"}, deflateAnswer},
		{"takeover", []string{offer + "; server_no_context_takeover; client_no_context_takeover"}, deflateAnswer},
		{"window", []string{offer + "; server_max_window_bits=15"}, deflateAnswer + "; server_max_window_bits=15"},
		{"small window", []string{offer + "; server_max_window_bits=10"}, ""},
		{"small window, then any", []string{offer + "; server_max_window_bits=10, " + offer}, deflateAnswer},
		{"second line", []string{"x-webkit-deflate-frame", offer}, deflateAnswer},
		{"client window", []string{offer + "; client_max_window_bits=8"}, deflateAnswer},
		{"client window out of range", []string{offer + "; client_max_window_bits=16"}, ""},
		{"leading zero", []string{offer + "; client_max_window_bits=08"}, ""},
		{"unknown parameter", []string{offer + "; level=9"}, ""},
		{"twice", []string{offer + "; server_no_context_takeover; server_no_context_takeover"}, ""},
		{"value where none is", []string{offer + "; server_no_context_takeover=1"}, ""},
		{"garbage", []string{";;;==,,"}, ""},
		{"other", []string{"x-other; a=1"}, ""},
	}
	for _, tt := range tests {
		got, ok := negotiateDeflate(http.Header{"Sec-Websocket-Extensions": tt.lines})
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: negotiateDeflate(%q) = %q, %v, want %q", tt.name, tt.lines, got, ok, tt.want)
		}
	}
}

// Twenty megabytes in twenty kilobytes: the work and the memory end at the limit.
func TestInflateStopsAtTheLimit(t *testing.T) {
	const limit = 100_000
	bomb := clientFrame(true, 4, ws.OpText, deflated(strings.Repeat("0", 20<<20)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f := newFrameReader(limit, true)
	err := f.feed(bomb, func(ws.OpCode, []byte) error {
		t.Error("a message over the limit was handed on")
		return nil
	})
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("no error")
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 10*limit {
		t.Errorf("%d bytes allocated for a limit of %d", took, limit)
	}
}

func FuzzNegotiateDeflate(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits")
	f.Add("permessage-deflate; server_max_window_bits=15, a;b=\"c\"")
	f.Fuzz(func(t *testing.T, line string) {
		answer, ok := negotiateDeflate(http.Header{"Sec-Websocket-Extensions": {line}})
		if ok != strings.HasPrefix(answer, deflateAnswer) {
			t.Fatalf("%q: %q, %v", line, answer, ok)
		}
	})
}
