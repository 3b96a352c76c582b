package server_test

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// Events of another server are handled one at a time, in their order, though a handler ends its goroutine. Those that
// want an answer begin in that order, and none waits for their end.
func TestServerSideEventsAreHandledInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := servertest.Cluster(t, 2, server.Config{})
		a, b := list[0], list[1]
		var mu sync.Mutex
		var got []int
		running := 0
		b.OnServerSide("n", func(n int) {
			mu.Lock()
			running++
			if running > 1 {
				t.Error("two at once")
			}
			mu.Unlock()
			runtime.Gosched()
			mu.Lock()
			running--
			got = append(got, n)
			mu.Unlock()
			if n%10 == 0 {
				runtime.Goexit()
			}
		})
		answer := make(chan struct{})
		b.OnServerSide("ask", func() []int {
			mu.Lock()
			had := slices.Clone(got)
			mu.Unlock()
			<-answer
			return had
		})
		const events = 100
		for i := range events {
			if err := a.ServerSideEmit("n", i); err != nil {
				t.Fatal(err)
			}
		}
		ask, err := a.AskServers("ask")
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan []server.Args, 1)
		go func() {
			list, err := ask(t.Context())
			if err != nil {
				t.Error(err)
			}
			asked <- list
		}()
		synctest.Wait()
		if err := a.ServerSideEmit("n", events); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // of the bubble: a question that waits holds up what is behind it for one
		synctest.Wait()
		mu.Lock()
		if len(got) != events+1 || !slices.IsSorted(got) {
			t.Errorf("handled %v", got)
		}
		mu.Unlock()
		close(answer)
		var had []int
		if list := <-asked; len(list) != 1 || list[0].Decode(0, &had) != nil || len(had) != events {
			t.Errorf("answers %v: the question was handled behind %d events, want %d", list, len(had), events)
		}
	})
}

// An event of another server that no handler waits for is counted.
func TestServerSideEventWithoutAHandlerIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := servertest.Cluster(t, 2, server.Config{})
		if err := list[0].ServerSideEmit("misspelt"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := list[1].Stats().Unhandled; n != 1 {
			t.Errorf("%d events without a handler", n)
		}
	})
}

// An event of another server that comes while a namespace is being made waits for the handlers that it will have.
func TestServerSideEventWaitsForTheNamespaceToBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := servertest.Cluster(t, 2, server.Config{})
		a, b := list[0].Of("/n"), list[1]
		made, got := make(chan struct{}), []int{}
		b.OnNamespace(func(n *server.Namespace) {
			<-made
			n.OnServerSide("n", func(i int) { got = append(got, i) })
			n.OnServerSide("ask", func() int { return len(got) })
		})
		go b.Of("/n")
		synctest.Wait()
		for i := range 3 {
			if err := a.ServerSideEmit("n", i); err != nil {
				t.Fatal(err)
			}
		}
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			var n int
			if list, err := a.ServerSideEmitWithAck(t.Context(), "ask"); err != nil || len(list) != 1 || list[0].Decode(0, &n) != nil || n != 3 {
				t.Errorf("answers %v, %v; want that of one that has had 3 events", list, err)
			}
		}()
		synctest.Wait()
		close(made)
		<-asked
		if !slices.Equal(got, []int{0, 1, 2}) {
			t.Errorf("handled %v", got)
		}
	})
}

// What other servers send faster than a handler takes it is kept up to a limit.
func TestServerSideEventsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := servertest.Cluster(t, 2, server.Config{})
		a, b := list[0], list[1]
		handled, open := 0, make(chan struct{})
		b.OnServerSide("n", func([]byte) {
			<-open
			handled++
		})
		const events, size = 100, 1 << 20
		emit := func(n int) {
			for range n {
				if err := a.ServerSideEmit("n", make([]byte, size)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		emit(events)
		close(open)
		synctest.Wait()
		if dropped := int(b.Stats().EventsDropped); handled+dropped != events || handled < 60 || handled > 65 {
			t.Errorf("%d handled, %d dropped", handled, dropped)
		}
		before := handled
		if emit(50); handled != before+50 {
			t.Errorf("%d of 50 handled when nothing waits any more", handled-before)
		}
	})
}

// Questions of another server begin in the order asked, though many wait at a time, handlers wait for what comes behind,
// and none waits for another's end.
func TestQuestionsOfServersBeginInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := servertest.Cluster(t, 2, server.Config{})
		a, b := list[0], list[1]
		const questions = 50
		var mu sync.Mutex
		var begun []int
		open, last := make(chan struct{}), make(chan struct{})
		b.OnServerSide("before", func() { <-open })
		b.OnServerSide("ask", func(n int) int {
			mu.Lock()
			begun = append(begun, n)
			mu.Unlock()
			if n == questions-1 {
				close(last)
			}
			<-last
			return n
		})
		if err := a.ServerSideEmit("before"); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range questions {
			wg.Go(func() {
				var n int
				if list, err := a.ServerSideEmitWithAck(t.Context(), "ask", i); err != nil || len(list) != 1 || list[0].Decode(0, &n) != nil || n != i {
					t.Errorf("question %d: %v, %v", i, list, err)
				}
			})
			synctest.Wait() // it is asked, and waits
		}
		close(open)
		wg.Wait()
		if !slices.IsSorted(begun) || len(begun) != questions {
			t.Errorf("begun in the order %v", begun)
		}
	})
}
