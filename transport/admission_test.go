package transport

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// knock asks for a session from an address.
func knock(s *Server, addr string, header http.Header) *httptest.ResponseRecorder {
	transport := "polling"
	if header.Get("Upgrade") != "" {
		transport = "websocket"
	}
	r := httptest.NewRequest("GET", "/?EIO=4&transport="+transport, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	r.RemoteAddr = addr
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// nobody is a Receiver that does nothing.
type nobody struct{}

func (nobody) Receive(Message)           {}
func (nobody) Work()                     {}
func (nobody) Closed(CloseReason, error) {}

func TestHandshakesOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		srv, err := New(Config{
			HandshakesPerSecondPerAddr: 2, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Accept: func(s *Session) Receiver { s.Abort(ReasonForcedServerClose); return nobody{} },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		opened := func(n int, addr string) (count int) {
			for range n {
				if knock(srv, addr, nil).Header().Get("Retry-After") == "" {
					count++
				}
			}
			return count
		}
		want(t, "burst", opened(100, "192.0.2.1:1000"), 20)
		want(t, "of another address", opened(1, "192.0.2.2:1000"), 1)
		want(t, "of a network of IPv6", opened(30, "[2001:db8:1:2::1]:1000")+opened(30, "[2001:db8:1:2::2]:1000"), 20)
		want(t, "of the next network", opened(1, "[2001:db8:1:3::1]:1000"), 1)
		time.Sleep(3 * time.Second)
		want(t, "after three seconds", opened(100, "192.0.2.1:2000"), 6)

		polling := knock(srv, "192.0.2.1:1000", nil)
		want(t, "status", polling.Code, 429)
		want(t, "Retry-After", polling.Header().Get("Retry-After"), retryAfter)
		want(t, "body", polling.Body.String(), `{"code":4,"message":"Too many requests"}`)
		websocket := knock(srv, "192.0.2.1:1000", http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}})
		want(t, "status", websocket.Code, 429)
		want(t, "body", websocket.Body.String(), "Too many requests")
		want(t, "refused", srv.Stats().Refused[causeAddressRate], uint64(80+40+94+2))

		if got := strings.Count(log.String(), "a limit is reached"); got != 1 {
			t.Errorf("%d log lines, want one:\n%s", got, log.String())
		}
		time.Sleep(2 * time.Minute)
		opened(21, "192.0.2.1:1000")
		if got := strings.Count(log.String(), "a limit is reached"); got != 2 {
			t.Errorf("%d log lines after a quiet time, want two:\n%s", got, log.String())
		}
	})
}

func TestSessionsOfOneNetworkOfIPv6(t *testing.T) {
	h := newHarness(t, Config{MaxSessionsPerAddr: 2}, nil)
	codes := []int{}
	for _, addr := range []string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1", "[2001:db8:0:1::1]:1"} {
		codes = append(codes, knock(h.srv, addr, nil).Code)
	}
	want(t, "codes", codes[0]+codes[1]+codes[2]+codes[3], 200+200+429+200)
	h.session().session.Abort(ReasonForcedServerClose)
	eventually(t, "release", func() bool { return h.srv.Sessions() == 2 })
	want(t, "after a session ended", knock(h.srv, "[2001:db8::4]:1", nil).Code, 200)
}
