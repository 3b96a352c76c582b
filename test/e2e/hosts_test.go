package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hosts is the variable that tells a test that it is in the subnet of the two hosts, and names its folder.
const hosts = "BEANPOLE_E2E_HOSTS"

// The network of two hosts with Docker's bridge: each has its own address in the subnet, and a container that has the
// same address on both, from which NAT leads out, and into which nothing does, as with an engine that publishes no port, but
// what the hook of the bundle lets in. Everything is in network namespaces below one that is nobody else's, and ends with it.
const twoHosts = `set -e
ip link set lo up
ip link add subnet type bridge
ip addr add 10.77.0.1/24 dev subnet
ip link set subnet up
for i in ${HOSTS:-2 3}; do
  unshare --net --kill-child sleep "${LIFE:-600}" & host=$!
  unshare --net --kill-child sleep "${LIFE:-600}" & container=$!
  echo $host >"$1/host$i"; echo $container >"$1/container$i"
  until [ "$(readlink /proc/$host/ns/net)" != "$(readlink /proc/$$/ns/net)" ] && [ "$(readlink /proc/$container/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
  ip link add "to$i" type veth peer name eth0 netns $host
  ip link set "to$i" master subnet up
  nsenter --net=/proc/$host/ns/net sh -e -c '
    ip link set lo up; ip addr add 10.77.0.'$i'/24 dev eth0; ip link set eth0 up; ip route add default via 10.77.0.1
    ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up
    ip link add inside type veth peer name eth0 netns '$container'
    ip link set inside master docker0 up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
    iptables -P FORWARD DROP
    iptables -A FORWARD -i docker0 -j ACCEPT
    iptables -A FORWARD -o docker0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT'
  nsenter --net=/proc/$container/ns/net sh -e -c '
    ip link set lo up; ip addr add 172.17.0.2/16 dev eth0; ip link set eth0 up; ip route add default via 172.17.0.1'
done
shift
exec "$@"`

// TestTwoDockerHosts has two applications of one cluster in containers with one and the same address. What a load balancer
// sends to the wrong one is forwarded to the other's host, whose address its metadata gave, and never to 172.17.0.2.
func TestTwoDockerHosts(t *testing.T) {
	ofNoHost(t)
	if os.Getenv(hosts) == "" {
		t.Parallel()
		need(t, "redis-server", "unshare", "nsenter", "ip", "iptables", "bash")
		dir := t.TempDir()
		if said, err := exec.Command("unshare", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c", `ip link add x type bridge && iptables -t nat -N x`).CombinedOutput(); err != nil {
			t.Skipf("no networks of its own (make docker-hosts says so as a failure): %v: %s", err, said)
		}
		cmd := exec.Command("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", twoHosts, "sh", dir,
			os.Args[0], "-test.run=^TestTwoDockerHosts$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"="+built.dir, hosts+"="+dir)
		said, err := cmd.CombinedOutput()
		if t.Logf("%s", said); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := os.Getenv(hosts)
	for _, name := range []string{"2", "3"} {
		for _, url := range []string{"http://:5000", "http://10.77.0.9:5000", "http://:5000", "http://:5000"} { // again, and without: nothing is left of the last time
			lead(t, dir, name, url)
		}
	}
	launch(t, filepath.Join(dir, "redis.log"), nil, "redis-server", "--port", "6379", "--bind", "10.77.0.1", "127.0.0.1", "--protected-mode", "no", "--save", "", "--dir", dir)
	serveAddresses(t)
	names := []string{"2", "3"}
	apps := map[string]*process{}
	for _, name := range names {
		apps[name] = startContained(t, dir, name, "BEANPOLE_NODE_URL=http://:5000")
	}
	// Both see each other by what the metadata of their hosts say.
	for _, name := range names {
		if text := tail(apps[name].log); !strings.Contains(text, "at=http://10.77.0."+name+":5000") {
			t.Fatalf("host %s announces another address: %s", name, text)
		}
	}
	for _, name := range names {
		other := map[string]string{"2": "3", "3": "2"}[name]
		sid := openSession(t, name)
		// Without cookies, as from another subnet of the load balancer, everything comes to the wrong host.
		ask(t, other, sid, "40", "ok")
		ask(t, other, sid, "", "40{")
		ask(t, other, sid, `420["join","all"]`, "ok")
		ask(t, other, sid, "", `430["`+name+`"]`)
		res, err := http.Post(hostURL(other)+"/say?room=all&n=7", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		ask(t, other, sid, "", `42["said",7]`)
	}
	// And what the address of the bridge would do: each is forwarded to itself.
	for _, name := range names {
		apps[name].stop(syscall.SIGKILL, time.Second)
	}
	for _, name := range names {
		apps[name] = startContained(t, dir, name, "BEANPOLE_NODE_URL=http://172.17.0.2:5000")
	}
	sid := openSession(t, "2")
	if status, _ := send(t, "3", sid, "40"); status == http.StatusOK {
		t.Error("the address of the bridge is enough: the test shows nothing")
	}
}

// lead runs the hook of the Docker platform's bundle at a host, where an engine has one container.
func lead(t *testing.T, dir, name, url string) {
	t.Helper()
	engine := filepath.Join(dir, "docker")
	if err := os.WriteFile(engine, []byte("#!/bin/sh\ncase $1 in ps) echo 0123456789ab ;; inspect) echo 172.17.0.2 ;; esac\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	hook := nsenter(t, dir, "host"+name, "../../deploy/docker/.platform/confighooks/postdeploy/30_container_port.sh")
	hook.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "BEANPOLE_NODE_URL="+url)
	said, err := hook.CombinedOutput()
	if leads := strings.Contains(string(said), "port 5000 leads to the container, 172.17.0.2:5000"); err != nil || leads != (url == "http://:5000") {
		t.Fatalf("with %s the hook says %q, %v", url, said, err)
	}
	rules := nsenter(t, dir, "host"+name, "iptables-save")
	text, err := rules.CombinedOutput()
	if got, want := strings.Count(string(text), "-A BEANPOLE"), map[bool]int{true: 2}[url == "http://:5000"]; err != nil || got != want || strings.Count(string(text), "-j BEANPOLE") != 2 {
		t.Fatalf("with %s there are %d rules, want %d, %v\n%s", url, got, want, err, text)
	}
}

// nsenter is a command in the network of a host or container.
func nsenter(t *testing.T, dir, of string, command ...string) *exec.Cmd {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(dir, of))
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command("nsenter", append([]string{"--net=/proc/" + strings.TrimSpace(string(pid)) + "/ns/net"}, command...)...)
}

// serveAddresses is the metadata service, as far as a host's address goes. A real one is at the same address for all.
func serveAddresses(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "10.77.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /{name}/latest/api/token", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "of "+r.PathValue("name")) })
	mux.HandleFunc("GET /{name}/latest/meta-data/local-ipv4", func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("name"); r.Header.Get("X-aws-ec2-metadata-token") == "of "+name {
			_, _ = io.WriteString(w, "10.77.0."+name)
		} else {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s := http.Server{Handler: mux}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
}

// startContained starts the application in the container of a host, with the metadata of that host.
func startContained(t *testing.T, dir, name string, env ...string) *process {
	t.Helper()
	env = append(env, "PORT=5000", "BEANPOLE_INSTANCE="+name, "REDIS_URL=redis://10.77.0.1:6379", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://10.77.0.1:80/"+name)
	p := launch(t, filepath.Join(dir, "app"+name+".log"), env, "nsenter", nsenter(t, dir, "container"+name, built.app).Args[1:]...)
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if res, err := http.Get(hostURL(name) + "/healthz"); err == nil {
			_ = res.Body.Close()
			if res.Header.Get("X-Beanpole") != "" && res.StatusCode == http.StatusOK {
				return p
			}
		}
		if time.Now().After(end) {
			t.Fatalf("host %s does not answer: %s", name, tail(p.log))
		}
	}
}

// hostURL is the port of a host that leads to its container.
func hostURL(name string) string { return "http://10.77.0." + name + ":5000" }

// openSession opens a session on polling and returns its id.
func openSession(t *testing.T, name string) string {
	t.Helper()
	res, err := http.Get(hostURL(name) + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var s struct{ SID string }
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(bytes.TrimPrefix(text, []byte("0")), &s)
	}
	if err != nil || s.SID == "" {
		t.Fatalf("%v: %s", err, text)
	}
	return s.SID
}

// ask wants an answer to send that begins with want.
func ask(t *testing.T, name, sid, packet, want string) {
	t.Helper()
	if status, text := send(t, name, sid, packet); status != http.StatusOK || !strings.HasPrefix(text, want) {
		t.Fatalf("%q at host %s: %d %s, want %s", packet, name, status, text, want)
	}
}

// send sends a packet of a session, or polls with "", and returns the answer.
func send(t *testing.T, name, sid, packet string) (status int, text string) {
	t.Helper()
	method := http.MethodPost
	if packet == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(t.Context(), method, hostURL(name)+"/socket.io/?EIO=4&transport=polling&sid="+sid, strings.NewReader(packet))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 15 * time.Second}
	res, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(said)
}
