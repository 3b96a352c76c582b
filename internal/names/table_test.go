package names_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/internal/names"
)

// thing is what the tables of these tests hold.
type thing struct{ number int }

// world makes and ends things, and counts both.
type world struct {
	t     *testing.T
	table *names.Table[*thing]

	mu           sync.Mutex
	made, closed int
	closeErr     error
	closeTakes   time.Duration
	failures     []string
}

func newWorld(t *testing.T, maxIdle int) *world {
	w := &world{t: t}
	w.table = names.New(names.Config[*thing]{Close: w.close, Failed: func(name string, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.failures = append(w.failures, fmt.Sprint(name, ": ", err))
	}, CloseTimeout: time.Minute, MaxIdle: maxIdle})
	return w
}

func (w *world) make(*names.Entry[*thing]) (*thing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made++
	return &thing{w.made}, nil
}

func (w *world) close(ctx context.Context, _ *thing) error {
	w.mu.Lock()
	takes, err := w.closeTakes, w.closeErr
	w.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		err = ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed++
	return err
}

func (w *world) hold(name string) *names.Entry[*thing] {
	w.t.Helper()
	e, err := w.table.Hold(w.t.Context(), name, w.make)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) want(made, closed int) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.made != made || w.closed != closed {
		w.t.Errorf("%d made, %d closed; want %d and %d", w.made, w.closed, made, closed)
	}
}

func TestOneMakesWhatManyNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		start, end := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				e, err := w.table.Hold(t.Context(), "a", func(e *names.Entry[*thing]) (*thing, error) {
					<-start
					return w.make(e)
				})
				if err != nil {
					t.Error(err)
					return
				}
				if n := e.Value().number; n != 1 {
					t.Errorf("got the %dth", n)
				}
				<-end
				e.Release()
			})
		}
		synctest.Wait()
		if _, open := w.table.Find("a"); open || !w.table.Has("a") || len(w.table.All()) != 0 {
			t.Error("it is open while it is being made")
		}
		close(start)
		w.want(1, 0)
		close(end)
		all.Wait()
		w.want(1, 1)
		if w.table.Has("a") {
			t.Error("it is still there")
		}
	})
}

func TestWhoMeetsClosingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		w.closeTakes = time.Second
		w.hold("a").Release()
		start := time.Now()
		e := w.hold("a")
		if took := time.Since(start); took != time.Second || e.Value().number != 2 {
			t.Errorf("the %dth after %v", e.Value().number, took)
		}
		w.want(2, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		e.Release()
		if _, err := w.table.Hold(ctx, "a", w.make); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the wait ended with %v", err)
		}
		time.Sleep(time.Second)
		w.want(2, 2)
	})
}

func TestAFailedMakingLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		start, broken := make(chan struct{}), errors.New("broken")
		tries := 0
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, err := w.table.Hold(t.Context(), "a", func(*names.Entry[*thing]) (*thing, error) {
					tries++
					<-start
					return nil, broken
				})
				if !errors.Is(err, broken) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(start)
		all.Wait()
		if tries != 1 || w.table.Has("a") {
			t.Errorf("tried %d times; still there: %v", tries, w.table.Has("a"))
		}
		w.hold("a").Release()
		w.want(1, 1)
	})
}

func TestAMakerThatNeverReturnsHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		start := make(chan struct{})
		go func() {
			_, _ = w.table.Hold(t.Context(), "a", func(*names.Entry[*thing]) (*thing, error) {
				<-start
				runtime.Goexit()
				return nil, nil
			})
		}()
		synctest.Wait()
		failed := make(chan error)
		go func() {
			_, err := w.table.Hold(t.Context(), "a", w.make)
			failed <- err
		}()
		synctest.Wait()
		close(start)
		if err := <-failed; err == nil {
			t.Error("who waited got something")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not go on")
				}
			}()
			_, _ = w.table.Hold(t.Context(), "a", func(*names.Entry[*thing]) (*thing, error) { panic("broken") })
		}()
		w.hold("a").Release()
		w.want(1, 1)
	})
}

func TestAMakerDoesNotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		e, err := w.table.Hold(t.Context(), "a", func(e *names.Entry[*thing]) (*thing, error) {
			if _, err := w.table.Hold(t.Context(), "a", w.make); !errors.Is(err, names.ErrMaking) {
				t.Errorf("before Show: %v", err)
			}
			v, _ := w.make(e)
			e.Show(v)
			again, err := w.table.Hold(t.Context(), "a", w.make)
			if err != nil || again.Value() != v {
				t.Fatalf("after Show: %v, %v", again, err)
			}
			again.Release()
			return v, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Release()
		w.want(1, 1)
	})
}

// Two that make what the other needs do not wait for each other.
func TestMakersDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		var both sync.WaitGroup
		both.Add(2)
		end := make(chan struct{})
		var all sync.WaitGroup
		for name, other := range map[string]string{"a": "b", "b": "a"} {
			all.Go(func() {
				e, err := w.table.Hold(t.Context(), name, func(e *names.Entry[*thing]) (*thing, error) {
					v, _ := w.make(e)
					e.Show(v)
					both.Done()
					both.Wait()
					x, err := w.table.Hold(t.Context(), other, w.make)
					if err != nil {
						return nil, err
					}
					x.Release()
					return v, nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				<-end
				e.Release()
			})
		}
		w.want(2, 0)
		close(end)
		all.Wait()
		w.want(2, 2)
	})
}

func TestKeptEntriesStayUntilTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		for i, d := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
			e := w.hold(fmt.Sprint(i))
			e.Keep(time.Now().Add(d))
			e.Keep(time.Now()) // what is later counts
			e.Release()
		}
		w.want(3, 0)
		time.Sleep(1500 * time.Millisecond)
		w.want(3, 1)
		e := w.hold("2")
		time.Sleep(time.Second)
		w.want(3, 1)
		e.Release()
		w.want(3, 2)
		time.Sleep(time.Second)
		w.want(3, 3)
		e = w.hold("pinned")
		e.Pin()
		e.Release()
		w.want(4, 3)
		if err := w.table.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		w.want(4, 4)
	})
}

func TestIdleEntriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		for i := range 25 {
			e := w.hold(fmt.Sprint(i))
			e.Keep(time.Now().Add(time.Hour + time.Duration(i)))
			e.Release()
		}
		w.want(25, 15)
		for i := range 25 {
			if w.table.Has(fmt.Sprint(i)) != (i >= 15) {
				t.Errorf("%d: the first to go is not the first that went", i)
			}
		}
		_ = w.table.Shutdown(t.Context())
		w.want(25, 25)
	})
}

func TestShutdownEndsEveryState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		w.closeErr = errors.New("broken")
		w.closeTakes = time.Second
		w.hold("open")
		w.hold("closing").Release()
		e := w.hold("idle")
		e.Keep(time.Now().Add(time.Hour))
		e.Release()
		late := make(chan error)
		go func() {
			_, err := w.table.Hold(t.Context(), "made late", func(e *names.Entry[*thing]) (*thing, error) {
				time.Sleep(10 * time.Second)
				return w.make(e)
			})
			late <- err
		}()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := w.table.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, w.closeErr) {
			t.Errorf("shutdown: %v", err)
		}
		w.want(3, 3)
		if err := <-late; !errors.Is(err, names.ErrClosed) {
			t.Errorf("what was made late: %v", err)
		}
		w.want(4, 4)
		if err := w.table.Shutdown(t.Context()); err != nil {
			t.Errorf("again: %v", err)
		}
		if len(w.failures) != 2 {
			t.Errorf("failures besides those of Shutdown: %q", w.failures)
		}
		if _, err := w.table.Hold(t.Context(), "open", w.make); !errors.Is(err, names.ErrClosed) {
			t.Error(err)
		}
	})
}
