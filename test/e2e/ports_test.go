package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inside is the variable that tells a test that it runs in a network of its own, with few ports.
const inside = "BEANPOLE_E2E_INSIDE"

// From nginx to one address of the application there are as many connections as ports. With few of them, as many
// WebSockets pass as the upstream has addresses for.
func TestMoreWebSocketsThanPorts(t *testing.T) {
	ofNginx(t)
	ofNoHost(t)
	const ports, clients = 100, 300
	if os.Getenv(inside) == "" {
		need(t, "nginx", "unshare", "ip")
		if said, err := exec.Command("unshare", "--map-root-user", "--net", "true").CombinedOutput(); err != nil {
			t.Skipf("no network of its own: %v: %s", err, said)
		}
		script := fmt.Sprintf(`ip link set lo up && echo "40000 %d" >/proc/sys/net/ipv4/ip_local_port_range && exec "$0" "$@"`, 40000+ports-1)
		cmd := exec.Command("unshare", "--map-root-user", "--net", "sh", "-c", script, os.Args[0], "-test.run=^TestMoreWebSocketsThanPorts$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"="+built.dir)
		said, err := cmd.CombinedOutput()
		if t.Logf("%s", said); err != nil {
			t.Fatal(err)
		}
		return
	}
	e := &environment{settings: settings{alone: true}, t: t, dir: t.TempDir(), https: 443}
	// Chosen by hand: the system has few to choose from.
	in := &instance{e: e, name: "a", dir: filepath.Join(e.dir, "a"), appPort: 5000, adminPort: 5001, port: 8080}
	e.instances = []*instance{in}
	in.render(t)
	in.startApp(t)
	in.startNginx(t)
	if got := in.websockets(t, clients); got != clients {
		t.Errorf("%d WebSockets of %d pass with %d ports: %s", got, clients, ports, tail(filepath.Join(in.dir, "log", "error.log")))
	}

	// With one address it would end at the ports: then the test shows nothing.
	in.nginx.stop(syscall.SIGTERM, 5*time.Second)
	conf := filepath.Join(in.dir, "conf.d", "beanpole.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	// An address of which no port was used just now.
	one := regexp.MustCompile(`(?m)^\s*server 127\.0\.0\.[2-9]:.*\n`).ReplaceAllString(string(text), "")
	one = strings.ReplaceAll(one, "127.0.0.1:", "127.0.0.9:")
	if err := os.WriteFile(conf, []byte(one), 0o644); err != nil {
		t.Fatal(err)
	}
	in.startNginx(t)
	got := in.websockets(t, clients)
	if got != ports {
		t.Errorf("%d WebSockets pass with one address and %d ports", got, ports)
	}
	t.Logf("%d ports: %d WebSockets of %d with the bundle's addresses, %d with one", ports, clients, clients, got)
}

// websockets opens n of them through nginx at once, and returns how many are answered 101.
func (in *instance) websockets(t *testing.T, n int) (opened int) {
	t.Helper()
	var open []net.Conn
	for i := range n {
		// Each address of a client has as few ports, too, and a port that is bound before it is connected is nobody else's.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/50))}, Timeout: 5 * time.Second,
			Control: func(_, _ string, c syscall.RawConn) (err error) {
				e := c.Control(func(fd uintptr) {
					err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
				})
				return errors.Join(e, err)
			}}
		c, err := d.Dial("tcp", "127.0.0.1:"+strconv.Itoa(in.port))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		_, _ = io.WriteString(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && res.StatusCode == http.StatusSwitchingProtocols {
			opened++
		}
	}
	for _, c := range open {
		_ = c.Close()
	}
	return opened
}
