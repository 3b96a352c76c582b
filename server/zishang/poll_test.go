package zishang_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// poller is a client on polling.
type poller struct {
	t           testing.TB
	url, sid    string
	contentType string
	encoding    string
	header      http.Header // of the last answer
}

func poll(t testing.TB, url string) *poller {
	t.Helper()
	p := &poller{t: t, url: url + "/socket.io/?EIO=4&transport=polling", contentType: "text/plain"}
	body := p.get()
	var hello struct{ SID string }
	if !strings.HasPrefix(body, "0") || json.Unmarshal([]byte(body[1:]), &hello) != nil {
		t.Fatalf("first packet %q is no OPEN", body)
	}
	p.sid = hello.SID
	p.url += "&sid=" + p.sid
	t.Cleanup(func() { // so that the server need not wait for a poll to tell the end
		res, err := http.Post(p.url, "text/plain", strings.NewReader("1"))
		if err == nil {
			_ = res.Body.Close()
		}
	})
	return p
}

func (p *poller) do(method string, body io.Reader) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url, body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", p.contentType)
	if p.encoding != "" {
		req.Header.Set("Accept-Encoding", p.encoding)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.header = res.Header
	return res.StatusCode, string(b)
}

func (p *poller) get() string {
	p.t.Helper()
	_, body := p.do(http.MethodGet, nil)
	return body
}

func (p *poller) post(body io.Reader) (status int, answer string) {
	p.t.Helper()
	return p.do(http.MethodPost, body)
}

// recorded serves a GET without a network.
func recorded(t testing.TB, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	return w
}

func newWeb(t testing.TB, h http.Handler) string {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return web.URL
}
