package clients

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// rust runs the Rust client too, which takes minutes to compile.
var rust = flag.Bool("rust", false, "run the Rust client too")

// cell is one line of what a program in programs/ prints: what one client can do over one transport.
type cell struct {
	Client     string `json:"client"`
	Transport  string `json:"transport"`
	Capability string `json:"capability"`
	Result     string `json:"result"` // ok, failed or n.a.
	Note       string `json:"note"`   // what failed, why not applicable, or what is to be said of ok
}

// The columns of the table.
var (
	transports   = []string{"polling", "websocket", "upgrade"}
	capabilities = []string{
		"connect", "auth", "ack", "answer", "binary", "namespaces", "reconnect", "recovery", "sticky",
	}
)

// urls says where a program finds the servers. All of them are told by environment variables.
type urls struct {
	direct   string // DIRECT: one node
	relay    string // RELAY: the same node behind a network that can be cut
	balancer string // BALANCER: two nodes behind a balancer with cookies, by name, since cookies need one
	page     string // PAGE: the bundle, for the browser
}

// serve starts the servers, Node's or ours, and what stands before them.
func (u *urls) serve(t *testing.T, nodes bool) {
	t.Helper()
	list := []string{startFixture(t, u.page, nodes), startFixture(t, u.page, nodes)}
	u.direct = list[0]
	u.relay = fmt.Sprintf("http://127.0.0.1:%d", newBalancer(t, list[0]))
	u.balancer = fmt.Sprintf("http://localhost:%d", newBalancer(t, list...))
}

func (u urls) env() []string {
	return []string{"DIRECT=" + u.direct, "RELAY=" + u.relay, "BALANCER=" + u.balancer, "PAGE=" + u.page}
}

// program runs the cells of one or more clients.
type program struct {
	name  string
	rows  int // clients it reports
	start func(t *testing.T) *exec.Cmd
}

// TestMatrix runs every client of every language through the same cells and prints the table.
func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("runs clients of several languages")
	}
	need(t, "node")
	install(t)
	var u urls
	u.page = servePage(t)
	u.serve(t, *reference)

	var mu sync.Mutex
	var cells []cell // guarded by mu
	t.Run("programs", func(t *testing.T) {
		for _, p := range programs {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				cmd := p.start(t)
				cmd.Env = append(cmd.Environ(), u.env()...)
				got := collect(t, cmd)
				complete(t, p, got)
				for _, c := range got {
					judge(t, c)
				}
				mu.Lock()
				defer mu.Unlock()
				cells = append(cells, got...)
			})
		}
	})
	text := table(cells)
	if !*rust {
		text += "rust_socketio was not run: it takes -rust, as in make clients\n"
	}
	show(t, "matrix.txt", text)
}

// show prints a table, and leaves it for make clients, which prints it when all else is said.
func show(t *testing.T, name, text string) {
	t.Helper()
	fmt.Print(text)
	dir, err := cache("")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// judge makes a subtest of a cell.
func judge(t *testing.T, c cell) {
	t.Helper()
	t.Run(strings.Join([]string{c.Client, c.Transport, c.Capability}, "/"), func(t *testing.T) {
		switch c.Result {
		case "ok":
		case "n.a.":
			t.Skip(c.Note)
		default:
			t.Error(c.Note)
		}
	})
}

// collect runs a program to its end and returns its cells. Other lines it prints go to the test's log.
func collect(t *testing.T, cmd *exec.Cmd) []cell {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = logWriter{t}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var cells []cell
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var c cell
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil || c.Client == "" {
			t.Log(lines.Text())
			continue
		}
		cells = append(cells, c)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v", cmd.Path, err)
	}
	t.Logf("%d cells in %.1f s", len(cells), time.Since(began).Seconds())
	return cells
}

// logWriter is a program's standard error in the test's log.
type logWriter struct{ t *testing.T }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// complete fails for cells that a program should have reported and did not.
func complete(t *testing.T, p program, cells []cell) {
	t.Helper()
	clients := make(map[string]bool)
	have := make(map[string]bool)
	for _, c := range cells {
		clients[c.Client] = true
		have[c.Client+c.Transport+c.Capability] = true
	}
	if len(clients) != p.rows {
		t.Errorf("%d clients reported, want %d", len(clients), p.rows)
	}
	for client := range clients {
		for _, transport := range transports {
			for _, capability := range capabilities {
				if !have[client+transport+capability] {
					t.Errorf("no result of %s, %s, %s", client, transport, capability)
				}
			}
		}
	}
}

// table shows the cells: a row for each client, a column for each capability over each transport.
func table(cells []cell) string {
	rows := make(map[string]map[string]string)
	var names, notes []string
	for _, c := range cells {
		if rows[c.Client] == nil {
			rows[c.Client] = make(map[string]string)
			names = append(names, c.Client)
		}
		mark := map[string]string{"ok": "ok", "n.a.": "", "failed": "FAIL"}[c.Result]
		if c.Note != "" && c.Result != "failed" {
			n := slices.Index(notes, c.Note)
			if n < 0 {
				n = len(notes)
				notes = append(notes, c.Note)
			}
			mark += fmt.Sprintf("-%d", n+1)
		}
		rows[c.Client][c.Capability+c.Transport] = mark
	}
	slices.Sort(names)
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	var text strings.Builder
	text.WriteString("\n" + strings.Repeat(" ", width))
	for _, capability := range capabilities {
		fmt.Fprintf(&text, " | %-14s", capability)
	}
	text.WriteString("\n" + strings.Repeat(" ", width))
	for range capabilities {
		text.WriteString(" | poll ws   up  ")
	}
	text.WriteString("\n" + strings.Repeat("-", width) + strings.Repeat("-+---------------", len(capabilities)) + "\n")
	for _, name := range names {
		fmt.Fprintf(&text, "%-*s", width, name)
		for _, capability := range capabilities {
			text.WriteString(" |")
			for _, transport := range transports {
				fmt.Fprintf(&text, " %-4s", rows[name][capability+transport])
			}
		}
		text.WriteString("\n")
	}
	text.WriteString("(poll: polling only, ws: WebSocket only, up: polling, then upgraded)\n")
	for i, note := range notes {
		fmt.Fprintf(&text, "-%d: %s\n", i+1, note)
	}
	return text.String()
}

// fixture is the program under test, built once.
var fixture = sync.OnceValues(func() (string, error) {
	dir, err := cache("fixture")
	if err != nil {
		return "", err
	}
	return compile(dir)
})

// startFixture starts the server, Node's or ours, and returns its address.
func startFixture(t *testing.T, origin string, nodes bool) string {
	t.Helper()
	command := []string{"node", "reference.mjs"}
	if !nodes {
		path, err := fixture()
		if err != nil {
			t.Fatal(err)
		}
		command = []string{path}
	}
	// A network that goes away between two polls is noticed by the heartbeat alone, so it is a short one.
	args := append(command[1:], "--origin="+origin, "--ping-interval=2000", "--ping-timeout=5000")
	cmd := exec.CommandContext(t.Context(), command[0], args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // it ends when this closes
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	var hello struct{ Port int }
	if err := json.NewDecoder(out).Decode(&hello); err != nil {
		t.Fatal("the fixture did not start: ", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the fixture
	return fmt.Sprintf("http://127.0.0.1:%d", hello.Port)
}

// servePage serves the browser's bundle at an origin of its own and returns that origin.
func servePage(t *testing.T) string {
	t.Helper()
	bundle := bundlePage(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>cells</title><script type="module" src="/page.js"></script>`)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(bundle)
	})
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return fmt.Sprintf("http://localhost:%d", web.Listener.Addr().(*net.TCPAddr).Port)
}
