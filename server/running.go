package server

import (
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
)

// What keeps a server from ending is read off the stacks of its goroutines, once and when it is too late anyway: nothing is
// counted, or kept in mind, with each event for that.

// maxRunning is how many functions are named of those that hold up a stop, and maxStacks how many bytes of stacks are looked at.
const (
	maxRunning = 10
	maxStacks  = 4 << 20
)

// ours are the packages between a goroutine's begin and a function of the application.
var ours = []string{"github.com/beanpole/beanpole/server.", "github.com/beanpole/beanpole/server/", "github.com/beanpole/beanpole/transport.",
	"github.com/beanpole/beanpole/adapter.", "github.com/beanpole/beanpole/adapter/", "github.com/beanpole/beanpole/internal/",
	"github.com/zishang520/", "reflect.", "runtime.", "sync.", "net/http."}

// running names the application's functions that this process is in, called by a Server, most of them first: each with the place
// that it has come to, what it waits for, and how often.
func running() []string {
	stacks := make([]byte, maxStacks)
	count := make(map[string]int)
	for text := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if name := application(text); name != "" {
			count[name]++
		}
	}
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		if n := count[name]; n > 1 {
			names[i] = fmt.Sprintf("%s, %d times", name, n)
		}
	}
	if more := len(names) - maxRunning; more > 0 {
		names = append(names[:maxRunning], fmt.Sprintf("and %d more", more))
	}
	return names
}

// application is the outermost function of the application in a goroutine that a Server has called it in, or "". The stack is
// as runtime.Stack writes it: a line for the goroutine, and two for each function, the innermost first.
func application(stack string) string {
	lines := strings.Split(stack, "\n")
	called := false
	for i := len(lines) - 2; i > 0; i -= 2 {
		name := lines[i][:max(strings.LastIndexByte(lines[i], '('), 0)] // its arguments have none
		switch {
		case name == "", strings.HasPrefix(name, "created by "):
		case strings.HasPrefix(name, ours[0]):
			called = true
		case called && !slices.ContainsFunc(ours, func(p string) bool { return strings.HasPrefix(name, p) }):
			place, _, _ := strings.Cut(path.Base(strings.TrimSpace(lines[i+1])), " +")
			_, doing, _ := strings.Cut(lines[0], "[")
			doing, _, _ = strings.Cut(doing, ",")
			return fmt.Sprintf("%s (%s, %s)", path.Base(name), place, strings.TrimSuffix(doing, "]:"))
		}
	}
	return ""
}
