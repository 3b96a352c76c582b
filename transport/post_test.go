package transport

import (
	"bytes"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A body of many small packets is worked off in pieces: what waits for the handlers does not grow to all of it.
func TestBodyIsWorkedOffInPieces(t *testing.T) {
	const n = 40_000
	for _, query := range []string{"EIO=4", "EIO=3"} {
		t.Run(query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // in which no Work is late
				srv, opened := serverOnly(t, Config{AllowEIO3: true})
				serve := func(method, sid string, body []byte) string {
					w := httptest.NewRecorder()
					srv.ServeHTTP(w, httptest.NewRequest(method, "/?transport=polling&"+query+sid, bytes.NewReader(body)))
					return w.Body.String()
				}
				serve("GET", "", nil)
				r := <-opened
				var waiting, most, worked atomic.Int64
				r.onReceive = func(*recorder, Message) { most.Store(max(most.Load(), waiting.Add(1))) }
				r.onWork = func(*recorder) { worked.Add(waiting.Swap(0)) }
				var body []byte
				for i := range n {
					data := strconv.Itoa(10_000_000 + i)
					if query == "EIO=3" {
						body = append(body, "9:4"+data...)
						continue
					}
					body = append(body, "4"+data+"\x1e"...)
				}
				want(t, "post", serve("POST", "&sid="+r.session.ID(), bytes.TrimSuffix(body, []byte{separator})), "ok")
				synctest.Wait()
				for i, m := range r.messages(t, n) {
					if m != strconv.Itoa(10_000_000+i) {
						t.Fatalf("message %d is %s", i, m)
					}
				}
				want(t, "worked on", worked.Load(), int64(n))
				if m := most.Load(); m > readBuffer/9 {
					t.Errorf("%d messages waited at once", m)
				}
			})
		})
	}
}

// A handler may wait for what the client sends after its body.
func TestBodyGoesOnWhileAHandlerBlocks(t *testing.T) {
	release := make(chan struct{})
	h := newHarness(t, Config{}, func(r *recorder) { r.onWork = func(*recorder) { <-release } })
	c, r := h.openPolling()
	body := strings.TrimSuffix(strings.Repeat("4"+strings.Repeat("x", 1000)+"\x1e", 100), "\x1e")
	want(t, "post", c.post(body).body, "ok")
	want(t, "next post", c.post("4answer").body, "ok")
	want(t, "last", r.messages(t, 101)[100], "answer")
	close(release)
}
