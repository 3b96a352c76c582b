package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// event is a line of clients.mjs.
type event struct {
	T         int64 // milliseconds since 1970
	C         int   // client
	E         string
	N         int
	Recovered bool
	Via       string
	Reason    string
	Instance  string
	Code      any
}

// clients are many socket.io-clients in one process.
type clients struct {
	number int
	stdin  io.Closer
	done   chan struct{}

	mu     sync.Mutex
	change *sync.Cond
	// Guarded by mu.
	events []event
	ended  bool
}

// connect starts number clients of the environment, in the room of all.
func connect(t *testing.T, url string, number int, transports string) *clients {
	t.Helper()
	return connectTo(t, url, number, transports, "all")
}

// connectTo does so in a room.
func connectTo(t *testing.T, url string, number int, transports, room string) *clients {
	t.Helper()
	cmd := exec.Command("node", "clients.mjs", url, fmt.Sprint(number), transports, room)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &clients{number: number, stdin: in, done: make(chan struct{})}
	c.change = sync.NewCond(&c.mu)
	go func() {
		defer close(c.done)
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			var e event
			if json.Unmarshal(scan.Bytes(), &e) == nil {
				c.mu.Lock()
				c.events = append(c.events, e)
				c.change.Broadcast()
				c.mu.Unlock()
			}
		}
		_ = cmd.Wait()
		c.mu.Lock()
		c.ended = true
		c.change.Broadcast()
		c.mu.Unlock()
	}()
	t.Cleanup(c.close)
	return c
}

func (c *clients) close() {
	_ = c.stdin.Close()
	<-c.done
}

// await waits until enough of the events satisfy.
func (c *clients) await(t *testing.T, what string, limit time.Duration, enough func([]event) bool) {
	t.Helper()
	late := time.AfterFunc(limit, func() { // wakes the wait
		c.mu.Lock()
		defer c.mu.Unlock()
		c.change.Broadcast()
	})
	defer late.Stop()
	end := time.Now().Add(limit)
	c.mu.Lock()
	defer c.mu.Unlock()
	for !enough(c.events) {
		if c.ended || !time.Now().Before(end) {
			t.Fatalf("%s did not come about; %s", what, summary(c.events))
		}
		c.change.Wait()
	}
}

// joined waits until all clients are in the room.
func (c *clients) joined(t *testing.T) {
	t.Helper()
	c.await(t, "that all clients join", 30*time.Second, func(list []event) bool { return len(by(list, "joined")) == c.number })
}

// heard waits until every client has heard the numbers up to n.
func (c *clients) heard(t *testing.T, n int, limit time.Duration) {
	t.Helper()
	c.await(t, fmt.Sprintf("that all hear %d", n), limit, func(list []event) bool {
		last := make(map[int]bool)
		for _, e := range list {
			if e.E == "said" && e.N == n {
				last[e.C] = true
			}
		}
		return len(last) == c.number
	})
}

func (c *clients) seen() []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]event(nil), c.events...)
}

// by returns the clients with an event of the kind.
func by(list []event, kind string) map[int]event {
	out := make(map[int]event)
	for _, e := range list {
		if e.E == kind {
			out[e.C] = e
		}
	}
	return out
}

// exactlyOnce reports what clients heard of the numbers 1 to n: how many are missing, doubled and out of order.
func exactlyOnce(list []event, number, n int) (missing, doubled, disordered int) {
	heard := make([]map[int]int, number)
	last := make([]int, number)
	for i := range heard {
		heard[i] = make(map[int]int)
	}
	for _, e := range list {
		if e.E != "said" {
			continue
		}
		heard[e.C][e.N]++
		if e.N < last[e.C] {
			disordered++
		}
		last[e.C] = e.N
	}
	for _, h := range heard {
		for i := 1; i <= n; i++ {
			switch {
			case h[i] == 0:
				missing++
			case h[i] > 1:
				doubled++
			}
		}
	}
	return missing, doubled, disordered
}

// outages returns how long each client was away, in order of length, and how many came back without their state.
func outages(list []event) (gaps []time.Duration, unrecovered int, reasons map[string]int) {
	away := make(map[int]int64)
	reasons = make(map[string]int)
	for _, e := range list {
		switch e.E {
		case "disconnect":
			away[e.C] = e.T
			reasons[e.Reason]++
		case "connect":
			if at, ok := away[e.C]; ok {
				gaps = append(gaps, time.Duration(e.T-at)*time.Millisecond)
				delete(away, e.C)
				if !e.Recovered {
					unrecovered++
				}
			}
		}
	}
	sort.Slice(gaps, func(i, j int) bool { return gaps[i] < gaps[j] })
	return gaps, unrecovered, reasons
}

// summary says in a line what the clients saw.
func summary(list []event) string {
	kinds := make(map[string]int)
	for _, e := range list {
		key := e.E
		if e.E == "error" || e.E == "disconnect" {
			key += fmt.Sprintf(" (%s %v)", e.Reason, e.Code)
		}
		kinds[key]++
	}
	var out []string
	for k, n := range kinds {
		out = append(out, fmt.Sprintf("%d× %s", n, k))
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}
