package logs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/internal/logs"
)

// reader is a writer whose reader stands still while held, and has gone when err is not nil.
type reader struct {
	held sync.Mutex

	mu  sync.Mutex
	got bytes.Buffer // guarded by mu
	err error        // guarded by mu
}

func (r *reader) Write(b []byte) (int, error) {
	r.held.Lock()
	defer r.held.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	return r.got.Write(b)
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func sayLost(w io.Writer, m logs.Missed) error {
	_, err := fmt.Fprintf(w, "%d left out, %d failed: %v\n", m.LeftOut, m.Failed, m.Err)
	return err
}

func TestNobodyWaitsForTheReaderOfALog(t *testing.T) {
	gate := make(chan struct{})
	var r reader
	w := logs.NewWriter(gated{gate, &r}, sayLost)
	line := []byte(strings.Repeat("x", 999) + "\n")
	const fit = logs.MaxBytes / 1000
	for range fit + 7 {
		_, _ = w.Write(line)
	}
	if w.Flush(time.Millisecond) {
		t.Error("flushed although nobody reads")
	}
	if s := w.Stats(); s.LeftOut != 7 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
	close(gate)
	if !w.Flush(time.Minute) {
		t.Error("not flushed although all is read")
	}
	if got := r.got.String(); strings.Count(got, "x\n") != fit || !strings.HasSuffix(got, "x\n7 left out, 0 failed: <nil>\n") {
		t.Errorf("%d lines, the last %q", strings.Count(got, "x\n"), got[len(got)-60:])
	}
	_, _ = w.Write([]byte("next\n"))
	w.Flush(time.Minute)
	if !strings.HasSuffix(r.got.String(), "7 left out, 0 failed: <nil>\nnext\n") {
		t.Error("nothing more is written")
	}
}

// gated takes nothing until the gate is closed.
type gated struct {
	gate <-chan struct{}
	io.Writer
}

func (g gated) Write(b []byte) (int, error) {
	<-g.gate
	return g.Writer.Write(b)
}

func TestReaderThatHasGoneIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reader
		w := logs.NewWriter(&r, sayLost)
		r.fail(errors.New("broken pipe"))
		for range 3 {
			if _, err := w.Write([]byte("lost\n")); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if s := w.Stats(); s.Failed != 3 || s.LeftOut != 0 {
			t.Errorf("%+v", s)
		}
		r.fail(nil)
		_, _ = w.Write([]byte("again\n"))
		synctest.Wait()
		if got := r.got.String(); got != "again\n0 left out, 3 failed: broken pipe\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestFlushOfWhatIsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		log, got := newLog(func(string) { <-hold })
		logs.Flush(log, time.Hour) // nothing waits
		log.Info("last")
		start := time.Now()
		logs.Flush(log, time.Second)
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v", d)
		}
		time.AfterFunc(time.Second, func() { close(hold) })
		logs.Flush(log, time.Minute)
		if d := time.Since(start); d != 2*time.Second || !strings.Contains(got.String(), "last") {
			t.Errorf("%v: %s", d, got)
		}
	})
}
