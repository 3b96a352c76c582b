package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestRefusals(t *testing.T) {
	var mu sync.Mutex
	var last *ConnectionError
	cfg := Config{
		AllowRequest: func(r *http.Request) error {
			if r.Header.Get("X-Deny") != "" {
				return errors.New("not you")
			}
			return nil
		},
		GenerateID: func(r *http.Request) (string, error) {
			if r.Header.Get("X-No-ID") != "" {
				return "", errors.New("no id")
			}
			return newSID(NodeID{}), nil
		},
		ConnectionError: func(e *ConnectionError) {
			mu.Lock()
			last = e
			mu.Unlock()
		},
	}
	h := newHarness(t, cfg, nil)
	c, _ := h.openPolling()
	w, _ := h.openWebSocket()
	var wsSID string
	h.srv.Each(func(s *Session) bool {
		if s.Transport() == WebSocket {
			wsSID = s.ID()
		}
		return true
	})
	for _, test := range []struct {
		name, method, query, header string
		status                      int
		body, context               string
	}{
		{"no transport", "GET", "EIO=4", "", 400, `{"code":0,"message":"Transport unknown"}`, "<nil>"},
		{"transport unknown", "GET", "EIO=4&transport=x", "", 400, `{"code":0,"message":"Transport unknown"}`, "<nil>"},
		{"sid unknown", "GET", "EIO=4&transport=polling&sid=x", "", 400, `{"code":1,"message":"Session ID unknown"}`, "<nil>"},
		{"handshake by POST", "POST", "EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`, "<nil>"},
		{"OPTIONS without CORS", "OPTIONS", "EIO=4&transport=polling&sid=" + c.sid, "", 400, `{"code":2,"message":"Bad handshake method"}`, "<nil>"},
		{"websocket without upgrade", "GET", "EIO=4&transport=websocket", "", 400, `{"code":3,"message":"Bad request"}`, "TRANSPORT_HANDSHAKE_ERROR"},
		{"mismatch", "GET", "EIO=4&transport=websocket&sid=" + c.sid, "", 400, `{"code":3,"message":"Bad request"}`, "TRANSPORT_MISMATCH"},
		{"poll of a websocket", "GET", "EIO=4&transport=polling&sid=" + wsSID, "", 400, `{"code":3,"message":"Bad request"}`, "TRANSPORT_MISMATCH"},
		{"post to a websocket", "POST", "EIO=4&transport=polling&sid=" + wsSID, "", 400, `{"code":3,"message":"Bad request"}`, "TRANSPORT_MISMATCH"},
		{"other protocol", "GET", "EIO=3&transport=polling&sid=" + c.sid, "", 400, `{"code":3,"message":"Bad request"}`, "PROTOCOL_MISMATCH"},
		{"no protocol", "POST", "transport=polling&sid=" + c.sid, "", 400, `{"code":3,"message":"Bad request"}`, "PROTOCOL_MISMATCH"},
		{"denied", "GET", "EIO=4&transport=polling", "X-Deny", 403, `{"code":4,"message":"not you"}`, "<nil>"},
		{"protocol 3", "GET", "EIO=3&transport=polling", "", 400, `{"code":5,"message":"Unsupported protocol version"}`, "<nil>"},
		{"no protocol", "GET", "transport=polling", "", 400, `{"code":5,"message":"Unsupported protocol version"}`, "<nil>"},
		{"no id", "GET", "EIO=4&transport=polling", "X-No-ID", 400, `{"code":3,"message":"Bad request"}`, "ID_GENERATION_ERROR"},
		{"other method", "PUT", "EIO=4&transport=polling&sid=" + c.sid, "", 500, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			mu.Lock()
			last = nil
			mu.Unlock()
			req, _ := http.NewRequest(test.method, "http://"+h.addr+"/engine.io/?"+test.query, nil)
			if test.header != "" {
				req.Header.Set(test.header, "1")
			}
			res, err := c.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			want(t, "status", res.StatusCode, test.status)
			want(t, "body", string(body), test.body)
			if test.context == "" {
				return
			}
			want(t, "content type", res.Header.Get("Content-Type"), "application/json")
			mu.Lock()
			defer mu.Unlock()
			if last == nil {
				t.Fatal("hook not called")
			}
			want(t, "code", fmt.Sprintf(`"code":%d`, last.Code), strings.Split(test.body[1:], ",")[0])
			want(t, "name", fmt.Sprint(last.Context["name"]), test.context)
		})
	}
	want(t, "refused", h.srv.Stats().Refused[causeMismatch], uint64(3))
	w.conn.Close()
}

func TestRefusedUpgrades(t *testing.T) {
	h := newHarness(t, Config{AllowRequest: func(r *http.Request) error {
		if r.Header.Get("X-Deny") != "" {
			return errors.New("not you")
		}
		return nil
	}}, nil)
	for _, test := range []struct {
		name, query, header string
		body                string
	}{
		{"transport unknown", "EIO=4&transport=x", "", "Transport unknown"},
		{"sid unknown", "EIO=4&transport=websocket&sid=x", "", "Session ID unknown"},
		{"denied", "EIO=4&transport=websocket", "X-Deny: 1\r\n", "not you"},
		{"protocol", "EIO=3&transport=websocket", "", "Unsupported protocol version"},
		{"polling", "EIO=4&transport=polling", "", "Bad request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, status, err := h.tryDialWith(test.query, test.header, nil)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "status", status, 400)
			body, _ := io.ReadAll(c.r) // the connection is closed
			want(t, "body", string(body), test.body)
			if !strings.Contains(c.head, "Content-Type: text/html") {
				t.Errorf("head %q", c.head)
			}
		})
	}
}

func TestUpgradeHandshakeIsChecked(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	for _, test := range []struct {
		name, header, value string
		status              int
	}{
		{"version", "Sec-WebSocket-Version", "12", 426},
		{"key", "Sec-WebSocket-Key", "short", 400},
		{"no key", "Sec-WebSocket-Key", "", 400},
	} {
		r := httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=websocket", nil)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-WebSocket-Version", "13")
		r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		r.Header.Set(test.header, test.value)
		w := httptest.NewRecorder()
		h.srv.ServeHTTP(w, r)
		want(t, test.name, w.Code, test.status)
	}
	want(t, "sessions", h.srv.Sessions(), 0)
}

func TestHeadersAndCookie(t *testing.T) {
	h := newHarness(t, Config{
		Cookie:         &Cookie{},
		InitialHeaders: func(h http.Header, _ *http.Request) { h.Add("X-Initial", "1") },
		Headers: func(h http.Header, _ *http.Request) {
			h.Add("Set-Cookie", "a=1")
			h.Add("Set-Cookie", "b=2")
		},
	}, nil)
	c := h.poller("EIO=4&transport=polling")
	a, _ := c.do("GET", nil, "")
	c.sid = h.session().session.ID()
	want(t, "initial", a.header.Get("X-Initial"), "1")
	want(t, "cookies", strings.Join(a.header.Values("Set-Cookie"), "|"),
		"io="+c.sid+"; Path=/; HttpOnly; SameSite=Lax|a=1|b=2")
	a = c.post("4x")
	want(t, "initial", a.header.Get("X-Initial"), "")
	want(t, "cookies", strings.Join(a.header.Values("Set-Cookie"), "|"), "a=1|b=2")
	w := h.dial("EIO=4&transport=websocket")
	for _, line := range []string{"X-Initial: 1", "Set-Cookie: a=1", "Set-Cookie: b=2", "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="} {
		if !strings.Contains(strings.ToLower(w.head), strings.ToLower(line)) {
			t.Errorf("%q is not in %q", line, w.head)
		}
	}
}

func TestAdmission(t *testing.T) {
	h := newHarness(t, Config{MaxSessions: 3, MaxSessionsPerAddr: 2, ClientAddr: func(r *http.Request) (string, bool) {
		return r.Header.Get("X-Addr"), false
	}}, nil)
	open := func(addr string) (int, string) {
		r := httptest.NewRequest("GET", "/?EIO=4&transport=polling", nil)
		r.Header.Set("X-Addr", addr)
		w := httptest.NewRecorder()
		h.srv.ServeHTTP(w, r)
		return w.Code, w.Header().Get("Retry-After")
	}
	codes := ""
	for _, addr := range []string{"a", "a", "a", "b", "c"} {
		code, _ := open(addr)
		codes += fmt.Sprint(code, " ")
	}
	want(t, "codes", codes, "200 200 429 200 503 ")
	h.session().session.Abort(ReasonForcedServerClose)
	eventually(t, "release", func() bool { // of its place, which it has until it has ended
		h.srv.mu.RLock()
		defer h.srv.mu.RUnlock()
		return h.srv.admitted == 2
	})
	code, _ := open("a")
	want(t, "after a session ended", code, 200)
	h.srv.Refuse(true)
	code, retry := open("d")
	want(t, "draining", code, 503)
	want(t, "Retry-After", retry, retryAfter)
	st := h.srv.Stats()
	want(t, "refused", fmt.Sprint(st.Refused[causeAddress], st.Refused[causeSessions], st.Refused[causeDraining]), "1 1 1")
}

func TestHandshakesPerSecond(t *testing.T) {
	h := newHarness(t, Config{HandshakesPerSecond: 2}, nil)
	codes := ""
	for range 3 {
		w := httptest.NewRecorder()
		h.srv.ServeHTTP(w, httptest.NewRequest("GET", "/?EIO=4&transport=polling", nil))
		codes += fmt.Sprint(w.Code, " ")
	}
	want(t, "codes", codes, "200 200 503 ")
}

func TestUnknownSessionIsOffered(t *testing.T) {
	h := newHarness(t, Config{UnknownSession: func(w http.ResponseWriter, r *http.Request, sid string) bool {
		if sid != "elsewhere" {
			return false
		}
		io.WriteString(w, "forwarded")
		return true
	}}, nil)
	c := h.poller("EIO=4&transport=polling")
	c.sid = "elsewhere"
	want(t, "answer", c.get().body, "forwarded")
	c.sid = "nowhere"
	want(t, "answer", c.get().body, `{"code":1,"message":"Session ID unknown"}`)
}
