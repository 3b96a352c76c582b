package adminui_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/adminui"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// until returns the first packet that begins with one of prefixes.
func (p *peer) until(prefixes ...string) string {
	p.t.Helper()
	for {
		got := p.next()
		for _, prefix := range prefixes {
			if strings.HasPrefix(got, prefix) {
				return got
			}
		}
	}
}

func TestPagesEndWithTheirSession(t *testing.T) {
	t.Parallel()
	cfg := withPassword()
	cfg.SessionTTL = 3 * time.Second
	_, url := start(t, server.Config{}, cfg, nil)
	begin := time.Now()
	p, _ := dial(t, url, "/admin", login)
	session := string(p.event("session")[0])
	q, got := dial(t, url, "/admin", `{"sessionId":`+session+`}`)
	if !strings.HasPrefix(got, "40") {
		t.Fatal(got)
	}
	for _, page := range []*peer{p, q} {
		page.until("41/admin,")
		if took := time.Since(begin); took < cfg.SessionTTL-time.Second { // it ends with a whole second
			t.Errorf("ended after %v", took)
		}
	}
	if _, got := dial(t, url, "/admin", `{"sessionId":`+session+`}`); !strings.HasPrefix(got, "44") {
		t.Errorf("after the end: %s", got)
	}
}

// What is recovered is a socket, not the right to be there.
func TestRecoveredPagesShowTheirSessionAgain(t *testing.T) {
	t.Parallel()
	_, url := start(t, server.Config{Recovery: &server.Recovery{}}, withPassword(), nil)
	for name, c := range map[string]struct {
		auth string // beside pid and offset; %s is the session
		in   bool
	}{
		"nothing":           {"", false},
		"a session made up": {`,"sessionId":"AAAA"`, false},
		"a wrong password":  {`,"username":"admin","password":"wrong"`, false},
		"the session":       {`,"sessionId":%s`, true},
		"the password":      {`,"username":"admin","password":"changeit"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, answer := dial(t, url, "/admin", login)
			var connect struct{ PID string }
			if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "40/admin,")), &connect); err != nil {
				t.Fatal(err)
			}
			session := string(p.event("session")[0])
			p.event("config")
			p.event("server_stats")
			all := p.event("server_stats") // its last element is the offset
			_ = p.conn.Close()
			p, answer = dial(t, url, "/admin", fmt.Sprintf(`{"pid":%q,"offset":%s%s}`, connect.PID, all[len(all)-1],
				strings.ReplaceAll(c.auth, "%s", session)))
			if strings.HasPrefix(answer, "40") {
				answer = p.until("41/admin,", `42/admin,["config"`)
			}
			if in := strings.HasPrefix(answer, "42"); in != c.in {
				t.Errorf("with %s: %s", name, answer)
			}
		})
	}
}

func TestCloseDisconnectsThePages(t *testing.T) {
	t.Parallel()
	io, url := start(t, server.Config{}, withPassword(), nil)
	ui, err := adminui.Attach(io, adminui.Config{Namespace: "/other", NoAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := dial(t, url, "/other", "")
	ui.Close()
	p.until("41/other,")
	if _, got := dial(t, url, "/other", ""); !strings.HasPrefix(got, "44/other,") {
		t.Errorf("after Close: %s", got)
	}
}

func TestLogOfRefusedLoginsIsBounded(t *testing.T) {
	t.Parallel()
	var log lines
	cfg := withPassword()
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	_, url := start(t, server.Config{Limits: server.Limits{ConnectsPerSecond: 1 << 20}}, cfg, nil)
	const n = 1000
	begin := time.Now()
	const guess = `{"username":"admin","password":"guess"}`
	p, _ := dial(t, url, "/admin", guess)
	for range n {
		p.send("40/admin," + guess)
		p.until("44")
	}
	may := limit.LinesPerSecond * (2 + int(time.Since(begin)/time.Second))
	if got := strings.Count(log.String(), "refused"); got > may || got < limit.LinesPerSecond {
		t.Errorf("%d lines for %d guesses, want %d at most", got, n, may)
	}
	if strings.Contains(log.String(), "guess\"") {
		t.Error("a password is in the log")
	}
}

// The page's login is nobody's mistake.
func TestDevelopmentSaysNothingOfTheLogin(t *testing.T) {
	t.Parallel()
	var log lines
	_, url := start(t, server.Config{Development: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}, withPassword(), nil)
	p, _ := dial(t, url, "/admin", login)
	session := string(p.event("session")[0])
	if _, got := dial(t, url, "/admin", `{"sessionId":`+session+`}`); !strings.HasPrefix(got, "40") {
		t.Fatal(got)
	}
	if text := log.String(); strings.Contains(text, "has no place") {
		t.Error(text)
	}
}
