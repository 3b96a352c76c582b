package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// The one of several that is broken is named, and nothing is said of the other. The parts are the real ones; the health
// check is off, as it is for as long as its thresholds take.
func TestDoctorNamesTheInstance(t *testing.T) {
	ofNginx(t)
	t.Parallel()
	e := start(t, settings{})
	b := e.instances[1]
	look := func() []finding {
		t.Helper()
		return findings(t, fmt.Sprintf("https://127.0.0.1:%d", e.https), "--insecure", "--origin", origin, "--probe-token", probeToken,
			"--idle", "6s", "--timeout", "2s", "--samples", "8")
	}
	e.balancer(t, "disable health targets/b")

	location := filepath.Join(b.dir, "conf.d/elasticbeanstalk/00_application.conf")
	good, err := os.ReadFile(location)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.NewReplacer("$connection_upgrade", `""`, "client_max_body_size    2m", "client_max_body_size 500k").Replace(string(good)) +
		"\nif ($host != 127.0.0.1) { return 301 https://127.0.0.1$request_uri; }\n"
	b.serve(t, location, bad)
	named(t, look(), []want{
		{"no upgrade headers on one instance", "websocket", "failure", "b", "proxy_set_header Upgrade"},
		{"no upgrade headers on one instance", "upgrade", "failure", "b", "proxy_set_header Upgrade"},
		{"body limit of one nginx", "body size", "failure", "b", "client_max_body_size"},
		{"health path by the site's name only, on one instance", "health", "failure", "b", "an address as Host"},
	})
	b.serve(t, location, strings.Replace(string(good), "location / {", "location / {\nproxy_hide_header Sec-WebSocket-Accept;\nif ($request_method = OPTIONS) { return 405; }", 1))
	named(t, look(), []want{
		{"Sec-WebSocket-Accept hidden in one nginx", "websocket", "failure", "b", "Sec-WebSocket-Accept have to pass"},
		{"Sec-WebSocket-Accept hidden in one nginx", "upgrade", "failure", "b", "Sec-WebSocket-Accept have to pass"},
		{"OPTIONS refused in one nginx", "preflight", "failure", "b", "takes no OPTIONS"},
	})
	b.serve(t, location, string(good))

	_ = b.app.cmd.Process.Signal(syscall.SIGSTOP)
	frozen := look()
	_ = b.app.cmd.Process.Signal(syscall.SIGCONT)
	named(t, frozen, []want{{"one of two applications frozen", "instances", "failure", "1 without a name", "taken and not answered"}})

	b.app.stop(syscall.SIGKILL, time.Second)
	named(t, look(), []want{{"one of two applications dead", "instances", "failure", "1 without a name", "nginx runs and the application does not"}})

	b.nginx.stop(syscall.SIGTERM, 5*time.Second)
	named(t, look(), []want{{"one of two instances without nginx", "instances", "failure", "1 without a name", "see that nginx runs"}})

	b.startNginx(t)
	e.redis = redistest.Start(t)
	b.startApp(t)
	named(t, look(), []want{
		{"old version on one instance", "alike", "warning", "", "v2 on b"},
		{"another Redis on one instance", "broadcast", "failure", "", "REDIS_URL"},
		{"another Redis on one instance", "without cookies", "warning", "", "did not find their session"},
	})
}

// Servers whose address leads nowhere, or is that of another, say so: in their log, once, to the load balancer and to
// doctor, which does not take it for something that is off.
func TestAddressesThatLeadNowhere(t *testing.T) {
	t.Parallel()
	e := start(t, settings{})
	a, b := e.instances[0], e.instances[1]
	look := func() []finding {
		t.Helper()
		return findings(t, fmt.Sprintf("https://127.0.0.1:%d", e.https), "--insecure", "--origin", origin, "--idle", "6s", "--timeout", "6s", "--samples", "8")
	}
	again := func(url string, list ...*instance) {
		t.Helper()
		e.env = []string{"BEANPOLE_NODE_URL=" + url}
		for _, in := range list {
			in.app.stop(syscall.SIGTERM, 20*time.Second)
			in.version = 0
			in.startApp(t)
		}
		for _, in := range list {
			in.saysDegraded(t)
		}
	}
	e.balancer(t, "disable health targets/a")
	e.balancer(t, "disable health targets/b")

	again("http://127.0.0.1:9", b)
	named(t, look(), []want{
		{"an address that leads nowhere", "health", "warning", "b", "BEANPOLE_NODE_URL"},
		{"an address that leads nowhere", "without cookies", "warning", "", "the check of health"},
	})
	again(fmt.Sprintf("http://127.0.0.1:%d", a.appPort), a, b)
	named(t, look(), []want{
		{"one address for two instances", "health", "warning", "", "BEANPOLE_NODE_URL"},
		{"one address for two instances", "without cookies", "warning", "", "the check of health"},
	})
}

// saysDegraded waits until the instance says to the load balancer that it is, and why in its log, which has one line of that.
func (in *instance) saysDegraded(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", in.appPort))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		log, err := os.ReadFile(filepath.Join(in.dir, "app.log"))
		if err != nil {
			t.Fatal(err)
		}
		of := string(log[max(0, strings.LastIndex(string(log), "sessions are forwarded between servers")):]) // since the last start
		switch n := strings.Count(of, "part=forwarding"); {
		case n > 1:
			t.Fatalf("%s says it %d times:\n%s", in.name, n, of)
		case n == 1 && strings.Contains(string(body), "degraded"):
			return
		case time.Now().After(end):
			t.Fatalf("%s says %s, and in its log\n%s", in.name, body, of)
		}
	}
}

func TestDoctorWithoutStickinessAndWithALimit(t *testing.T) {
	t.Parallel()
	e := start(t, settings{alone: true, loose: true, env: []string{"BEANPOLE_HANDSHAKES_PER_SECOND_PER_ADDR=1"}})
	named(t, findings(t, e.url(), "--timeout", "6s", "--idle", "6s"), []want{
		{"no stickiness", "stickiness", "failure", "", "StickinessEnabled"},
		{"clients without cookies", "without cookies", "warning", "", "websocket"},
		{"our own limit of handshakes per address", "limits", "warning", "", "BEANPOLE_TRUSTED_HOPS"},
	})
}

// serve has the instance's nginx read another file.
func (in *instance) serve(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	in.nginx.stop(syscall.SIGTERM, 5*time.Second)
	in.startNginx(t)
}

// want is a finding that has to be there, for the environment of that name in docs/doctor.md.
type want struct{ environment, check, verdict, instance, says string }

// named holds what doctor has found against all that it should find.
func named(t *testing.T, got []finding, wants []want) {
	t.Helper()
	document, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(document), "\n### On real parts\n")
	for _, w := range wants {
		if row := fmt.Sprintf("| %s | %s | %s |", w.environment, w.check, w.verdict); !strings.Contains(table, row) {
			t.Errorf("%s is not in docs/doctor.md", row)
		}
		if !slices.ContainsFunc(got, func(f finding) bool {
			return f.Check == w.check && f.Verdict == w.verdict && f.Instance == w.instance && strings.Contains(f.Seen+f.Means+f.Do, w.says)
		}) {
			t.Errorf("%s: %s is no %s on %q with %q", w.environment, w.check, w.verdict, w.instance, w.says)
		}
	}
	for _, f := range got {
		if (f.Verdict == "failure" || f.Verdict == "warning") && !slices.ContainsFunc(wants, func(w want) bool { return w.check == f.Check && w.instance == f.Instance }) {
			t.Errorf("%s is %s on %q: %s | %s", f.Check, f.Verdict, f.Instance, f.Seen, f.Means)
		}
	}
}
