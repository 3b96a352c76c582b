package browser

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/transport"
)

// TestForeignPagesInChromium has a page of another origin, of the same site and of another, try what a page can
// try on a program of five lines, and a page on another port of one on a default port, to which browsers send a Host
// without port. Each row of the table in docs/security.md is an attempt of the page, and
// its cells are what the test sees come of it.
func TestForeignPagesInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	chromium := tool(t, cmp.Or(os.Getenv("CHROMIUM"), "chromium"))
	rows := documentRows(t)
	list := host.Config{AllowedOrigins: []string{"https://app.example.com"}, AllowCredentials: true}
	a := &attack{t: t, rows: rows, done: make(chan struct{}), targets: map[string]*victim{
		"defaults":     newVictim(t, host.Config{}, func(row string) string { return rows[row][0] }),
		"list":         newVictim(t, list, func(row string) string { return rows[row][1] }),
		"default port": newVictim(t, list, func(row string) string { return rows[row][1] }),
		// That the scripts would read if they could.
		"jsonp": newVictim(t, host.Config{JSONP: transport.JSONPAll}, func(row string) string {
			if strings.Contains(row, "JSONP") {
				return "opens a session, reads"
			}
			return rows[row][0]
		}),
	}}
	web := httptest.NewUnstartedServer(a)
	defer web.Close()
	a.sameSite = "http://" + web.Listener.Addr().String()
	a.otherSite = strings.Replace(a.sameSite, "127.0.0.1", "localhost", 1)
	a.otherPort = strings.Replace(a.sameSite, "127.0.0.1", "chat.localhost", 1)
	onDefault := a.targets["default port"]
	onDefault.url = "http://chat.localhost"
	web.Start()

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
		"--disable-background-networking", "--disable-component-update", "--no-first-run", "--user-data-dir="+t.TempDir(),
		"--host-resolver-rules=MAP chat.localhost:80 "+onDefault.web.Listener.Addr().String()+", MAP *.localhost 127.0.0.1",
		a.targets["defaults"].web.URL+"/visit?next="+a.sameSite)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		t.Error("the page did not come to its end")
	}
	cancel()
	_ = cmd.Wait() // ended by the signal

	// The cookies that went along with a WebSocket that was let in. Of another site's page that is none=ada, unless
	// the browser keeps cookies from third parties altogether.
	if got, _ := a.cookies.Load(a.sameSite + " defaults"); got != "lax=ada; none=ada" {
		t.Errorf("a page of the same site sends the cookies %v, want both", got)
	}
	if got, ok := a.cookies.Load(a.otherSite + " defaults"); !ok || strings.Contains(got.(string), "lax") {
		t.Errorf("a page of another site sends the cookies %v, want none with SameSite=Lax", got)
	}
}

// documentRows returns the two cells of each row of the table.
func documentRows(t *testing.T) map[string][2]string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(raw), "## What a program of five lines exposes to a page of another site\n")
	_, table, _ := strings.Cut(section, "|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string][2]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (.*) \| (.*) \| (.*) \|$`).FindAllStringSubmatch(table, -1) {
		rows[m[1]] = [2]string{m[2], m[3]}
	}
	return rows
}

// attack serves the page and holds what comes of each attempt against the document.
type attack struct {
	t       *testing.T
	rows    map[string][2]string
	targets map[string]*victim
	done    chan struct{} // closed when the page has been through everywhere

	sameSite, otherSite, otherPort string

	cookies sync.Map // that went with a WebSocket, by the page's origin and the target
}

// ServeHTTP serves the page, which asks for one thing after the other.
func (a *attack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		http.ServeFile(w, r, "origins.html")
		return
	}
	origin := "http://" + r.Host
	var asked struct{ Target, Row, Read string }
	raw, err := io.ReadAll(r.Body)
	if err == nil && r.URL.Path != "/targets" {
		err = json.Unmarshal(raw, &asked)
	}
	if err != nil || r.URL.Path == "/favicon.ico" {
		http.NotFound(w, r)
		return
	}
	v := a.targets[asked.Target]
	var answer any = struct{}{}
	switch r.URL.Path {
	case "/targets":
		var tried []string
		if err := json.Unmarshal(raw, &tried); err != nil {
			a.t.Error(err)
		}
		slices.Sort(tried)
		if documented := slices.Sorted(maps.Keys(a.rows)); !slices.Equal(tried, documented) {
			a.t.Errorf("the page tries\n%s\nand docs/security.md has\n%s", strings.Join(tried, "\n"), strings.Join(documented, "\n"))
		}
		answer = []string{"defaults", "jsonp", "list"}
		if origin == a.otherPort {
			answer = []string{"default port"}
		}
	case "/before":
		answer = v.prepare(a.t, strings.Contains(asked.Row, "knows"))
	case "/answered":
		select {
		case <-v.answered:
		case <-time.After(10 * time.Second): // it is not sent, says the outcome
		}
	case "/after":
		if got, want := v.outcome(a.t, asked.Read), v.want(asked.Row); got != want {
			a.t.Errorf("a page of %s %s; %s: %s, want %s (it read %.200q)", origin, asked.Row, asked.Target, got, want, asked.Read)
		}
		if _, cookies, ok := strings.Cut(asked.Read, "cookies: "); ok && strings.Contains(asked.Row, "opens") {
			a.cookies.Store(origin+" "+asked.Target, strings.TrimRight(cookies, "\"]\n"))
		}
	case "/next":
		switch origin {
		case a.sameSite:
			answer = map[string]string{"next": a.otherSite}
		case a.otherSite:
			answer = map[string]string{"next": a.otherPort}
		default:
			close(a.done)
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// victim is a program of five lines, and what has happened to it.
type victim struct {
	host *host.Host
	web  *httptest.Server
	url  string // where pages find it
	want func(row string) string

	requests atomic.Int64  // preflights excepted
	answered chan struct{} // of size 1; has a value when one has been answered
	acts     atomic.Int64

	// Of the attempt that is under way; the page makes one at a time.
	session                string // the URL of the visitor's own session, or ""
	stats                  transport.Stats
	pastRequests, pastActs int64
}

func newVictim(t *testing.T, cfg host.Config, want func(row string) string) *victim {
	t.Helper()
	cfg.NoAdmin, cfg.Logger = true, slog.New(slog.DiscardHandler)
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{host: h, want: want, answered: make(chan struct{}, 1)}
	h.IO().OnConnection(func(s *server.Socket) {
		s.On("act", func() string {
			v.acts.Add(1)
			return "cookies: " + s.Handshake().Header().Get("Cookie")
		})
		s.On("nothing", func() bool { return true })
	})
	// The visitor has been here, and is logged in with cookies of both kinds.
	h.Handle("GET", "/visit", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "lax", Value: "ada", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.SetCookie(w, &http.Cookie{Name: "none", Value: "ada", HttpOnly: true, SameSite: http.SameSiteNoneMode, Secure: true})
		http.Redirect(w, r, r.URL.Query().Get("next"), http.StatusFound)
	}))
	v.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions {
			v.requests.Add(1)
		}
		h.ServeHTTP(w, r)
		select {
		case v.answered <- struct{}{}:
		default:
		}
	}))
	v.url = v.web.URL
	t.Cleanup(func() {
		h.IO().Engine().Each(func(s *transport.Session) bool { s.Abort(transport.ReasonServerShuttingDown); return true })
		if err := h.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		v.web.Close()
	})
	return v
}

// ask sends a request as a client that is no page, and returns "" unless it is answered 200.
func (v *victim) ask(t *testing.T, method, url, body string) string {
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	res, err := v.web.Client().Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return ""
	}
	return string(raw)
}

// prepare returns the URLs for the next attempt. If the page is to know a session, the visitor has one, for
// which a message waits.
func (v *victim) prepare(t *testing.T, known bool) map[string]string {
	const engine = "/socket.io/?EIO=4&transport="
	v.session = ""
	sid := ""
	if known {
		_, sid, _ = strings.Cut(v.ask(t, "GET", v.web.URL+engine+"polling", ""), `"sid":"`)
		sid, _, _ = strings.Cut(sid, `"`)
		v.session = v.web.URL + engine + "polling&sid=" + sid
		v.ask(t, "POST", v.session, "40")
		v.ask(t, "GET", v.session, "")
		if err := v.host.IO().Emit("news", "secret"); err != nil {
			t.Error(err)
		}
	}
	v.stats = v.host.IO().Engine().Stats()
	v.pastRequests, v.pastActs = v.requests.Load(), v.acts.Load()
	select {
	case <-v.answered:
	default:
	}
	socket := strings.Replace(v.url, "http", "ws", 1) + engine + "websocket"
	return map[string]string{
		"open": v.url + engine + "polling", "guessed": v.url + engine + "polling&sid=AAAAAAAAAAAAAAAAAAAA",
		"known": v.url + engine + "polling&sid=" + sid, "socket": socket, "upgrade": socket + "&sid=" + sid,
		// Nothing is fetched ahead across sites from where the visitor has cookies.
		"ahead": strings.Replace(v.url, "127.0.0.1", "ahead.localhost", 1) + engine + "polling",
	}
}

// outcome says what has come of the attempt, of which the page has read something, or "".
func (v *victim) outcome(t *testing.T, read string) string {
	requests := v.requests.Load() - v.pastRequests
	seen := ""
	if v.session != "" && v.ask(t, "POST", v.session, `429["nothing"]`) == "ok" {
		for seen == "" || !strings.Contains(seen, "439") { // by then what was sent before has been handled
			more := v.ask(t, "GET", v.session, "")
			if more == "" {
				t.Errorf("the visitor's session has ended after %q", seen)
				break
			}
			seen += more
		}
	}
	stats := v.host.IO().Engine().Stats()
	var came []string
	if sum(stats.Opened) > sum(v.stats.Opened) {
		came = append(came, "opens a session")
	}
	if stats.Upgrades > v.stats.Upgrades {
		came = append(came, "takes the session over")
	} else if v.session != "" && !strings.Contains(seen, "secret") {
		came = append(came, "takes messages away")
	}
	if v.acts.Load() > v.pastActs {
		came = append(came, "acts")
	}
	switch {
	case requests == 0:
		return "is not sent"
	case read != "":
		came = append(came, "reads")
	case len(came) == 0 && sum(stats.Refused) > sum(v.stats.Refused):
		return "is refused"
	default:
		came = append(came, "reads nothing")
	}
	return strings.Join(came, ", ")
}

func sum[K comparable](counters map[K]uint64) (n uint64) {
	for _, v := range counters {
		n += v
	}
	return n
}
