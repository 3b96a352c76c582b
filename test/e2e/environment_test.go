package e2e

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// origin is the page that may connect from elsewhere.
const origin = "https://www.example.com"

// probeToken of the environment.
const probeToken = "the token of the e2e tests"

// settings change an environment. The zero value is the good one.
type settings struct {
	alone  bool     // no Redis
	stock  bool     // nginx without our overlay
	idle   string   // of the load balancer; "" means 6s, a tenth of the real one
	env    []string // for the application
	bundle string   // folder with what is deployed; "" means the tests' own application with this repository's bundle
	loose  bool     // the load balancer keeps nobody at an instance
	direct bool     // the variant direct: the load balancer sends everything to the applications' own ports
	three  bool     // instances in the place of two

	front    func(config string) string // changes HAProxy's configuration; nil leaves it
	metadata string                     // the URL of the instances' metadata, by name below it; "" for none
}

// environment is what runs.
type environment struct {
	settings
	t           *testing.T // whose end is the environment's
	dir         string
	http, https int
	redis       *redistest.Server
	haproxy     *process
	instances   []*instance // a, b and so on
}

// instance is one EC2 instance: nginx and the application.
type instance struct {
	e                        *environment
	name                     string
	dir                      string
	appPort, adminPort, port int
	version                  int
	app, nginx               *process
}

func start(t *testing.T, s settings) *environment {
	t.Helper()
	need(t, "nginx", "haproxy", "redis-server", "node")
	e := &environment{settings: s, t: t, dir: t.TempDir()}
	e.direct = e.direct || *directly && !e.stock && e.bundle == ""
	names := []string{"a", "b"}
	if s.three {
		names = append(names, "c")
	}
	p := ports(t, 2+3*len(names))
	e.http, e.https = p[0], p[1]
	if !s.alone {
		e.redis = redistest.Start(t)
	}
	for i, name := range names {
		in := &instance{e: e, name: name, dir: filepath.Join(e.dir, name), appPort: p[2+3*i], adminPort: p[3+3*i], port: p[4+3*i]}
		e.instances = append(e.instances, in)
		if *onHosts {
			in.connected(t)
		}
		in.render(t)
		in.startApp(t)
		if e.direct {
			in.port = in.appPort // nginx runs there, too, and has nothing to do
			continue
		}
		in.startNginx(t)
	}
	e.startBalancer(t)
	for _, name := range names {
		e.healthy(t, name)
	}
	return e
}

// url is where clients connect.
func (e *environment) url() string { return fmt.Sprintf("http://127.0.0.1:%d", e.http) }

// ofTheSecond is each line about the instance b.
var ofTheSecond = regexp.MustCompile(`(?m)^.*server b .*\n`)

func (e *environment) startBalancer(t *testing.T) {
	t.Helper()
	certificate(t, filepath.Join(e.dir, "alb.pem"))
	text, err := os.ReadFile("haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	idle := e.idle
	if idle == "" {
		idle = "6s"
	}
	config := string(text)
	for _, in := range e.instances[2:] {
		config = ofTheSecond.ReplaceAllStringFunc(config, func(line string) string {
			return line + strings.NewReplacer("server b", "server "+in.name, "b~", in.name+"~", "@B@", strconv.Itoa(in.port)).Replace(line)
		})
	}
	out := strings.NewReplacer("@DIR@", e.dir, "@IDLE@", idle, "@HTTP@", strconv.Itoa(e.http), "@HTTPS@", strconv.Itoa(e.https),
		"@A@", strconv.Itoa(e.instances[0].port), "@B@", strconv.Itoa(e.instances[1].port)).Replace(config)
	if e.loose {
		out = regexp.MustCompile(`(?m)^.*(use-server|Set-Cookie).*\n`).ReplaceAllString(out, "")
	}
	if e.front != nil {
		out = e.front(out)
	}
	file := filepath.Join(e.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
	e.haproxy = launch(e.t, filepath.Join(e.dir, "haproxy.log"), nil, "haproxy", "-db", "-f", file)
	alive(t, e.haproxy, e.http)
}

// balancer sends a command to HAProxy's runtime socket: what RegisterTargets and DeregisterTargets are to AWS.
func (e *environment) balancer(t *testing.T, command string) string {
	t.Helper()
	var c net.Conn
	var err error
	for range 100 { // it is there a moment after the ports are
		if c, err = net.Dial("unix", filepath.Join(e.dir, "haproxy.sock")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintln(c, command); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// healthy waits until the load balancer sends clients to an instance.
func (e *environment) healthy(t *testing.T, name string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for line := range strings.Lines(e.balancer(t, "show servers state targets")) {
			f := strings.Fields(line)
			// srv_op_state 2 is running, srv_admin_state 0 in service.
			if len(f) > 6 && f[3] == name && f[5] == "2" && f[6] == "0" {
				return
			}
		}
	}
	t.Fatalf("instance %s is not healthy: %s", name, tail(filepath.Join(e.dir, "haproxy.log")))
}

// deregister takes an instance out: open connections stay, new requests go elsewhere.
func (e *environment) deregister(t *testing.T, name string) {
	t.Helper()
	e.balancer(t, "set server targets/"+name+" state maint")
}

// register puts it back.
func (e *environment) register(t *testing.T, name string) {
	t.Helper()
	e.balancer(t, "set server targets/"+name+" state ready")
	e.healthy(t, name)
}

// delayOver is the end of the deregistration delay: what is still open is cut.
func (e *environment) delayOver(t *testing.T, name string) {
	t.Helper()
	e.balancer(t, "shutdown sessions server targets/"+name)
}

const stockFiles = "../../cmd/beanpole/internal/lint/stock/go"

// top is where the bundle lies.
func (e *environment) top() string { return cmp.Or(e.bundle, "../..") }

var (
	userLine   = regexp.MustCompile(`(?m)^\s*user\s+[^;]*;`)
	listenLine = regexp.MustCompile(`(?m)^(\s*listen\s+)80\b`)
)

// render writes the instance's /etc/nginx: the platform's files, and ours over them.
func (in *instance) render(t *testing.T) {
	t.Helper()
	roots := []string{stockFiles}
	if !in.e.stock {
		roots = append(roots, filepath.Join(in.e.top(), ".platform/nginx"))
	}
	if err := render(in.dir, roots, in.port, fmt.Sprintf(":%d", in.appPort)); err != nil {
		t.Fatal(err)
	}
	if *onHosts {
		in.inContainer(t)
	}
}

// render writes what is in roots, each over those before, as an /etc/nginx in dir that listens on port and passes requests
// on to the port of application.
func render(dir string, roots []string, port int, application string) error {
	for _, sub := range []string{"log/healthd", "html", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			out := userLine.ReplaceAllString(string(text), "user root;")
			out = listenLine.ReplaceAllString(out, fmt.Sprintf("${1}127.0.0.1:%d", port))
			out = strings.NewReplacer("/var/log/nginx", dir+"/log", "/var/run/", dir+"/run/", "/etc/nginx/", dir+"/",
				"172.17.0.2:5000", "127.0.0.1"+application, ":5000", application).Replace(out)
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			to := filepath.Join(dir, rel)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			return os.WriteFile(to, []byte(out), 0o644)
		})
		if err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "mime.types"), []byte("types { text/html html; }\n"), 0o644)
}

func (in *instance) startNginx(t *testing.T) {
	t.Helper()
	command := in.lies("host", "nginx", "-p", in.dir+"/", "-c", filepath.Join(in.dir, "nginx.conf"), "-g", "daemon off;")
	in.nginx = launch(in.e.t, filepath.Join(in.dir, "nginx.log"), nil, command[0], command[1:]...)
	alive(t, in.nginx, in.port)
}

func (in *instance) startApp(t *testing.T) {
	t.Helper()
	in.version++
	env := []string{
		fmt.Sprintf("PORT=%d", in.appPort), fmt.Sprintf("BEANPOLE_ADMIN_PORT=%d", in.adminPort), // and no HOST: nginx knows it by several addresses
		"BEANPOLE_INSTANCE=" + in.name, fmt.Sprintf("BEANPOLE_VERSION=v%d", in.version), "BEANPOLE_TRUSTED_HOPS=2", "BEANPOLE_RECOVERY=2m",
		"BEANPOLE_PING_INTERVAL=2500ms", "BEANPOLE_PING_TIMEOUT=2s", "BEANPOLE_IDLE_TIMEOUT=6s", "BEANPOLE_PROBE_TOKEN=" + probeToken,
		// The platform's nginx drops the port from Host, which on a real load balancer is the scheme's own.
		"BEANPOLE_ALLOWED_ORIGINS=" + origin + fmt.Sprintf(",https://localhost:%d", in.e.https), "BEANPOLE_ALLOW_CREDENTIALS=true",
	}
	if in.e.redis != nil {
		env = append(env, "REDIS_URL="+reached(t, in.e.redis.URL()))
	}
	if in.e.metadata != "" {
		env = append(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+reached(t, in.e.metadata)+"/"+in.name)
	}
	program := built.app
	if in.e.bundle != "" {
		program = filepath.Join(in.e.bundle, "bin/application") // as its Procfile says
		env = append(properties(t, in.e.bundle), slices.DeleteFunc(env, func(v string) bool {
			return strings.HasPrefix(v, "BEANPOLE_PING_") || strings.HasPrefix(v, "BEANPOLE_IDLE_") // it has its own
		})...)
	}
	if in.e.direct {
		env = append(env, in.e.ofVariant(t, in)...)
	}
	if *onHosts {
		env = append(env, fmt.Sprintf("BEANPOLE_NODE_URL=http://10.77.0.%s:%d", in.host(), in.appPort))
	}
	env = append(env, in.e.env...)
	command := in.lies("container", program)
	in.app = launch(in.e.t, filepath.Join(in.dir, "app.log"), env, command[0], command[1:]...)
	alive(t, in.app, in.appPort)
}

// directly runs the tests on the variant direct.
var directly = flag.Bool("direct", false, "the load balancer sends everything past nginx")

const variantFolder = "../../deploy/direct"

// ofVariant returns what the variant direct sets of an application, whose timers and port are the tests'.
func (e *environment) ofVariant(t *testing.T, in *instance) (env []string) {
	t.Helper()
	for _, p := range properties(t, variantFolder) {
		switch name, _, _ := strings.Cut(p, "="); name {
		case "BEANPOLE_TRUSTED_HOPS", "BEANPOLE_STOP_DRAIN_TIME":
			env = append(env, p)
		case "BEANPOLE_HEALTHD_LOG":
			env = append(env, name+"="+in.healthd())
		}
	}
	if len(env) != 3 {
		t.Fatalf("the variant sets %v", env)
	}
	return env
}

// healthd is the folder of the log for enhanced health.
func (in *instance) healthd() string { return filepath.Join(in.dir, "log/healthd") }

// drain is the predeploy hook of the bundle, run as the platform runs it.
func (in *instance) drain(t *testing.T) {
	t.Helper()
	hook := launch(in.e.t, filepath.Join(in.dir, "eb-hooks.log"), []string{fmt.Sprintf("BEANPOLE_ADMIN_PORT=%d", in.adminPort), "PATH=" + noDocker(t)},
		filepath.Join(in.e.top(), ".platform/hooks/predeploy/10_drain.sh"))
	<-hook.done
}

// noDocker is a PATH without docker, as on the Go platform.
func noDocker(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"bash", "curl", "xargs"} {
		for _, from := range []string{"/usr/bin/", "/bin/"} {
			if _, err := os.Stat(from + name); err == nil {
				_ = os.Symlink(from+name, filepath.Join(dir, name))
				break
			}
		}
	}
	return dir
}

// empty waits until the clients of a test before have been given up: those on polling that have gone without a word are when
// a heartbeat of 45 s is over.
func (e *environment) empty(t *testing.T) {
	t.Helper()
	for _, in := range e.instances {
		for end := time.Now().Add(time.Minute); in.sessions(t) > 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("instance %s still has %d sessions", in.name, in.sessions(t))
			}
		}
	}
}

// sessions is how many the instance has.
func (in *instance) sessions(t *testing.T) int {
	t.Helper()
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/drain", in.adminPort))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var said struct{ Sessions *int }
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil || said.Sessions == nil {
		t.Fatalf("instance %s does not say how many sessions it has: %v", in.name, err)
	}
	return *said.Sessions
}

// flip is the middle of a deployment on an instance, in the platform's order: predeploy hooks, stop nginx, stop
// the application, start the new one, start nginx. It returns how long new requests were refused. The variant direct has no
// hook there, and an nginx that is stopped in no time.
func (in *instance) flip(t *testing.T, hook bool) time.Duration {
	t.Helper()
	start := time.Now()
	if hook && !in.e.direct {
		in.drain(t)
	}
	drained := time.Since(start)
	nginx := in.nginx.stop(syscall.SIGQUIT, 5*time.Second) // TimeoutStopSec
	app := in.app.stop(syscall.SIGTERM, 90*time.Second)
	in.render(t)
	in.startApp(t)
	if !in.e.direct {
		in.startNginx(t)
	}
	defer func() {
		t.Logf("instance %s: drain %.1f s, nginx stopped in %.1f s, application in %.1f s, all in %.1f s", in.name,
			drained.Seconds(), nginx.Seconds(), app.Seconds(), time.Since(start).Seconds())
	}()
	for {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", in.port))
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return time.Since(start)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// say has the application of this instance send a number to a room of all.
func (in *instance) say(room string, n int) error {
	res, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/say?room=%s&n=%d", in.appPort, room, n), "text/plain", nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("say: %s", res.Status)
	}
	return nil
}

// certificate writes a certificate for 127.0.0.1 that nobody has signed.
func certificate(t *testing.T, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(1, 0, 0), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
}
