package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func cluster(f adapter.Factory) adaptertest.Cluster {
	return func(t *testing.T, nsp string, _ int) []*adaptertest.Node {
		return []*adaptertest.Node{adaptertest.NewNode(t, nsp, f)}
	}
}

func TestMemory(t *testing.T) { adaptertest.Run(t, 1, cluster(adapter.Memory(nil))) }

func TestMemoryWithRecovery(t *testing.T) {
	adaptertest.RunRecovery(t, 1, cluster(adapter.Memory(&adapter.Recovery{})))
}

func TestMemoryWithoutRecoveryKeepsNoSession(t *testing.T) {
	n := adaptertest.NewNode(t, "/", adapter.Memory(nil))
	if n.Recovers() {
		t.Error("Recovers")
	}
	if err := n.Save(t.Context(), adapter.Session{PID: "p"}); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("Save: %v", err)
	}
	if _, err := n.Restore(t.Context(), "p", "x"); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("Restore: %v", err)
	}
}

func TestMemoryRefusesNegativeLimits(t *testing.T) {
	for _, r := range []adapter.Recovery{{MaxEvents: -1}, {MaxSessions: -1}, {MaxSessionBytes: -1}} {
		if _, err := adapter.Memory(&r)(adaptertest.NewNamespace("/")); err == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

// Of the sessions that may come back the newest are kept, in all namespaces together, and who asks for
// another is told why.
func TestMemoryKeepsTheNewestSessions(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits adapter.Recovery
		data   int
	}{
		{"count", adapter.Recovery{MaxSessions: 10}, 10},
		{"bytes", adapter.Recovery{MaxSessionBytes: 10 * 11_000}, 10_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := adapter.Memory(&c.limits)
			nodes := []*adaptertest.Node{adaptertest.NewNode(t, "/", f), adaptertest.NewNode(t, "/other", f)}
			var at []string
			for _, n := range nodes {
				m := adaptertest.NewMember("a")
				n.Join(m)
				_ = n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{})
				at = append(at, offsets(m)[0])
			}
			data := adapter.Raw(`"` + strings.Repeat("x", c.data) + `"`)
			const sessions = 25
			for i := range sessions {
				s := adapter.Session{SID: "s", PID: fmt.Sprint(i), Rooms: []string{"s"}, Data: data}
				if err := nodes[i%2].Save(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			for i := range sessions {
				_, err := nodes[i%2].Restore(t.Context(), fmt.Sprint(i), at[i%2])
				switch {
				case i >= sessions-10 && err != nil:
					t.Errorf("session %d: %v", i, err)
				case i < sessions-20 && !errors.Is(err, adapter.ErrNoRecovery):
					t.Errorf("session %d, which is forgotten: %v", i, err)
				case i >= sessions-20 && i < sessions-10 && (!errors.Is(err, adapter.ErrNoRecovery) || !errors.Is(err, adapter.ErrSessionsFull)):
					t.Errorf("session %d, which was given up: %v", i, err)
				}
			}
		})
	}
}

func TestMemoryRefusesASessionLargerThanAllMayBe(t *testing.T) {
	n := adaptertest.NewNode(t, "/", adapter.Memory(&adapter.Recovery{MaxSessionBytes: 10_000}))
	small := adapter.Session{SID: "s", PID: "small", Rooms: []string{"s"}}
	if err := n.Save(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	large := adapter.Session{SID: "l", PID: "large", Rooms: []string{"l", strings.Repeat("r", 10_000)}}
	if err := n.Save(t.Context(), large); !errors.Is(err, adapter.ErrSessionsFull) {
		t.Errorf("Save: %v", err)
	}
	if _, err := n.Restore(t.Context(), "large", "x"); !errors.Is(err, adapter.ErrSessionsFull) {
		t.Errorf("Restore: %v", err)
	}
	if _, err := n.Restore(t.Context(), "small", "x"); errors.Is(err, adapter.ErrSessionsFull) || !strings.Contains(err.Error(), "offset") {
		t.Errorf("the small one is gone: %v", err)
	}
}

// Another namespace's pid is unknown.
func TestMemorySessionIsOneOfItsNamespace(t *testing.T) {
	f := adapter.Memory(&adapter.Recovery{})
	a, b := adaptertest.NewNode(t, "/a", f), adaptertest.NewNode(t, "/b", f)
	if err := a.Save(t.Context(), adapter.Session{SID: "s", PID: "p"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Restore(t.Context(), "p", "x"); !strings.Contains(err.Error(), "unknown or expired") {
		t.Errorf("Restore: %v", err)
	}
	if _, err := a.Restore(t.Context(), "p", "x"); strings.Contains(err.Error(), "unknown or expired") {
		t.Errorf("Restore: %v", err)
	}
}

// offsets returns the offset of each event m got.
func offsets(m *adaptertest.Member) (list []string) {
	for _, data := range m.Got() {
		f := strings.Split(data, `"`)
		list = append(list, f[len(f)-2])
	}
	return list
}

func TestMemorySessionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := adaptertest.NewNode(t, "/", adapter.Memory(&adapter.Recovery{MaxDisconnection: time.Minute}))
		m := adaptertest.NewMember("a")
		n.Join(m)
		_ = n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{})
		offset := offsets(m)[0]
		for _, c := range []struct {
			after time.Duration
			want  error
		}{{59 * time.Second, nil}, {61 * time.Second, adapter.ErrNoRecovery}} {
			if err := n.Save(context.Background(), adapter.Session{SID: "a", PID: "p", Rooms: []string{"a"}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(c.after)
			if _, err := n.Restore(context.Background(), "p", offset); !errors.Is(err, c.want) {
				t.Errorf("Restore after %v: %v, want %v", c.after, err, c.want)
			}
		}
	})
}

// A client has what was sent until its connection fell silent, and is back within MaxDisconnection of when the server
// noticed: what was sent in between is held as long.
func TestMemoryHoldsWhatASilentClientMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const away, silence = time.Minute, 45 * time.Second
		n := adaptertest.NewNode(t, "/", adapter.Memory(&adapter.Recovery{MaxDisconnection: away, MaxSilence: silence}))
		m := adaptertest.NewMember("a")
		n.Join(m)
		send := func() { _ = n.Broadcast(adaptertest.Event(`["x"]`), adapter.Target{}) }
		send()
		send()
		had := offsets(m)[0] // and not the second
		time.Sleep(silence)
		if err := n.Save(context.Background(), adapter.Session{SID: "a", PID: "p", Rooms: []string{"a"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(away - time.Second)
		send()
		if _, err := n.Restore(context.Background(), "p", had); err != nil {
			t.Errorf("Restore: %v", err)
		}
		time.Sleep(2 * time.Second)
		send()
		if err := n.Save(context.Background(), adapter.Session{SID: "a", PID: "p", Rooms: []string{"a"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Restore(context.Background(), "p", had); !errors.Is(err, adapter.ErrNoRecovery) {
			t.Errorf("Restore of what nobody may come for any more: %v", err)
		}
	})
}

func TestMemoryTrimsItsLog(t *testing.T) {
	one := adaptertest.Event(`["x",1000,"xxxxxxxx.xx"]`)
	one.Offset = "xxxxxxxx.xx"
	for _, c := range []struct {
		name   string
		limits adapter.Recovery
		held   int // events after the offset that may be missed at most
	}{
		{"events", adapter.Recovery{MaxEvents: 100}, 100},
		{"bytes", adapter.Recovery{MaxBytes: 100 * one.Cost(&adapter.Target{})}, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := adaptertest.NewNode(t, "/", adapter.Memory(&c.limits))
			m := adaptertest.NewMember("a")
			n.Join(m)
			for i := range 1000 {
				_ = n.Broadcast(adaptertest.Event(fmt.Sprintf(`["x",%d]`, 1000+i)), adapter.Target{})
			}
			got := offsets(m)
			restore := func(offset string) (missed int, err error) {
				_ = n.Save(t.Context(), adapter.Session{SID: "b", PID: "p", Rooms: []string{"b"}})
				s, err := n.Restore(t.Context(), "p", offset)
				if err != nil {
					return 0, err
				}
				b := adaptertest.NewMember("b")
				err = n.Resume(t.Context(), b, s, func(adapter.Message) { missed++ })
				n.Remove(b)
				return missed, err
			}
			if missed, err := restore(got[999-c.held]); err != nil || missed != c.held {
				t.Errorf("missed %d, %v, want %d", missed, err, c.held)
			}
			if _, err := restore(got[999-c.held-1]); !errors.Is(err, adapter.ErrNoRecovery) || !strings.Contains(err.Error(), "trimmed") {
				t.Errorf("trimmed offset: %v", err)
			}
			if missed, err := restore(got[999]); err != nil || missed != 0 {
				t.Errorf("missed %d, %v, want none", missed, err)
			}
		})
	}
}

// The events of all namespaces together have one budget: the names may be the clients' choice.
func TestMemoryHoldsSoManyBytesOfEvents(t *testing.T) {
	f := adapter.Memory(&adapter.Recovery{MaxBytes: 1 << 20})
	leave := func(nsp string) (*adaptertest.Node, adapter.Session) {
		n := adaptertest.NewNode(t, nsp, f)
		m := adaptertest.NewMember("member-0000000000001")
		n.Join(m)
		s := m.Leave(n, "pid")
		if err := n.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		return n, s
	}
	big := adaptertest.Event(`["` + strings.Repeat("x", 400<<10) + `"]`)
	first, s := leave("/first")
	for range 2 {
		if err := first.Broadcast(big, adapter.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := first.Restore(t.Context(), s.PID, ""); err != nil {
		t.Errorf("within the budget: %v", err)
	}
	second, s2 := leave("/second")
	if err := second.Broadcast(big, adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Restore(t.Context(), s.PID, ""); !errors.Is(err, adapter.ErrNoRecovery) || !strings.Contains(err.Error(), "trimmed") {
		t.Errorf("above the budget: %v", err)
	}
	if _, err := second.Restore(t.Context(), s2.PID, ""); err != nil {
		t.Errorf("the newest: %v", err)
	}
	long := adapter.Target{Rooms: []string{strings.Repeat("r", 700<<10)}} // a name is held, too
	if err := second.Broadcast(adaptertest.Event(`["hi"]`), long); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Restore(t.Context(), s2.PID, ""); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("above the budget by a room's name: %v", err)
	}
	second, s2 = leave("/third")
	if err := first.Close(t.Context()); err != nil { // gives its share back
		t.Fatal(err)
	}
	if err := second.Broadcast(big, adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Restore(t.Context(), s2.PID, ""); err != nil {
		t.Errorf("after the other was closed: %v", err)
	}
}
