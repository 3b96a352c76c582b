package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
)

// events is how many events a storm has: `make million` has a million.
func events() int {
	if n, err := strconv.Atoi(os.Getenv("BEANPOLE_EVENTS")); err == nil {
		return n
	}
	return 20_000
}

// million says that there is time: for more faults, and more modes.
func million() bool { return os.Getenv("BEANPOLE_EVENTS") != "" }

// emitters is how many send the events of a storm.
const emitters = 4

// tally is what has come of a storm, which is more than a member would keep.
type tally struct {
	mu            sync.Mutex
	next          [emitters]int
	open          [emitters]map[int]struct{} // missing
	arrived       int                        // once
	doubled, late int
}

func newTally() *tally {
	y := &tally{}
	for e := range emitters {
		y.open[e] = map[int]struct{}{}
	}
	return y
}

// take notes the event ["e",emitter,number,...].
func (y *tally) take(m adapter.Message) {
	parts := bytes.SplitN(m.Data, []byte(","), 4)
	if len(parts) < 4 || string(parts[0]) != `["e"` {
		return
	}
	e, _ := strconv.Atoi(string(parts[1]))
	i, _ := strconv.Atoi(string(parts[2]))
	y.mu.Lock()
	defer y.mu.Unlock()
	y.arrived++
	switch _, missing := y.open[e][i]; {
	case i >= y.next[e]:
		for k := y.next[e]; k < i; k++ {
			y.open[e][k] = struct{}{}
		}
		y.next[e] = i + 1
	case missing:
		delete(y.open[e], i)
		y.late++
	default:
		y.arrived--
		y.doubled++
	}
}

func (y *tally) count() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.arrived
}

// counted returns how many messages the servers say are lost, and of how many they do not know: these may
// have arrived.
func (f *flow) counted() (n, unconfirmed int) {
	for _, c := range f.clusters {
		for cause, lost := range c.Stats().Lost {
			if cause == "unconfirmed" {
				unconfirmed += int(lost)
			} else {
				n += int(lost)
			}
		}
	}
	return n, unconfirmed
}

// missing returns how many of the events that were sent have neither arrived nor, where some may be lost, been counted.
func (f *flow) missing(sent int, y *tally) int {
	n := sent - y.count()
	if f.lossy {
		lost, _ := f.counted()
		n -= lost
	}
	return n
}

// storm sends events() events from several emitters at once, as fast as the receiver takes them, while fault is
// called, which goes on until its context is done or ends before, and wants each event there once and in order.
// Where Redis itself may lose some, as f.lossy says, it wants those counted, to the number.
func storm(t *testing.T, f *flow, fault func(ctx context.Context)) {
	t.Helper()
	y := newTally()
	f.there.Watch(y.take)
	f.here.Watch(func(adapter.Message) {})
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	faults := make(chan struct{})
	go func() { defer close(faults); fault(ctx) }()
	began := time.Now()
	each := events() / emitters
	if million() && f.pace == 0 {
		f.pace = 60 * time.Millisecond // half a minute in all, so that there is time for faults
	}
	wait := eventually
	for e := range emitters {
		wg.Go(func() {
			for i := range each {
				// What is sent must not outrun what the nodes keep: that would be lost, and counted.
				if i%500 == 0 {
					pass(t, f.pace)
					wait(t, func() error {
						if behind := f.missing(i*emitters, y); behind > 20_000 {
							return fmt.Errorf("%d events behind; %+v; %+v", behind, f.clusters[0].Stats(), f.clusters[1].Stats())
						}
						return nil
					})
				}
				if err := f.nodes[0].Broadcast(adaptertest.Event(fmt.Sprintf(`["e",%d,%d,%q]`, e, i, f.pad)), adapter.Target{}); err != nil {
					t.Errorf("Broadcast: %v", err)
				}
			}
		})
	}
	wg.Wait()
	cancel()
	<-faults
	sent := each * emitters
	wait(t, func() error {
		if n := f.missing(sent, y); n > 0 {
			return fmt.Errorf("%d of %d events are missing; %+v %+v; %+v %+v", n, sent,
				f.clusters[0].Stats(), f.clusters[0].Status(), f.clusters[1].Stats(), f.clusters[1].Status())
		}
		return nil
	})
	y.mu.Lock()
	defer y.mu.Unlock()
	lost := sent - y.arrived
	counted, unconfirmed := f.counted()
	t.Logf("%d events in %v: %d lost, %d counted (%d unconfirmed), %d doubled, %d out of order", sent, time.Since(began).Round(time.Second),
		lost, counted, unconfirmed, y.doubled, y.late)
	if lost != counted || lost > 0 && !f.lossy || y.doubled > 0 || y.late > 0 {
		t.Errorf("of %d events %d are lost, %d counted, %d doubled, %d out of order; %+v; %+v", sent, lost, counted, y.doubled, y.late,
			f.clusters[0].Stats(), f.clusters[1].Stats())
	}
}

// eventually is adaptertest.Eventually with the patience for a Redis that stands still for half a minute, and for a storm
// on a busy machine.
func eventually(t *testing.T, fn func() error) {
	t.Helper()
	for end := time.Now().Add(4 * time.Minute); ; {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Error(err) // not Fatal: other goroutines call it
			return
		}
		time.Sleep(2 * time.Millisecond) // polls another process: no event to await
	}
}
