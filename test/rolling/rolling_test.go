// Package rolling replaces the servers of a cluster one after the other by those of another version, on a real Redis
// and under traffic, as a deployment does: no event is lost, doubled or out of order between servers that live, and
// every question is answered by all.
package rolling

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/internal/wsclient"
)

var (
	from = flag.String("from", "", "the commit of the old version; empty for that of the new one")
	size = flag.Int("size", 3, "how many servers")
)

// run runs a program in a folder.
func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// build builds the server of both versions.
func build(t *testing.T) (older, newer string) {
	t.Helper()
	dir := t.TempDir()
	newer = filepath.Join(dir, "new")
	run(t, ".", "go", "build", "-o", newer, "./node")
	if *from == "" {
		return newer, newer
	}
	git := exec.CommandContext(t.Context(), "git", "archive", "--format=tar", *from)
	git.Dir = "../.."
	git.Stderr = os.Stderr
	archive, err := git.Output()
	if err != nil {
		t.Fatalf("git archive %s: %v (a clone without its history has no old commits)", *from, err)
	}
	old := filepath.Join(dir, "source")
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			continue
		}
		b, err := io.ReadAll(r)
		if err == nil {
			err = put(filepath.Join(old, h.Name), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile("node/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if err := put(filepath.Join(old, "test/rolling/node/main.go"), program); err != nil {
		t.Fatal(err)
	}
	older = filepath.Join(dir, "old")
	run(t, old, "go", "build", "-o", older, "./test/rolling/node")
	return older, newer
}

func put(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// track is what came of one kind of event of one server; see node/main.go.
type track struct {
	First, Next, Missing, Doubled, Late, LastMissing int
	LastMissingAt                                    string
}

// reply is what a node says.
type reply struct {
	URL, Error, Stats string
	Number            int
	Names             []string
	Sent              map[string]int
	Tracks            map[string]track
	Asked             int
	Failed            map[string]int
}

// node is a server that runs.
type node struct {
	name  string
	url   string
	t     *testing.T
	in    io.WriteCloser
	out   *bufio.Scanner
	mu    sync.Mutex
	cmd   *exec.Cmd
	since map[string]int // of each kind of event of each server: what had been sent before this one was ready
}

// fleet is the servers of a cluster.
type fleet struct {
	t     *testing.T
	redis *redistest.Server
	args  []string
	live  []*node
	count int
	ended map[string]map[string]int // what those have sent that are gone

	recovers bool
}

// start starts a server and waits until it is ready.
func (f *fleet) start(program, version string) *node {
	f.t.Helper()
	f.count++
	n := &node{name: fmt.Sprintf("%s%d", version, f.count), t: f.t, since: map[string]int{}}
	n.cmd = exec.Command(program, append([]string{"-name", n.name, "-id", strconv.Itoa(f.count)}, f.args...)...)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log := filepath.Join(f.t.TempDir(), "log")
	w, err := os.Create(log)
	if err != nil {
		f.t.Fatal(err)
	}
	n.cmd.Stderr = w
	n.in, _ = n.cmd.StdinPipe()
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
		_ = w.Close()
		if b, err := os.ReadFile(log); err == nil && (f.t.Failed() || testing.Verbose()) {
			f.t.Logf("log of %s:\n%s", n.name, b)
		}
	})
	n.out = bufio.NewScanner(out)
	n.out.Buffer(nil, 1<<20)
	n.url = n.read().URL
	for _, other := range f.live {
		for kind, seq := range other.do("sent").Sent {
			n.since[other.name+" "+kind] = seq
		}
	}
	f.live = append(f.live, n)
	return n
}

func (n *node) read() (r reply) {
	n.t.Helper()
	if !n.out.Scan() || json.Unmarshal(n.out.Bytes(), &r) != nil {
		n.t.Fatalf("%s says %q: %v", n.name, n.out.Bytes(), n.out.Err())
	}
	return r
}

// do has a node carry out an order.
func (n *node) do(op string) reply {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := fmt.Fprintln(n.in, op); err != nil {
		n.t.Fatalf("%s, %s: %v", n.name, op, err)
	}
	return n.read()
}

// stop ends a server in order, and wants everything it has sent with all others.
func (f *fleet) stop(n *node) {
	f.t.Helper()
	f.live = slices.DeleteFunc(f.live, func(x *node) bool { return x == n })
	r := n.do("report")
	f.t.Logf("%s asked %d questions while servers came and went: %v; %s", n.name, r.Asked, r.Failed, r.Stats)
	f.ended[n.name] = n.do("end").Sent
	if r := n.do("close"); r.Error != "" {
		f.t.Errorf("%s ends with %s", n.name, r.Error)
	}
	_ = n.in.Close()
	if err := n.cmd.Wait(); err != nil {
		f.t.Errorf("%s: %v", n.name, err)
	}
	adaptertest.Eventually(f.t, func() (err error) {
		for _, x := range f.live {
			err = errors.Join(err, f.complete(x, n.name))
		}
		return err
	})
}

// complete reports what x lacks of a server that is gone.
func (f *fleet) complete(x *node, gone string) (err error) {
	r := x.do("report")
	for kind, sent := range f.ended[gone] {
		t, ok := r.Tracks[gone+" "+kind]
		if since, known := x.since[gone+" "+kind]; !known || since == sent {
			continue
		}
		if !ok || t.Next != sent {
			err = errors.Join(err, fmt.Errorf("%s has of %s, %s: %+v, of %d", x.name, gone, kind, t, sent))
		}
	}
	return err
}

// check wants everything that came to be all there is.
func (f *fleet) check() {
	f.t.Helper()
	for _, x := range f.live {
		var r reply
		adaptertest.Eventually(f.t, func() (err error) {
			r = x.do("report")
			for key, t := range r.Tracks {
				if since, known := x.since[key]; t.Missing > 0 || known && t.First > since {
					err = errors.Join(err, fmt.Errorf("%s has of %s %+v, %d before it was ready; %s", x.name, key, t, since, r.Stats))
				}
			}
			return err
		})
		for key, t := range r.Tracks {
			// Events between servers are handled side by side.
			if t.Doubled > 0 || t.Late > 0 && !strings.HasSuffix(key, " server") {
				f.t.Errorf("%s has of %s %+v; %s", x.name, key, t, r.Stats)
			}
		}
		f.t.Logf("%s asked %d questions: %v", x.name, r.Asked, r.Failed)
	}
}

// settle waits until every server has had some more events of every other.
func (f *fleet) settle() {
	f.t.Helper()
	more := 100
	if *from == "" {
		more = 20
	}
	for _, x := range f.live {
		had := x.do("report").Tracks
		adaptertest.Eventually(f.t, func() (err error) {
			has := x.do("report").Tracks
			for _, y := range f.live {
				for _, kind := range []string{"all", "room", "server"} {
					key := y.name + " " + kind
					if (y != x || kind != "server") && has[key].Next < had[key].Next+more {
						err = errors.Join(err, fmt.Errorf("%s has of %s %+v, before %+v", x.name, key, has[key], had[key]))
					}
				}
			}
			return err
		})
	}
}

// forward opens a polling session with each server and uses it by way of every other.
func (f *fleet) forward() {
	f.t.Helper()
	request := func(method, url, body string) (string, error) {
		q, err := http.NewRequestWithContext(f.t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			return "", err
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err == nil && r.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", r.Status, b)
		}
		return string(b), err
	}
	for _, home := range f.live {
		for _, way := range f.live {
			adaptertest.Eventually(f.t, func() error { // an address is known a little after its server
				const query = "/socket.io/?EIO=4&transport=polling"
				open, err := request("GET", home.url+query, "")
				if err != nil {
					return err
				}
				var hello struct{ SID string }
				if err := json.Unmarshal([]byte(open[1:]), &hello); err != nil {
					return err
				}
				if _, err := request("POST", way.url+query+"&sid="+hello.SID, "40"); err != nil {
					return fmt.Errorf("session of %s by way of %s: %w", home.name, way.name, err)
				}
				for answer := ""; !strings.Contains(answer, `40{"sid"`); {
					if answer, err = request("GET", way.url+query+"&sid="+hello.SID, ""); err != nil {
						return fmt.Errorf("session of %s by way of %s: %w", home.name, way.name, err)
					}
				}
				_, err = request("POST", way.url+query+"&sid="+hello.SID, "1")
				return err
			})
		}
	}
}

// recover has a client go from each server to every other, whose connection state is recovered there.
func (f *fleet) recover() {
	f.t.Helper()
	for _, before := range f.live {
		for _, after := range f.live {
			next := map[string]int{}
			offset := ""
			read := func(c *wsclient.Client, events int) {
				for range events {
					text := c.Text()
					var e []any
					if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "42")), &e); err != nil || len(e) != 5 {
						if strings.Contains(text, `["who"`) {
							continue
						}
						f.t.Fatalf("event %q: %v", text, err)
					}
					key, seq := fmt.Sprint(e[1], " ", e[2]), int(e[3].(float64))
					if want, ok := next[key]; ok && seq != want {
						f.t.Errorf("client that went from %s to %s: event %d of %s, want %d", before.name, after.name, seq, key, want)
					}
					next[key], offset = seq+1, e[4].(string)
				}
			}
			c := wsclient.Dial(f.t, before.url, "4", nil)
			w := c.Connect("/", "")
			read(c, 50)
			c.HangUp()
			adaptertest.Eventually(f.t, func() error { // the server notices the end first
				c = wsclient.Dial(f.t, after.url, "4", nil)
				if got := c.Connect("/", fmt.Sprintf(`{"pid":%q,"offset":%q}`, w.PID, offset)); got.SID != w.SID {
					c.HangUp()
					return fmt.Errorf("client that went from %s to %s is not recovered", before.name, after.name)
				}
				return nil
			})
			read(c, 100)
			c.HangUp()
		}
	}
}

// ask asks every server, which all have one client, for all others.
func (f *fleet) ask() {
	f.t.Helper()
	f.settle()
	var all []string
	for _, n := range f.live {
		all = append(all, n.name)
	}
	slices.Sort(all)
	for _, n := range f.live {
		others := slices.DeleteFunc(slices.Clone(all), func(x string) bool { return x == n.name })
		adaptertest.Eventually(f.t, func() error {
			if r := n.do("servers"); r.Number != len(all) || r.Error != "" {
				return fmt.Errorf("%s counts %d servers of %d: %s", n.name, r.Number, len(all), r.Error)
			}
			return nil
		})
		if r := n.do("count"); r.Number != len(all) || r.Error != "" {
			f.t.Errorf("%s counts %d clients of %d: %s", n.name, r.Number, len(all), r.Error)
		}
		for op, want := range map[string][]string{"fetch": all, "ask servers": others, "ask clients": all} {
			r := n.do(op)
			if slices.Sort(r.Names); !slices.Equal(r.Names, want) || r.Error != "" {
				f.t.Errorf("%s, %s: %v, want %v: %s", n.name, op, r.Names, want, r.Error)
			}
		}
	}
	f.forward()
	if f.recovers {
		f.recover()
	}
}

// each runs a test in every mode; without an older version, in one.
func each(t *testing.T, test func(f *fleet, older, newer string)) {
	older, newer := build(t)
	s := redistest.Start(t)
	for name, mode := range map[string][]string{
		"pubsub":   {"-mode", "pubsub"},
		"dynamic":  {"-mode", "pubsub", "-subscriptions", "dynamic"},
		"sharded":  {"-mode", "sharded"},
		"static":   {"-mode", "sharded", "-subscriptions", "static"},
		"streams":  {"-mode", "streams"},
		"recovery": {"-mode", "streams", "-recovery"},
	} {
		if *from != "" || name == "pubsub" {
			t.Run(name, func(t *testing.T) {
				f := &fleet{t: t, redis: s, ended: map[string]map[string]int{}, recovers: name == "recovery"}
				f.args = append(mode, "-redis", s.URL(), "-prefix", t.Name(), "-heartbeat", "500ms")
				test(f, older, newer)
			})
		}
	}
}

// One server after the other is replaced, the new one being there before the old one goes, or after it; and one is
// taken back.
func TestServersAreReplaced(t *testing.T) {
	each(t, func(f *fleet, older, newer string) {
		for range *size {
			f.start(older, "old")
		}
		f.ask()
		for i := range *size {
			oldest := f.live[0]
			if i%2 == 0 {
				f.start(newer, "new")
				f.ask()
			}
			f.stop(oldest)
			if i%2 == 1 {
				f.start(newer, "new")
			}
			f.ask()
		}
		f.start(older, "old")
		f.ask()
		f.check()
		for len(f.live) > 1 {
			f.stop(f.live[0])
		}
		f.check()
	})
}

// Redis closes all connections, again and again, while servers of both versions are there: those of the new one miss
// nothing of each other, and all find together again.
func TestConnectionsBreakBetweenVersions(t *testing.T) {
	if *from == "" {
		t.Skip("one version only: adapter/redis has this test")
	}
	each(t, func(f *fleet, older, newer string) {
		for range 2 {
			f.start(older, "old")
			f.start(newer, "new")
		}
		f.ask()
		admin := f.redis.Client()
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
			for _, kind := range []string{"normal", "pubsub"} {
				if err := admin.Do(f.t.Context(), "client", "kill", "type", kind, "skipme", "yes").Err(); err != nil {
					f.t.Fatal(err)
				}
			}
			time.Sleep(200 * time.Millisecond) // events flow meanwhile
		}
		f.settle()
		for _, x := range f.live {
			adaptertest.Eventually(f.t, func() (err error) {
				for key, t := range x.do("report").Tracks {
					if strings.HasPrefix(x.name, "new") && strings.HasPrefix(key, "new") && t.Missing+t.Doubled > 0 {
						err = errors.Join(err, fmt.Errorf("%s has of %s %+v", x.name, key, t))
					}
				}
				return err
			})
		}
		f.ask()
	})
}
