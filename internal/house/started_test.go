package house

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGettingStarted builds the first program of docs/getting-started.md, starts it, and asks it for its
// page and for a sum, as that page does.
func TestGettingStarted(t *testing.T) {
	var first block
	for _, b := range blocks(t, "go") {
		if b.document == "docs/getting-started.md" && strings.Contains(b.code, "go:embed") {
			first = b
		}
	}
	file := program(t, first)
	hello := filepath.Join(filepath.Dir(file), "hello")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", hello, file)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, hello)
	cmd.Dir = filepath.Dir(hello)
	cmd.Env = append(cmd.Environ(), "HOST=127.0.0.1", "PORT=0", "BEANPOLE_LOG_LEVEL=warn")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url := strings.TrimSuffix(regexp.MustCompile(`http://\S+`).FindString(line), "/")
	if err != nil || url == "" {
		t.Fatalf("says %q, %v", line, err)
	}

	ask := func(method, path, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		raw, err := io.ReadAll(a.Body)
		if err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s, %v, %s", method, path, a.Status, err, raw)
		}
		return string(raw)
	}
	if page := ask("GET", "/", ""); !strings.Contains(page, "emitWithAck") {
		t.Errorf("the page is %q", page)
	}
	const engine = "/socket.io/?EIO=4&transport=polling"
	sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(ask("GET", engine, ""))
	if sid == nil {
		t.Fatal("no session")
	}
	session := engine + "&sid=" + sid[1]
	ask("POST", session, `40{"token":"beans"}`)
	ask("GET", session, "")
	ask("POST", session, `420["sum",1,2]`)
	if got, want := ask("GET", session, ""), "430[3]"; got != want {
		t.Errorf("sum is answered with %q, want %q", got, want)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
