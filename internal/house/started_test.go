package house

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// built returns the program of docs/getting-started.md that has the words in it.
func built(t *testing.T, with string) string {
	t.Helper()
	var found block
	for _, b := range blocks(t, "go") {
		if b.document == "docs/getting-started.md" && strings.Contains(b.code, with) {
			found = b
		}
	}
	file := program(t, found)
	hello := filepath.Join(filepath.Dir(file), "hello")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", hello, file)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return hello
}

// started starts a program. stop sends it SIGTERM, and wants it to end well.
func started(t *testing.T, program string, env ...string) (cmd *exec.Cmd, out *bufio.Reader, stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, program)
	cmd.Dir = filepath.Dir(program)
	cmd.Env = append(cmd.Environ(), env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(stdout), func() {
		http.DefaultClient.CloseIdleConnections()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// request returns an answer. Nobody who answers is an error.
func request(t *testing.T, method, url, body string) (status int, text string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	raw, err := io.ReadAll(a.Body)
	return a.StatusCode, string(raw), err
}

// asker returns what asks at a place and wants to be answered 200.
func asker(t *testing.T, url string) func(method, path, body string) string {
	return func(method, path, body string) string {
		t.Helper()
		status, text, err := request(t, method, url+path, body)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%s %s: %d, %v, %s", method, path, status, err, text)
		}
		return text
	}
}

// connected opens a session, joins the main namespace, and returns where the session is.
func connected(t *testing.T, ask func(method, path, body string) string, auth string) string {
	t.Helper()
	const engine = "/socket.io/?EIO=4&transport=polling"
	sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(ask("GET", engine, ""))
	if sid == nil {
		t.Fatal("no session")
	}
	session := engine + "&sid=" + sid[1]
	ask("POST", session, "40"+auth)
	ask("GET", session, "")
	return session
}

// TestGettingStarted builds the first program of docs/getting-started.md, starts it, and asks it for its
// page and for a sum, as that page does.
func TestGettingStarted(t *testing.T) {
	_, out, stop := started(t, built(t, "go:embed"), "HOST=127.0.0.1", "PORT=0", "BEANPOLE_LOG_LEVEL=warn")
	line, err := out.ReadString('\n')
	url := strings.TrimSuffix(regexp.MustCompile(`http://\S+`).FindString(line), "/")
	if err != nil || url == "" {
		t.Fatalf("says %q, %v", line, err)
	}
	ask := asker(t, url)
	if page := ask("GET", "/", ""); !strings.Contains(page, "emitWithAck") {
		t.Errorf("the page is %q", page)
	}
	session := connected(t, ask, `{"token":"beans"}`)
	ask("POST", session, `420["sum",1,2]`)
	if got, want := ask("GET", session, ""), "430[3]"; got != want {
		t.Errorf("sum is answered with %q, want %q", got, want)
	}
	stop()
}

// TestServerOfOnesOwn does to the program that listens by itself what the bundle for Elastic Beanstalk does.
func TestServerOfOnesOwn(t *testing.T) {
	hello := built(t, "POST /drain")
	port := freePair(t)
	_, _, stop := started(t, hello, fmt.Sprintf("PORT=%d", port))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	for { // until it listens; the context of the test bounds this
		if status, _, err := request(t, "GET", url+"/healthz", ""); err == nil && status == http.StatusOK {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("it does not listen")
		}
		time.Sleep(10 * time.Millisecond)
	}
	ask := asker(t, url)
	session := connected(t, ask, "")
	ask("POST", session, `420["hello","ada"]`)
	if got, want := ask("GET", session, ""), `430["hello ada"]`; got != want {
		t.Errorf("hello is answered with %q, want %q", got, want)
	}

	asker(t, fmt.Sprintf("http://127.0.0.1:%d", port+1))("POST", "/drain", "")
	if status, _, err := request(t, "GET", url+"/healthz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("health of one that drains: %d, %v", status, err)
	}
	if status, _, err := request(t, "GET", url+"/socket.io/?EIO=4&transport=polling", ""); status != http.StatusServiceUnavailable {
		t.Errorf("a new session: %d, %v", status, err)
	}
	if status, text, err := request(t, "GET", url+session, ""); err != nil || text != "1" && status == http.StatusOK {
		t.Errorf("the old session: %d, %q, %v", status, text, err)
	}
	stop()

	cmd, _, _ := started(t, hello, fmt.Sprintf("PORT=%d", port), "REDIS_URL=nonsense")
	if err := cmd.Wait(); err == nil || t.Context().Err() != nil {
		t.Errorf("with a REDIS_URL that is none it ends with %v", err)
	}
}

// freePair returns a port that is free, as is the one after it.
func freePair(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		next, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		_ = l.Close()
		if err == nil {
			_ = next.Close()
			return port
		}
	}
	t.Fatal("no two ports are free")
	return 0
}
