package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestDoctorBadUsage(t *testing.T) {
	for _, args := range [][]string{{"ftp://example.com"}, {"http://127.0.0.1:1", "--auth", "{"}, {"http://127.0.0.1:1", "--connections", "100000"},
		{"http://127.0.0.1:1", "--samples=0"}, {"http://127.0.0.1:1", "--timeout=-1s"}, {"http://127.0.0.1:1", "--watch=-1s"}} {
		if code, out := beanpole(t, append([]string{"doctor"}, args...)...); code != exitBadUsage {
			t.Errorf("%v: exit status %d: %s", args, code, out)
		}
	}
}

func TestInterruptedDoctorPrintsItsReport(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{{"doctor", "http://127.0.0.1:1"}, {"doctor", "http://127.0.0.1:1", "--json"}} {
		var b bytes.Buffer
		code := run(ctx, args, output{out: &b, err: &b})
		if code != exitWarning || !strings.Contains(b.String(), "interrupted") || !strings.Contains(b.String(), "stickiness") {
			t.Errorf("exit status %d: %s", code, b.String())
		}
	}
}

// What a server answers is shown, and does not act on the terminal.
func TestDoctorShowsAnswersAsTheyAre(t *testing.T) {
	const acts = "\x1b]0;title\x07\x1b[2J\x1b[31m\u202e"
	var n atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Beanpole", "a v1 b1")
		switch q := r.URL.Query(); {
		case r.URL.Path == "/healthz":
			w.WriteHeader(http.StatusInternalServerError)
		case r.Header.Get("Upgrade") != "":
			w.WriteHeader(http.StatusTeapot)
		case r.Method == http.MethodPost, q.Get("transport") == "":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"code":0,"message":"`)
		case !q.Has("sid"):
			_, _ = fmt.Fprintf(w, `0{"sid":"abcdefghijklmnop%04d","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}`, n.Add(1))
			return
		}
		_, _ = io.WriteString(w, acts+`"}`)
	}))
	defer front.Close()
	_, out := beanpole(t, "doctor", front.URL, "--timeout=1s")
	if strings.ContainsAny(out, "\x1b\x07\u202e") || !strings.Contains(out, `\u001b[2J`) {
		t.Errorf("%q", out)
	}
}
