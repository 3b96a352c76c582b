package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// poller is a client on polling, by hand.
type poller struct {
	http http.Client
	url  string
}

func newPoller(t *testing.T, base string, header ...string) *poller {
	t.Helper()
	jar, _ := cookiejar.New(nil) // never fails
	p := &poller{http: http.Client{Jar: jar, Timeout: 10 * time.Second}, url: base + "/socket.io/?EIO=4&transport=polling"}
	_, body := p.do(t, http.MethodGet, nil, header...)
	_, rest, _ := strings.Cut(body, `"sid":"`)
	sid, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("handshake answered %q", body)
	}
	p.url += "&sid=" + sid
	return p
}

func (p *poller) do(t *testing.T, method string, body []byte, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if body != nil {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	res, err := p.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// What is too large is refused by the application up to nginx's own limit, and nginx's is well above.
func TestBodiesAtEachBoundary(t *testing.T) {
	ofNginx(t)
	t.Parallel()
	e := start(t, settings{alone: true})
	for _, test := range []struct {
		size, status int
		by           string
	}{{1_000_000, 200, "application"}, {1_000_001, 413, "application"}, {2 << 20, 413, "application"}, {2<<20 + 1, 413, "nginx"}} {
		p := newPoller(t, e.url())
		head, tail := `40/nothing,{"x":"`, `"}`
		res, text := p.do(t, http.MethodPost, []byte(head+strings.Repeat("x", test.size-len(head)-len(tail))+tail))
		by := "nginx"
		if res.Header.Get("X-Beanpole") != "" {
			by = "application"
		}
		if res.StatusCode != test.status || by != test.by {
			t.Errorf("%d bytes: %d from %s (%.40s), want %d from %s", test.size, res.StatusCode, by, text, test.status, test.by)
		}
	}
}

// The client's address is counted from the right: what the client writes into X-Forwarded-For is never believed.
func TestForgedAddressIsNotBelieved(t *testing.T) {
	t.Parallel()
	e := start(t, settings{alone: true})
	p := newPoller(t, e.url(), "X-Forwarded-For", "6.6.6.6")
	p.do(t, http.MethodPost, []byte("40"))
	p.do(t, http.MethodGet, nil)
	p.do(t, http.MethodPost, []byte(`420["address"]`))
	if _, text := p.do(t, http.MethodGet, nil); text != `430["127.0.0.1"]` {
		t.Errorf("the address is %s", text)
	}
}

func TestChromiumThroughTheEnvironment(t *testing.T) {
	t.Parallel()
	need(t, "chromium")
	e := start(t, settings{})
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "browser.mjs", fmt.Sprintf("https://localhost:%d", e.https), chromium)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	want := map[string]string{"polling": "polling", "websocket": "websocket", "polling,websocket": "websocket"}
	lines := 0
	for line := range bytes.Lines(out) {
		t.Logf("%s", bytes.TrimSpace(line))
		var seen struct {
			Transports, Cookies []string
			Echoes              int
			Via                 string
			Connected           bool
		}
		if err := json.Unmarshal(line, &seen); err != nil {
			t.Fatal(err)
		}
		lines++
		if seen.Echoes != 10 || !seen.Connected || seen.Via != want[strings.Join(seen.Transports, ",")] {
			t.Errorf("%v: %s", seen.Transports, line)
		}
		if strings.Join(seen.Cookies, " ") != "AWSALB AWSALBCORS" {
			t.Errorf("%v: the browser kept the cookies %v", seen.Transports, seen.Cookies)
		}
	}
	if lines != 3 {
		t.Errorf("%d ways of 3", lines)
	}
}

// The logs of an instance have no queries, in which ids of sessions and tokens travel: not of what is served, not of
// what fails.
func TestLogsOfNginxHaveNoQueries(t *testing.T) {
	ofNginx(t)
	t.Parallel()
	e := start(t, settings{alone: true})
	const secret = "a-token-in-a-query"
	p := newPoller(t, e.url())
	p.url += "&token=" + secret
	page := "https://www.example.com/page?token=" + secret
	p.do(t, http.MethodPost, []byte("40"), "Referer", page)
	_, sid, _ := strings.Cut(p.url, "&sid=")
	sid, _, _ = strings.Cut(sid, "&")
	for _, in := range e.instances { // what fails
		in.app.stop(syscall.SIGKILL, 5*time.Second)
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/socket.io/?token=%s&sid=%s", in.port, secret, sid))
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != http.StatusBadGateway {
			t.Errorf("without an application nginx answers %d", res.StatusCode)
		}
		in.nginx.stop(syscall.SIGQUIT, 5*time.Second) // has written all
	}
	lines := 0
	for _, in := range e.instances {
		err := filepath.WalkDir(in.dir, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.Contains(file, "log") {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			lines += bytes.Count(text, []byte(` /socket.io/ HTTP/1.1" `))
			for _, bad := range []string{secret, sid, "?"} {
				if bytes.Contains(text, []byte(bad)) {
					t.Errorf("%s has %q: %s", file, bad, text)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if lines == 0 {
		t.Error("no request was logged: the test sees nothing")
	}
}
