package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// fault breaks one thing of an environment of three instances, and mends it again.
type fault struct {
	name   string
	breaks func(t *testing.T, e *environment) (mends func())
	wants  []want // without the environment's name
	args   []string
}

// Of three instances one is broken, or what is in front of them, in one way at a time. That one is named with its cause,
// and nothing is said of the others. The health check is off, as it is for as long as its thresholds take.
func TestDoctorOfThreeInstances(t *testing.T) {
	ofNginx(t)
	t.Parallel()
	e := start(t, settings{three: true})
	e.unchecked(t)
	for _, f := range append([]fault{{name: "nothing", breaks: func(*testing.T, *environment) func() { return func() {} }}}, faults...) {
		t.Run(f.name, func(t *testing.T) {
			mends := f.breaks(t, e)
			defer mends()
			for i := range f.wants {
				f.wants[i].environment = f.name
			}
			named(t, findings(t, fmt.Sprintf("https://127.0.0.1:%d", e.https), append([]string{"--insecure", "--origin", origin, "--probe-token", probeToken,
				"--idle", "6s", "--timeout", "3s", "--instances", "3"}, f.args...)...), f.wants)
		})
	}
}

// The document lists what is broken here, and no more.
func TestDocumentListsTheFaults(t *testing.T) {
	text, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, f := range faults {
		list := map[string][]string{}
		for _, w := range f.wants {
			list[w.verdict] = append(list[w.verdict], w.check)
		}
		for _, verdict := range []string{"failure", "warning", "ok"} {
			for _, check := range list[verdict] {
				fmt.Fprintf(&rows, "| %s | %s | %s |\n", f.name, check, verdict)
			}
		}
	}
	_, table, ok := strings.Cut(string(text), "\n### One of three\n")
	if _, got, _ := strings.Cut(table, "|---|---|---|\n"); !ok || got != rows.String() {
		t.Errorf("the table in docs/doctor.md is not\n%s", rows.String())
	}
	if n := fmt.Sprintf("%d faults", len(faults)); !strings.Contains(table, n) {
		t.Errorf("docs/doctor.md does not say that they are %s", n)
	}
}

var faults = []fault{
	// In front.
	{"no stickiness, and instances forward", haproxy(regexp.MustCompile(`(?m)^.*(use-server|Set-Cookie).*\n`), ""), []want{{check: "stickiness", verdict: "warning", says: "no cookies are set"}}, nil},
	{"cookies that nobody heeds", haproxy(regexp.MustCompile(`(?m)^.*use-server.*\n`), ""), []want{{check: "stickiness", verdict: "warning", says: "with AWSALB, AWSALBCORS"}}, nil},
	{"stickiness of another balancer", serverID, []want{{check: "cookies", verdict: "warning", says: "SERVERID without SameSite=None"}}, nil},
	{"WAF refuses", rule("http-request deny deny_status 403 if { path_beg /socket.io/ }"), []want{{check: "instances", verdict: "failure", says: "lets nobody in"}}, nil},
	{"refused in front now and then", rule("http-request deny deny_status 403 if { rand(3) eq 0 }"), []want{{check: "instances", verdict: "failure", says: "on the way to all instances"}}, nil},
	{"a rate limit in front now and then", rule("http-request deny deny_status 429 if { rand(3) eq 0 }"), []want{{check: "instances", verdict: "failure", says: "on the way to all instances"}}, nil},
	{"no POST in front", rule("http-request deny deny_status 405 if METH_POST"), []want{{check: "polling", verdict: "failure", says: "takes no POST here"}, {check: "buffering", verdict: "failure"}, {check: "upgrade", verdict: "failure"}, {check: "body size", verdict: "failure"}}, nil},
	{"cookies dropped on the way", rule("http-request del-header Cookie"), []want{{check: "stickiness", verdict: "warning", says: "with AWSALB"}}, nil},
	{"one instance with few clients", haproxy(regexp.MustCompile(`(?m)^    server [ab] .*check.*`), "$0 weight 8"), []want{{check: "instances", verdict: "ok", says: "c "}}, nil},

	// One nginx.
	{"one of three instances without nginx", func(t *testing.T, e *environment) func() {
		e.instances[1].nginx.stop(syscall.SIGKILL, time.Second)
		return func() { e.instances[1].startNginx(t) }
	}, []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "a, c serve well"}}, nil},
	{"one of three nginx frozen", func(_ *testing.T, e *environment) func() {
		group := -e.instances[1].nginx.cmd.Process.Pid
		_ = syscall.Kill(group, syscall.SIGSTOP)
		return func() { _ = syscall.Kill(group, syscall.SIGCONT) }
	}, []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "taken and not answered"}}, []string{"--timeout", "1s"}},
	{"no upgrade headers on one instance", nginx("$connection_upgrade", `""`), []want{{check: "websocket", verdict: "failure", instance: "b", says: "$connection_upgrade"}, {check: "upgrade", verdict: "failure", instance: "b"}}, nil},
	{"HTTP/1.0 between nginx and application", nginx("proxy_http_version  1.1", "proxy_http_version 1.0"), []want{{check: "websocket", verdict: "failure", instance: "b", says: "proxy_http_version 1.1"}, {check: "upgrade", verdict: "failure", instance: "b"}}, nil},
	{"body limit of one nginx", nginx("client_max_body_size    2m", "client_max_body_size 300k"), []want{{check: "body size", verdict: "failure", instance: "b", says: "client_max_body_size"}}, nil},
	{"a rate limit in one nginx", nginx("location / {", "if ($arg_EIO) { return 429; }\nlocation / {"), []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "nginx limits"}}, nil},
	{"an access rule in one nginx", nginx("location / {", "location / { deny all;"), []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "deny"}}, nil},
	{"a limit in one nginx", nginx("location / {", "if ($arg_EIO) { return 503; }\nlocation / {"), []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "limit_req"}}, nil},
	{"maintenance page on one instance", nginx("location / {", "if ($arg_EIO) { return 200 'Back soon'; }\nlocation / {"), []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "maintenance page"}}, nil},
	{"redirect in one nginx", nginx("location / {", "if ($arg_EIO) { return 301 https://www.example.com$request_uri; }\nlocation / {"), []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "redirects"}}, nil},
	{"no POST in one nginx", nginx("location / {", "location / { limit_except GET OPTIONS { deny all; }"), []want{{check: "polling", verdict: "failure", instance: "b", says: "POST does not get through to the application, and GET does: nginx answers it itself"}, {check: "buffering", verdict: "failure", instance: "b"}, {check: "upgrade", verdict: "failure", instance: "b"}, {check: "body size", verdict: "failure", instance: "b"}}, nil},
	{"queries dropped in one nginx", nginx("location / {", "location / { set $args '';"), []want{{check: "handshake", verdict: "failure", instance: "b", says: "query does not arrive"}}, nil},
	{"no Origin in one nginx", nginx("location / {", "location / { proxy_set_header Origin '';"), []want{{check: "cors", verdict: "failure", instance: "b", says: "no Access-Control-Allow-Origin"}, {check: "preflight", verdict: "failure", instance: "b"}}, nil},
	{"CORS twice in one nginx", nginx("location / {", "location / { add_header Access-Control-Allow-Origin '*' always;"), []want{{check: "cors", verdict: "failure", instance: "b", says: "twice"}}, nil},
	{"health path missing on one instance", nginx("location / {", "location = /healthz { return 404; }\nlocation / {"), []want{{check: "health", verdict: "failure", instance: "b", says: "HealthCheckPath"}}, nil},
	{"health path of nginx itself on one instance", nginx("location / {", "location = /healthz { return 200; }\nlocation / {"), []want{{check: "health", verdict: "warning", instance: "b", says: "passes for healthy"}}, nil},
	{"a cache in one nginx", cached, []want{{check: "caching", verdict: "failure", instance: "b", says: "proxy_cache"}}, nil},
	{"no name on one instance", nginx("location / {", "location / { proxy_hide_header X-Beanpole;"), []want{{check: "instances", verdict: "warning", says: "BEANPOLE_NO_INSTANCE_HEADER"}}, nil},
	{"idle timeout of one nginx", nginx("proxy_read_timeout    75s", "proxy_read_timeout 1s"), []want{{check: "idle", verdict: "failure", instance: "b", says: "proxy_read_timeout"}}, []string{"--deep"}},

	// One application.
	{"one of three applications dead", func(t *testing.T, e *environment) func() {
		e.instances[1].app.stop(syscall.SIGKILL, time.Second)
		return func() { again(t, e) }
	}, []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "nginx runs and the application does not"}}, nil},
	{"one of three applications frozen", func(_ *testing.T, e *environment) func() {
		_ = e.instances[1].app.cmd.Process.Signal(syscall.SIGSTOP)
		return func() { _ = e.instances[1].app.cmd.Process.Signal(syscall.SIGCONT) }
	}, []want{{check: "instances", verdict: "failure", instance: "1 without a name", says: "taken and not answered"}}, []string{"--timeout", "1s"}},
	{"one instance drains", func(t *testing.T, e *environment) func() {
		e.instances[1].drain(t)
		return func() { again(t, e) }
	}, []want{{check: "handshake", verdict: "failure", instance: "b", says: "the instance drains"}}, nil},
	{"old version on one instance", application("BEANPOLE_VERSION=v0"), []want{{check: "alike", verdict: "warning", instance: "b", says: "v0 on b"}}, nil},
	{"another configuration on one instance", application("BEANPOLE_MAX_PAYLOAD=100000"), []want{{check: "alike", verdict: "warning", instance: "b", says: "BEANPOLE_MAX_PAYLOAD"}}, nil},
	{"another list of origins on one instance", application("BEANPOLE_ALLOWED_ORIGINS=https://old.example.com"), []want{{check: "handshake", verdict: "failure", instance: "b", says: "BEANPOLE_ALLOWED_ORIGINS"}}, nil},
	{"another list of hosts on one instance", application("BEANPOLE_ALLOWED_HOSTS=old.example.com"), []want{{check: "handshake", verdict: "failure", instance: "b", says: "BEANPOLE_ALLOWED_HOSTS"}}, nil},
	{"no credentials on one instance", application("BEANPOLE_ALLOW_CREDENTIALS=false"), []want{{check: "cors", verdict: "warning", instance: "b", says: "BEANPOLE_ALLOW_CREDENTIALS"}}, nil},
	{"another path on one instance", application("BEANPOLE_PATH=/chat/"), []want{{check: "handshake", verdict: "failure", instance: "b", says: "BEANPOLE_PATH"}}, nil},
	{"no polling on one instance", application("BEANPOLE_TRANSPORTS=websocket"), []want{{check: "alike", verdict: "warning", instance: "b", says: "WebSocket alone on b"}}, nil},
	{"no WebSocket on one instance", application("BEANPOLE_TRANSPORTS=polling"), []want{{check: "websocket", verdict: "failure", instance: "b", says: "BEANPOLE_TRANSPORTS"},
		{check: "alike", verdict: "warning", instance: "b"}, {check: "upgrade", verdict: "warning", instance: "b"}}, nil},
	{"another name in Redis on one instance", application("BEANPOLE_REDIS_PREFIX=other"), []want{{check: "broadcast", verdict: "failure", instance: "b", says: "BEANPOLE_REDIS_PREFIX"},
		{check: "without cookies", verdict: "failure", instance: "b"}}, []string{"--timeout", "1s"}},
	{"another Redis on one instance", func(t *testing.T, e *environment) func() {
		defer func(r *redistest.Server) { e.redis = r }(e.redis)
		e.redis = redistest.Start(t)
		again(t, e)
		return func() { again(t, e) }
	}, []want{{check: "broadcast", verdict: "failure", instance: "b", says: "REDIS_URL"}, {check: "without cookies", verdict: "failure", instance: "b"}}, []string{"--timeout", "1s"}},
}

// unchecked has HAProxy take every instance for healthy.
func (e *environment) unchecked(t *testing.T) {
	t.Helper()
	for _, in := range e.instances {
		e.balancer(t, "disable health targets/"+in.name)
	}
}

// again starts the application of the second instance anew, as the version that it was.
func again(t *testing.T, e *environment) {
	t.Helper()
	b := e.instances[1]
	b.app.stop(syscall.SIGKILL, time.Second)
	b.version--
	b.startApp(t)
}

// application has that of the second instance run with other properties.
func application(env ...string) func(*testing.T, *environment) func() {
	return func(t *testing.T, e *environment) func() {
		t.Helper()
		e.env = env
		again(t, e)
		e.env = nil
		return func() { again(t, e) }
	}
}

// nginx has that of the second instance read another file for the application.
func nginx(from, to string) func(*testing.T, *environment) func() {
	return func(t *testing.T, e *environment) func() {
		t.Helper()
		b := e.instances[1]
		file := filepath.Join(b.dir, "conf.d/elasticbeanstalk/00_application.conf")
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b.serve(t, file, strings.Replace(string(good), from, to, 1))
		return func() { b.serve(t, file, string(good)) }
	}
}

// cached has that of the second instance remember answers to handshakes and polls.
func cached(t *testing.T, e *environment) func() {
	t.Helper()
	dir := e.instances[1].dir
	if err := os.WriteFile(filepath.Join(dir, "conf.d/cache.conf"), []byte("proxy_cache_path "+dir+"/cache keys_zone=one:1m;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return nginx("proxy_buffering off;", "proxy_cache one; proxy_cache_valid any 60s; proxy_cache_key $uri$arg_transport$arg_sid; proxy_ignore_headers Cache-Control Expires Set-Cookie;")(t, e)
}

// haproxy has it read another file.
func haproxy(from *regexp.Regexp, to string) func(*testing.T, *environment) func() {
	return func(t *testing.T, e *environment) func() {
		t.Helper()
		anew := func(front func(string) string) {
			e.haproxy.stop(syscall.SIGTERM, time.Second)
			e.front = front
			e.startBalancer(t)
			e.unchecked(t)
		}
		anew(func(config string) string { return from.ReplaceAllString(config, to) })
		return func() { anew(nil) }
	}
}

// rule has it look at requests first.
func rule(text string) func(*testing.T, *environment) func() {
	return haproxy(regexp.MustCompile(`(?m)^    # Mode append`), "    "+text+"\n$0")
}

// serverID has it keep clients by a cookie of its own.
func serverID(t *testing.T, e *environment) func() {
	t.Helper()
	mends := haproxy(regexp.MustCompile(`(?m)^.*(use-server|Set-Cookie).*\n`), "")(t, e)
	e.haproxy.stop(syscall.SIGTERM, time.Second)
	stripped := e.front
	e.front = func(config string) string {
		config = strings.Replace(stripped(config), "\nbackend targets\n", "\nbackend targets\n    cookie SERVERID insert indirect nocache\n", 1)
		return regexp.MustCompile(`(?m)^    server (.) .*check`).ReplaceAllString(config, "$0 cookie $1")
	}
	e.startBalancer(t)
	e.unchecked(t)
	return mends
}
