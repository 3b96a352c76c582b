package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// Who uses up the connections of nginx, as anybody can with WebSockets, has nobody's requests written down: the poll that
// nginx has no connection to the application for is an alert to it.
func TestUsedUpConnectionsLogNoQueries(t *testing.T) {
	ofNginx(t)
	ofNoHost(t)
	for platform, ours := range map[string]string{"go": ".platform", "docker": "deploy/docker/.platform"} {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			need(t, "nginx")
			application := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "1")
			}))
			application.Config.SetKeepAlivesEnabled(false) // a kept connection would be there for another
			l, err := net.Listen("tcp4", ":0")             // nginx knows it by several addresses
			if err != nil {
				t.Fatal(err)
			}
			_ = application.Listener.Close()
			application.Listener = l
			application.Start()
			defer application.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			in := &instance{e: &environment{t: t}, dir: t.TempDir(), port: ports(t, 1)[0]}
			if err := render(in.dir, []string{"../../cmd/beanpole/internal/lint/stock/" + platform, "../../" + ours + "/nginx"}, in.port, ":"+port); err != nil {
				t.Fatal(err)
			}
			conf := filepath.Join(in.dir, "nginx.conf")
			text, err := os.ReadFile(conf)
			if err != nil {
				t.Fatal(err)
			}
			for from, to := range map[string]string{`worker_connections\s+\d+`: "worker_connections 24", `worker_processes\s+auto`: "worker_processes 1"} {
				text = regexp.MustCompile(from).ReplaceAll(text, []byte(to))
			}
			if err := os.WriteFile(conf, text, 0o644); err != nil {
				t.Fatal(err)
			}
			in.startNginx(t)
			const secret = "a-token-in-a-query"
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
			status := 0
			for range 60 {
				res, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/socket.io/?EIO=4&transport=polling&sid=%s", in.port, secret))
				if err != nil {
					t.Fatalf("after %d: %v", status, err)
				}
				_ = res.Body.Close()
				if status = res.StatusCode; status != http.StatusOK {
					break
				}
				hold, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", in.port))
				if err != nil {
					t.Fatal(err)
				}
				defer hold.Close()
				_, _ = fmt.Fprint(hold, "GET / HTTP/1.1\r\n") // and no end
			}
			if status != http.StatusInternalServerError {
				t.Fatalf("nginx answers %d: its connections are not used up", status)
			}
			in.nginx.stop(syscall.SIGQUIT, 5*time.Second) // has written all
			text, err = os.ReadFile(filepath.Join(in.dir, "log", "error.log"))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("the error log has the query: %s", text)
			}
			if text, err = os.ReadFile(filepath.Join(in.dir, "log", "access.log")); err != nil || !bytes.Contains(text, []byte(` /socket.io/ HTTP/1.1" 500 `)) {
				t.Errorf("the access log does not have it: %s, %v", text, err)
			}
		})
	}
}
