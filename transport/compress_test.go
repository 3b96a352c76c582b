package transport

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

func TestAcceptedEncoding(t *testing.T) {
	tests := []struct {
		in   []string
		want string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"gzip, deflate, br"}, "gzip"},
		{[]string{"deflate, gzip"}, "deflate"},
		{[]string{"gzip;q=0.5, deflate;q=0.8"}, "deflate"},
		{[]string{"gzip;q=0"}, ""},
		{[]string{"gzip;q=0, deflate"}, "deflate"},
		{[]string{"gzip ; Q=0.000"}, ""},
		{[]string{"br"}, ""},
		{[]string{"br", "gzip"}, "gzip"},
		{[]string{"GZIP"}, "gzip"},
		{[]string{"*"}, "gzip"},
		{[]string{"*;q=0"}, ""},
		{[]string{"gzip;q=0, *"}, "deflate"},
		{[]string{"gzip;q=0.1, *;q=0.5"}, "deflate"},
		{[]string{"gzip;q=0, deflate;q=0, *"}, ""},
		{[]string{"identity"}, ""},
		{[]string{"gzip;q=0.5, identity"}, ""},
		{[]string{"gzip, identity;q=0.5"}, "gzip"},
		{[]string{"gzip;q=x"}, ""},
		{[]string{"gzip;q=-1"}, ""},
		{[]string{"gzip;q=9"}, "gzip"},
		{[]string{"gzip;q=NaN"}, ""},
		{[]string{"gzipped, xdeflate"}, ""},
	}
	for _, tt := range tests {
		if got := acceptedEncoding(http.Header{"Accept-Encoding": tt.in}); got != tt.want {
			t.Errorf("acceptedEncoding(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestWriteBody(t *testing.T) {
	large := strings.Repeat("4hello\x1e", 1000)
	tests := []struct {
		name, accept, body, want string
		config                   HTTPCompression
		compress                 bool
		vary                     string
	}{
		{"gzip", "gzip", large, "gzip", HTTPCompression{}, true, "Accept-Encoding"},
		{"deflate is zlib", "deflate", large, "deflate", HTTPCompression{}, true, "Accept-Encoding"},
		{"none accepted", "br", large, "", HTTPCompression{}, true, "Accept-Encoding"},
		{"not asked for", "gzip", large, "", HTTPCompression{}, false, ""},
		{"disabled", "gzip", large, "", HTTPCompression{Disabled: true}, true, ""},
		{"under the threshold", "gzip", large[:1023], "", HTTPCompression{}, true, ""},
		{"at the threshold", "gzip", large[:1024], "gzip", HTTPCompression{}, true, "Accept-Encoding"},
		{"own threshold", "gzip", large[:10], "gzip", HTTPCompression{Threshold: 10}, true, "Accept-Encoding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Server{cfg: Config{HTTPCompression: tt.config}}
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Encoding", tt.accept)
			w := httptest.NewRecorder()
			s.writeBody(w, r, "text/plain; charset=UTF-8", []byte(tt.body), tt.compress, nil)
			h := w.Result().Header
			if got := h.Get("Content-Encoding"); got != tt.want {
				t.Fatalf("Content-Encoding %q, want %q", got, tt.want)
			}
			if got := h.Get("Vary"); got != tt.vary {
				t.Errorf("Vary %q, want %q", got, tt.vary)
			}
			if got := h.Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) {
				t.Errorf("Content-Length %s for %d bytes", got, w.Body.Len())
			}
			if got := h.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
				t.Errorf("Content-Type %q", got)
			}
			if got := plain(t, tt.want, w.Body); got != tt.body {
				t.Errorf("the body does not come back: %.100q", got)
			}
		})
	}
}

func plain(t *testing.T, encoding string, r io.Reader) string {
	t.Helper()
	var err error
	switch encoding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func FuzzAcceptedEncoding(f *testing.F) {
	f.Add("gzip;q=0.5, deflate, *;q=0")
	f.Fuzz(func(t *testing.T, in string) {
		switch got := acceptedEncoding(http.Header{"Accept-Encoding": {in}}); got {
		case "", "gzip", "deflate":
		default:
			t.Fatalf("%q: %q", in, got)
		}
	})
}

func TestAppendCompressedKeepsWhatIsThere(t *testing.T) {
	got := appendCompressed([]byte("before"), encodingGzip, []byte("body"))
	rest, ok := bytes.CutPrefix(got, []byte("before"))
	if !ok || plain(t, "gzip", bytes.NewReader(rest)) != "body" {
		t.Errorf("got %q", got)
	}
}

// A middleware that compresses answers is left to it: what both have encoded no client understands.
func TestBodyThatAMiddlewareEncodes(t *testing.T) {
	for name, before := range map[string]http.Header{
		"by Content-Encoding": {"Content-Encoding": {"gzip"}},
		"by Vary":             {"Vary": {"Origin, accept-encoding"}},
	} {
		h := newHarness(t, Config{}, nil)
		w := httptest.NewRecorder()
		for k, v := range before {
			w.Header()[k] = v
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		body := bytes.Repeat([]byte("x"), 5000)
		if err := h.srv.writeBody(w, r, "text/plain", body, true, nil); err != nil {
			t.Fatal(err)
		}
		if got := w.Body.Bytes(); !bytes.Equal(got, body) || w.Header().Get("Content-Length") != "" || len(w.Header()["Vary"]) > len(before["Vary"]) {
			t.Errorf("%s: %d bytes, header %v", name, len(got), w.Header())
		}
	}
}
