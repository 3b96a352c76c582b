package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// What servers still hold when everybody has left, and nobody can come back, is counted: the objects in memory, by the
// function of Beanpole that made them. What there is of each life that was is forgotten by nobody.

// weighs reports whether the run counts. That takes time, so few do.
func (w *world) weighs() bool { return w.rng("weight").IntN(weighed) == 0 }

// weighed is of how many runs one counts.
const weighed = 5

// heavy is how many objects of one function are as many as there were lives, or nearly.
func heavy(lives int) int { return max(20, lives*2/3) }

// weigh counts. The world itself forgets the sockets that it has seen.
func (w *world) weigh() {
	w.mu.Lock()
	lives, first := len(w.model.births), len(w.all) == len(w.slots)
	for _, l := range w.model.births {
		for _, k := range l.conns {
			k.sock, k.served = nil, nil
		}
	}
	w.mu.Unlock()
	if runtime.MemProfileRate != 1 || !first || slices.ContainsFunc(w.slots, func(n *node) bool { return n.library }) {
		return // what ended with its server is not what it forgot; the library keeps what it likes
	}
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond) // finalizers
	}
	made := map[string]int64{}
	for _, r := range profile() {
		if by := maker(r.Stack()); by != "" {
			made[by] += r.InUseObjects()
		}
	}
	w.count("weighed")
	for _, by := range slices.SortedFunc(maps.Keys(made), func(a, b string) int {
		if made[a] != made[b] {
			return int(made[b] - made[a])
		}
		return strings.Compare(a, b)
	}) {
		if made[by] >= 8 {
			w.note("HEAP", "%d of %s", made[by], by)
		}
		if int(made[by]) >= heavy(lives) {
			w.violated("leftovers", "HEAP", "%d objects that %s made are in memory when everybody has left, after %d lives", made[by], by, lives)
		}
	}
}

// profile is what is in memory.
func profile() []runtime.MemProfileRecord {
	for list := make([]runtime.MemProfileRecord, 1<<12); ; list = make([]runtime.MemProfileRecord, 2*len(list)) {
		if n, ok := runtime.MemProfile(list, false); ok {
			return list[:n]
		}
	}
}

// maker is the function of Beanpole that has made something, or has had it made, with its line; "" if none has.
func maker(stack []uintptr) string {
	for frames := runtime.CallersFrames(stack); ; {
		f, more := frames.Next()
		if name, ok := strings.CutPrefix(f.Function, "github.com/beanpole/beanpole/"); ok {
			if strings.HasPrefix(name, "test/") {
				return ""
			}
			return fmt.Sprintf("%s:%d", name, f.Line)
		}
		if !more {
			return ""
		}
	}
}
