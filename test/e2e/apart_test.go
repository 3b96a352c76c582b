package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// onHosts runs the tests on Docker hosts: the networks of hosts_test.go, with the load balancer, Redis and the clients in the
// subnet, nginx of each instance on its host, and its application in the container, which has the same address on each.
var onHosts = flag.Bool("hosts", false, "each instance is a host of its own, whose container has the address that all containers have")

// apart is the variable that tells the tests that they are in that subnet, and names its folder.
const apart = "E2E_APART"

// ofNoHost skips a test that is of one machine, or makes its own networks.
func ofNoHost(t *testing.T) {
	t.Helper()
	if *onHosts {
		t.Skip("no test of instances")
	}
}

// runApart runs the tests that were asked for in a subnet of their own, with a host for each of three instances.
func runApart() (code int, err error) {
	dir, err := os.MkdirTemp("", "beanpole-hosts-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// What comes from the subnet for Redis, and for the metadata, is for this machine's loopback; and the other way, what is for an instance
	// on loopback goes to its host.
	script := `echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; iptables -t nat -A POSTROUTING -s 127.0.0.1 -d 10.77.0.0/24 -j MASQUERADE; ` + twoHosts
	args := append([]string{"--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh", dir, os.Args[0]}, os.Args[1:]...)
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), inside+"="+built.dir, apart+"="+dir, "HOSTS=2 3 4", "LIFE=3600")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return 1, err
	}
	return 0, nil
}

// host is the number of the instance's host in the subnet.
func (in *instance) host() string { return fmt.Sprint(2 + int(in.name[0]-'a')) }

// lies returns what runs a program on the instance's host, or in its container.
func (in *instance) lies(at, program string, args ...string) []string {
	if !*onHosts {
		return append([]string{program}, args...)
	}
	pid, err := os.ReadFile(os.Getenv(apart) + "/" + at + in.host())
	if err != nil {
		in.e.t.Fatal(err)
	}
	return append([]string{"nsenter", "--net=/proc/" + strings.TrimSpace(string(pid)) + "/ns/net", program}, args...)
}

// connected makes the ways to an instance that is on a host of its own. The port of the application leads from the subnet to
// the container, as the hook of the bundle makes it; that of the admin listener, from where the tests are alone.
func (in *instance) connected(t *testing.T) {
	t.Helper()
	run := func(command []string) {
		t.Helper()
		if said, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, said)
		}
	}
	port := fmt.Sprint(in.port)
	all := strings.Join([]string{port, fmt.Sprint(in.appPort), fmt.Sprint(in.adminPort)}, ",")
	run([]string{"iptables", "-t", "nat", "-A", "OUTPUT", "-d", "127.0.0.1", "-p", "tcp", "-m", "multiport", "--dports", all, "-j", "DNAT", "--to-destination", "10.77.0." + in.host()})
	run(in.lies("host", "sh", "-e", "-c", fmt.Sprintf(`iptables -t nat -A PREROUTING -s 10.77.0.0/24 -p tcp --dport %[1]d -j DNAT --to-destination 172.17.0.2
		iptables -t nat -A PREROUTING -s 10.77.0.1 -p tcp --dport %[2]d -j DNAT --to-destination 172.17.0.2
		iptables -I FORWARD -s 10.77.0.0/24 -d 172.17.0.2 -p tcp -m multiport --dports %[1]d,%[2]d -j ACCEPT`, in.appPort, in.adminPort)))
	run(in.lies("container", "sh", "-e", "-c", fmt.Sprintf(`echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
		iptables -t nat -A PREROUTING -p tcp --dport %[1]d -j DNAT --to-destination 127.0.0.1
		iptables -t nat -A INPUT -p tcp --dport %[1]d -j SNAT --to-source 127.0.0.1`, in.adminPort)))
}

// reached is the URL of something on loopback as the containers reach it.
func reached(t *testing.T, on string) string {
	t.Helper()
	u, err := url.Parse(on)
	if err != nil || !*onHosts || u.Hostname() != "127.0.0.1" {
		return on
	}
	if said, err := exec.Command("iptables", "-t", "nat", "-A", "PREROUTING", "-i", "subnet", "-p", "tcp", "--dport", u.Port(), "-j", "DNAT", "--to-destination", "127.0.0.1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	u.Host = "10.77.0.1:" + u.Port()
	return u.String()
}

// inContainer changes nginx's files for an application that is in a container.
func (in *instance) inContainer(t *testing.T) {
	t.Helper()
	for file, change := range map[string]*strings.Replacer{
		"nginx.conf":           strings.NewReplacer("127.0.0.1:", "0.0.0.0:"),
		"conf.d/beanpole.conf": strings.NewReplacer("127.0.0.1:", "172.17.0.2:", "127.0.0.2:", "172.17.0.2:", "127.0.0.3:", "172.17.0.2:", "127.0.0.4:", "172.17.0.2:"),
	} {
		file = filepath.Join(in.dir, file)
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the platform's own files
		}
		if err == nil {
			err = os.WriteFile(file, []byte(change.Replace(string(text))), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
