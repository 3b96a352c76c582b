package host

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"

	"github.com/beanpole/beanpole/server"
)

func TestMemoryIsJudged(t *testing.T) {
	for _, tt := range []struct {
		name  string
		short bool // before
		limit int64
		usage usage
		want  bool
	}{
		{"nothing known", false, 0, usage{needed: 1 << 40}, false},
		{"far below", false, 1000, usage{needed: 500}, false},
		{"at the edge", false, 1000, usage{needed: 900}, false},
		{"above", false, 1000, usage{needed: 901}, true},
		{"between, while refusing", true, 1000, usage{needed: 870}, true},
		{"below again", true, 1000, usage{needed: 850}, false},
		{"the machine has enough", false, 1000, usage{needed: 1, available: 50, total: 1000}, false},
		{"the machine has none", false, 1000, usage{needed: 1, available: 49, total: 1000}, true},
		{"the machine, while refusing", true, 0, usage{needed: 1, available: 69, total: 1000}, true},
		{"the machine has enough again", true, 0, usage{needed: 1, available: 70, total: 1000}, false},
	} {
		var m memory
		m.limit.Store(tt.limit)
		m.short.Store(tt.short)
		if got := m.judge(tt.usage); got != tt.want {
			t.Errorf("%s: short is %v", tt.name, got)
		}
	}
}

// What fills the memory has sessions refused, and is served on; when it is given back, they are taken again.
func TestSessionsAreRefusedForWantOfMemory(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", MemoryPercent: 90})
	var held []byte
	h.IO().OnConnection(func(s *server.Socket) {
		s.On("hold", func() bool {
			held = make([]byte, 64<<20)
			runtime.GC()
			return true
		})
	})
	done := running(t, h)
	open := connect(t, h)
	if got := h.memory.limit.Load(); got <= 0 {
		t.Errorf("the limit is %d", got)
	}
	runtime.GC()
	h.memory.limit.Store(measure().needed + 40<<20)

	say(t, h, open, `420["hold"]`)
	if got := get(t, h, open); got != "430[true]" {
		t.Errorf("a session that is there is answered %q", got)
	}
	const handshake = "socket.io/?EIO=4&transport=polling"
	eventually(t, "that sessions are refused", func() bool { return status(t, h, handshake) == 503 })
	w := ask(h, "GET", "/"+handshake)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a handshake is answered %d %v", w.Code, w.Header())
	}
	if got := h.Application().Engine().Stats().Refused["short of memory"]; got == 0 {
		t.Error("it is not counted")
	}
	if code, text := askAdmin(t, h, "GET", "metrics"); code != 200 || !strings.Contains(text, "beanpole_memory_short 1") ||
		!strings.Contains(text, `beanpole_refused_total{cause="short of memory"}`) {
		t.Errorf("metrics: %d", code)
	}
	if got := status(t, h, "healthz"); got != 200 {
		t.Errorf("/healthz is %d: who is there would be sent elsewhere", got)
	}
	held = nil
	runtime.GC()
	eventually(t, "that sessions are taken again", func() bool { return status(t, h, handshake) == 200 })
	_ = held
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

// The limit of the process is set while it serves, and a limit of the operator's own stays.
func TestMemoryLimitOfTheProcess(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	h, _ := newTestHost(t, Config{MemoryPercent: 50})
	t.Setenv("GOGC", "") // the limit is for us to choose, and so is this
	gc := gcPercent()
	stop := h.watchMemory(t.Context())
	if got := gcPercent(); got != lazyGC {
		t.Errorf("garbage may be %d %%", got)
	}
	half := debug.SetMemoryLimit(-1)
	if total := measure().total; total > 0 && half > total/2+total/100 {
		t.Errorf("the limit is %d of %d", half, total)
	}
	stop()
	if got := debug.SetMemoryLimit(-1); got != was {
		t.Errorf("it is %d afterwards", got)
	}
	if got := gcPercent(); got != gc {
		t.Errorf("garbage may be %d %% afterwards, not %d", got, gc)
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	t.Setenv("GOGC", "100")
	debug.SetMemoryLimit(1 << 30)
	defer debug.SetMemoryLimit(was)
	stop = h.watchMemory(context.Background())
	defer stop()
	if got := gcPercent(); got != gc {
		t.Errorf("garbage may be %d %%, not what GOGC says", got)
	}
	if got := h.memory.limit.Load(); got != 1<<30 {
		t.Errorf("the limit is %d, not that of GOMEMLIMIT", got)
	}
}

// gcPercent is what debug.SetGCPercent has been told.
func gcPercent() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
