package server_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// A client may stream binary for as long as it likes: what is bounded is the wait for one packet's next attachment.
func TestBinaryStreamsLongerThanTheAttachmentTimeout(t *testing.T) {
	const header = `45%d-["part",%s]`
	placeholders := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`{"_placeholder":true,"num":%d}`, i))
		}
		return fmt.Sprintf(header, n, strings.Join(list, ","))
	}
	for name, bodies := range map[string][]string{
		// Whenever the handlers run, some packet waits.
		"one packet behind the other": {"bAQID\x1e" + placeholders(1)},
		"one packet of many":          {"bAQID", "bAQID", "bAQID", "bAQID", "bAQID\x1e" + placeholders(5)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				io, err := server.New(server.Config{Transport: transport.Config{PingInterval: time.Hour}})
				if err != nil {
					t.Fatal(err)
				}
				ends, parts := make(chan string, 1), 0
				io.OnConnection(func(s *server.Socket) {
					s.On("part", func(e *server.Event) { parts++ })
					s.OnDisconnect(func(why server.Disconnection) { ends <- string(why.Reason) })
				})
				v := openVirtual(t, io)
				post := v.post
				post("40")
				post(placeholders(strings.Count(strings.Join(bodies, ""), "bAQID")))
				for range 20 {
					for _, body := range bodies {
						time.Sleep(9 * time.Second)
						post(body)
					}
				}
				if parts != 20 {
					t.Errorf("%d packets came, want 20", parts)
				}
				start := time.Now()
				if reason := <-ends; reason != string(transport.ReasonForcedClose) {
					t.Errorf("reason %q", reason)
				}
				if d := time.Since(start); d < 10*time.Second || d > 30*time.Second { // and then a poll is waited for
					t.Errorf("ended after %v", d)
				}
				_ = io.Shutdown(t.Context())
			})
		})
	}
}

// virtual is a client of polling in virtual time.
type virtual struct {
	t   *testing.T
	srv *server.Server
	sid string
}

func openVirtual(t *testing.T, srv *server.Server) *virtual {
	t.Helper()
	v := &virtual{t: t, srv: srv}
	_, open, _ := strings.Cut(v.poll(), `"sid":"`)
	sid, _, _ := strings.Cut(open, `"`)
	v.sid = "&sid=" + sid
	return v
}

func (v *virtual) serve(method, body string) string {
	w := httptest.NewRecorder()
	v.srv.ServeHTTP(w, httptest.NewRequest(method, "/?EIO=4&transport=polling"+v.sid, strings.NewReader(body)))
	synctest.Wait()
	return w.Body.String()
}

// post sends a body and waits until everything that can be done about it has been.
func (v *virtual) post(body string) {
	v.t.Helper()
	if got := v.serve("POST", body); got != "ok" {
		v.t.Fatalf("post: %s", got)
	}
}

// poll returns the answer to a poll, for which it waits.
func (v *virtual) poll() string { return v.serve("GET", "") }
