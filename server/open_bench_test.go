package server_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
)

// BenchmarkOpenQuestion says what a question to many holds while a client is silent: bytes of heap and stacks, and goroutines.
// Over Redis it is asked by one of two servers, and the client is of the other; both are counted.
func BenchmarkOpenQuestion(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		io, url := start(b, quiet, func(*server.Server) {})
		p, _ := join(b, url, "/")
		holdOpen(b, io, p)
	})
	b.Run("redis", func(b *testing.B) {
		start := nodes(b, redis.Config{})
		io, _, _ := start(func(*server.Server) {})
		_, url, ready := start(func(*server.Server) {})
		p, _ := join(b, url, "/")
		ready()
		holdOpen(b, io, p)
	})
}

// holdOpen opens questions, and counts when the client has them all.
func holdOpen(b *testing.B, io *server.Server, silent *peer) {
	const questions = 4000
	for b.Loop() {
		told := make(chan bool, questions)
		before, running := held(), runtime.NumGoroutine()
		for range questions {
			if err := io.Timeout(10*time.Second).EmitThen(func([]server.Args, error) { told <- true }, "?"); err != nil {
				b.Fatal(err)
			}
		}
		for range questions {
			silent.Text()
		}
		b.ReportMetric(float64(held()-before)/questions, "B/question")
		b.ReportMetric(float64(runtime.NumGoroutine()-running)/questions, "goroutines/question")
		for range questions {
			<-told
		}
	}
}

// held returns the bytes of the heap and of stacks in use.
func held() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
