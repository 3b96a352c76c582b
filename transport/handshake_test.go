package transport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"
)

func TestHandshake(t *testing.T) {
	r := httptest.NewRequest("GET", "/socket.io/?EIO=4&transport=polling&a=1&a=2", nil)
	r.Host = "app.example.com"
	r.Header = http.Header{"Origin": {"https://other.example.com"}, "Cookie": {"a=1", "b=2"}, "X-Empty": {""}}
	h := newHandshake(r, "192.0.2.7", true)
	want := http.Header{"Origin": {"https://other.example.com"}, "Cookie": {"a=1", "b=2"}, "X-Empty": {""},
		"Host": {"app.example.com"}}
	if got := h.Header(); !reflect.DeepEqual(got, want) {
		t.Errorf("Header = %v, want %v", got, want)
	}
	h.Header().Set("Origin", "changed")
	if got := h.Header().Get("Origin"); got != "https://other.example.com" {
		t.Errorf("a caller's change came back: %q", got)
	}
	if got := h.Query(); !reflect.DeepEqual(got["a"], []string{"1", "2"}) || got.Get("EIO") != "4" {
		t.Errorf("Query = %v", got)
	}
	if got := h.URL(); got != "/socket.io/?EIO=4&transport=polling&a=1&a=2" {
		t.Errorf("URL = %q", got)
	}
	if h.Addr() != "192.0.2.7" || !h.Secure() || !h.CrossOrigin() {
		t.Errorf("Addr %q, Secure %v, CrossOrigin %v", h.Addr(), h.Secure(), h.CrossOrigin())
	}
	if age := time.Since(h.Time()); age < 0 || age > time.Minute {
		t.Errorf("Time is %v ago", age)
	}
}

func TestHandshakeOfLittle(t *testing.T) {
	h := newHandshake(&http.Request{URL: httptest.NewRequest("GET", "http://x/p?q=1", nil).URL}, "", false)
	if h.URL() != "/p?q=1" || h.Addr() != "" || len(h.Header()) != 0 || h.Secure() || h.CrossOrigin() {
		t.Errorf("%+v, header %v", h, h.Header())
	}
}

// A field with the separator, which no server passes on, must not move the others.
func TestHandshakeKeepsFieldsApart(t *testing.T) {
	r := httptest.NewRequest("GET", "/?a", nil)
	r.Header = http.Header{"X-A": {"1\x00Authorization\x00secret"}}
	h := newHandshake(r, "192.0.2.7", false)
	if got := h.Header(); got.Get("Authorization") != "" || len(got) != 2 {
		t.Errorf("Header = %q", got)
	}
}

// The values of the request's context are kept for those who ask for it, without its end.
func TestKeepContext(t *testing.T) {
	type key struct{}
	for _, keep := range []bool{false, true} {
		var got context.Context
		s, err := New(Config{KeepContext: keep, Accept: func(s *Session) Receiver { got = s.Handshake().Context(); return nil }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(context.WithValue(t.Context(), key{}, "user"))
		r := httptest.NewRequest("GET", "/?EIO=4&transport=polling", nil).WithContext(ctx)
		s.ServeHTTP(httptest.NewRecorder(), r)
		end()
		if v := got.Value(key{}); got.Err() != nil || (v == "user") != keep {
			t.Errorf("keep %v: %v, %v", keep, v, got.Err())
		}
	}
}
