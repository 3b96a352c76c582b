package logs_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/internal/logs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hooked is a text handler that calls a function first.
type hooked struct {
	slog.Handler
	call func(message string)
}

func (h hooked) Handle(ctx context.Context, r slog.Record) error {
	h.call(r.Message)
	return h.Handler.Handle(ctx, r)
}

func newLog(call func(string)) (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return logs.Apart(slog.New(hooked{slog.NewTextHandler(&b, nil), call})), &b
}

func TestLinesAreWrittenInTheirOrderUnderNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		log, got := newLog(func(string) { mu.Lock(); mu.Unlock() }) //nolint:staticcheck // what a handler may wait for
		mu.Lock()
		for i := range 100 {
			log.Info(fmt.Sprint("line ", i), "n", i)
		}
		log.Debug("not enabled")
		mu.Unlock()
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(got.String()), "\n")
		if len(lines) != 100 || !strings.HasSuffix(lines[99], `msg="line 99" n=99`) {
			t.Fatalf("%d lines, the last %q", len(lines), lines[len(lines)-1])
		}
		if logs.Apart(log) != log {
			t.Error("twice apart")
		}
		log.Info("again")
		synctest.Wait()
		if !strings.Contains(got.String(), "again") {
			t.Error("nothing more is written")
		}
	})
}

func TestWhatWaitsIsBoundedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		log, got := newLog(func(string) { <-hold })
		log.Info("first")
		synctest.Wait() // it is being written
		for range logs.MaxLines + 7 {
			log.Info("more")
		}
		close(hold)
		synctest.Wait()
		if n := strings.Count(got.String(), "msg=more"); n != logs.MaxLines || !strings.Contains(got.String(), "lines=7") {
			t.Errorf("%d lines: %.300s", n, got)
		}
	})
}

func TestAHandlerThatFailsLosesItsLineOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, got := newLog(func(m string) {
			switch m {
			case "panics":
				panic("no")
			case "ends":
				runtime.Goexit()
			}
		})
		log.With("a", 1).WithGroup("g").Info("before", "b", 2)
		log.Info("panics")
		log.Info("ends")
		log.Info("after")
		synctest.Wait()
		if !strings.Contains(got.String(), "msg=before a=1 g.b=2") || !strings.Contains(got.String(), "msg=after") {
			t.Errorf("%s", got)
		}
	})
}
