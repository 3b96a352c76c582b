// Package control is what every Go server of the benchmark has beside its protocol: it tells its port,
// and takes orders on its standard input, one a line, answering each with one line.
//
//	gc              collects garbage, gives memory back to the system, and answers what is in use, as JSON
//	cpu FILE        starts a CPU profile
//	cpu             ends it
//	heap FILE       writes a heap profile
//	allocs FILE     writes what has been allocated
//
// The server ends when its standard input does, and so cannot outlive the benchmark.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
)

// Stats is the answer to gc.
type Stats struct {
	Heap       uint64 `json:"heap"`       // bytes allocated and in use
	Goroutines int    `json:"goroutines"` // zero in Node
	Sessions   int    `json:"sessions"`   // open now
}

// Serve says the port of listeners' first, serves handler on them and takes orders. sessions returns how many
// are open. Serve ends the process.
func Serve(handler http.Handler, sessions func() int, listeners ...net.Listener) {
	for _, l := range listeners {
		go func() { fail(http.Serve(l, handler)) }()
	}
	Obey(strconv.Itoa(listeners[0].Addr().(*net.TCPAddr).Port), sessions)
}

// Obey is Serve for who serves by itself, on that port.
func Obey(port string, sessions func() int) {
	fmt.Printf("port %s\n", port)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		answer, err := obey(strings.Fields(in.Text()), sessions)
		if err != nil {
			fail(err)
		}
		fmt.Println(answer)
	}
}

// Listen opens a port of its own. SNDBUF, if set, bounds the kernel's send buffer of every connection, in bytes, so
// that a client that stops reading is noticed after less than the megabytes that Linux would buffer.
func Listen() net.Listener {
	var cfg net.ListenConfig
	if size, err := strconv.Atoi(os.Getenv("SNDBUF")); err == nil {
		cfg.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, size)
			})
		}
	}
	ln, err := cfg.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	return ln
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func obey(order []string, sessions func() int) (answer string, err error) {
	switch strings.Join(order[:1], "") {
	case "gc":
		debug.FreeOSMemory()
		debug.FreeOSMemory() // twice, since pools keep what they hold over one collection
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b, err := json.Marshal(Stats{Heap: m.HeapAlloc, Goroutines: runtime.NumGoroutine(), Sessions: sessions()})
		return string(b), err
	case "cpu":
		if len(order) == 1 {
			pprof.StopCPUProfile()
			return "ok", nil
		}
		f, err := os.Create(order[1])
		if err != nil {
			return "", err
		}
		return "ok", pprof.StartCPUProfile(f)
	case "heap", "allocs", "mutex", "goroutine":
		f, err := os.Create(order[1])
		if err != nil {
			return "", err
		}
		defer f.Close()
		return "ok", pprof.Lookup(order[0]).WriteTo(f, 0)
	}
	return "", fmt.Errorf("order %q not known", order)
}
