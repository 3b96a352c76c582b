package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/beanpole/beanpole/internal/wsclient"
)

var compare = flag.Bool("compare", false, "measure what asserts nothing: the variant direct against the way through nginx, a deployment without the drain hook")

// What an instance does for a message: an echo with an acknowledgement, on WebSockets that keep a few on their way. The two
// take turns, and the medians are of what nobody else on the machine disturbed equally.
const (
	compareSockets = 64
	comparePending = 4
	compareRounds  = 5
	compareTime    = 3 * time.Second
)

// TestCompareDirect prints messages a second and the processor's time for each: of nginx and the application, or of the
// application alone. `make direct` runs it.
func TestCompareDirect(t *testing.T) {
	if !*compare {
		t.Skip("measures for half a minute: make direct")
	}
	quiet := []string{"BEANPOLE_PING_INTERVAL=5m", "BEANPOLE_PING_TIMEOUT=20s", "BEANPOLE_IDLE_TIMEOUT=10m"}
	ways := []struct {
		name string
		e    *environment
	}{{"through nginx", start(t, settings{alone: true, idle: "60s", env: quiet})}, {"direct", start(t, settings{alone: true, direct: true, idle: "60s", env: quiet})}}
	for _, at := range []string{"an instance", "two behind the load balancer"} {
		rates, costs := make([][]float64, len(ways)), make([][]float64, len(ways))
		for range compareRounds {
			for i, w := range ways {
				url, instances := w.e.url(), w.e.instances[:]
				if at == "an instance" {
					url, instances = fmt.Sprintf("http://127.0.0.1:%d", instances[0].port), instances[:1]
				}
				before := spent(t, instances)
				n := echoes(t, url)
				rates[i] = append(rates[i], float64(n)/compareTime.Seconds())
				costs[i] = append(costs[i], (spent(t, instances)-before).Seconds()*1e6/float64(n))
			}
		}
		for i, w := range ways {
			t.Logf("%-28s %-14s %7.0f messages/s, %5.1f us of the instances' processors each", at, w.name, median(rates[i]), median(costs[i]))
		}
		t.Logf("%-28s direct is %.2f of the messages/s, %.2f of the time, on %d processors with the load balancer and the clients",
			at, median(rates[1])/median(rates[0]), median(costs[1])/median(costs[0]), runtime.NumCPU())
	}
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// echoes has messages echoed for compareTime and returns how many.
func echoes(t *testing.T, url string) int64 {
	t.Helper()
	const answer = `431["hello"]`
	frame := ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame([]byte(`421["echo","hello"]`))))
	all, size := bytes.Repeat(frame, comparePending), (2+len(answer))*comparePending
	var list []*wsclient.Client
	for range compareSockets {
		c := wsclient.Dial(t, url, "4", nil)
		c.Connect("/", "")
		c.Send(`421["echo","hello"]`)
		c.Expect(answer)
		list = append(list, c)
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(compareTime)
	for _, c := range list {
		wg.Go(func() {
			defer c.HangUp()
			_ = c.Conn.SetDeadline(end.Add(10 * time.Second))
			in := make([]byte, size)
			for time.Now().Before(end) {
				if _, err := c.Conn.Write(all); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(c.Conn, in); err != nil {
					t.Error(err)
					return
				}
				n.Add(comparePending)
			}
		})
	}
	wg.Wait()
	return n.Load()
}

// spent is the processor's time of the instances: of the application, and of nginx if there is one.
func spent(t *testing.T, instances []*instance) (sum time.Duration) {
	t.Helper()
	for _, in := range instances {
		sum += ticks(t, in.app.cmd.Process.Pid)
		if in.nginx != nil {
			master := in.nginx.cmd.Process.Pid
			workers, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
			if err != nil {
				t.Fatal(err)
			}
			for _, pid := range strings.Fields(string(workers)) {
				n, _ := strconv.Atoi(pid) // a number of the kernel's
				sum += ticks(t, n)
			}
		}
	}
	return sum
}

// ticks is what a process has used, of itself and of the kernel. proc(5), stat: fields 14 and 15, in hundredths.
func ticks(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
