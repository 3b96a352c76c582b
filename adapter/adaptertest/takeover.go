package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

// testTakeOver: a client comes anew before the server has noticed that its old connection is dead.
func testTakeOver(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	const pid = "a secret"
	m, w := newMember(adapter.SocketID(pid)), newMember(id(2))
	here.Join(m)
	there.Join(w)
	flush(t, nodes, []*Member{m, w})
	last := lastOffset(t, m)
	here.NS.OnTakeOver(func(ctx context.Context, id string, _ bool) bool {
		return id == m.ID() && here.Save(ctx, m.Leave(here, pid)) == nil
	})
	send(t, here, `["lost on the way",1]`, adapter.Target{})
	w.Wait(t, len(nodes)+1)
	if _, err := there.Restore(t.Context(), "another", last); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("Restore of another: %v", err)
	}
	_, missed := comeBack(t, there, adapter.Session{SID: m.ID(), PID: pid}, last)
	if want := []string{`["lost on the way",1]`}; !slices.Equal(missed, want) {
		t.Errorf("missed %q, want %q", missed, want)
	}
}

// testSavedMeanwhile: a client comes anew while its old connection is just ending. Its state is saved between the
// look for it and the question who still has the socket, which nobody has any more then.
func testSavedMeanwhile(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	const pid = "another secret"
	m, w := newMember(adapter.SocketID(pid)), newMember(id(2))
	here.Join(m)
	there.Join(w)
	flush(t, nodes, []*Member{m, w})
	last := lastOffset(t, m)
	here.NS.OnTakeOver(func(ctx context.Context, id string, _ bool) bool {
		if err := here.Save(ctx, m.Leave(here, pid)); err != nil {
			t.Error(err)
		}
		return false
	})
	_, missed := comeBack(t, there, adapter.Session{SID: m.ID(), PID: pid}, last)
	if len(missed) != 0 {
		t.Errorf("missed %q", missed)
	}
}

// testReentrant: an application may emit from a listener of what is being sent, and every emit returns while
// others go on emitting.
func testReentrant(t *testing.T, c Cluster, n int) {
	node := c(t, "/"+t.Name(), n)[0]
	m := NewMember(id(1))
	node.Join(m)
	node.NS.After(func(x adapter.Message) {
		if strings.HasPrefix(string(x.Data), `["outer"`) {
			send(t, node, `["inner"]`, adapter.Target{})
		}
	})
	send(t, node, `["outer"]`, adapter.Target{})
	got := m.Wait(t, 2)
	if e, _ := split(t, got[0]); e != `["outer"]` {
		t.Errorf("got %q", got)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = node.Broadcast(Event(`["busy"]`), adapter.Target{Rooms: []string{"of nobody"}}) // an outbox that is full says so
			}
		}
	}()
	for i := range 100 {
		_ = node.Broadcast(Event(fmt.Sprintf(`["other",%d]`, i)), adapter.Target{}) // likewise
		if e := fmt.Sprintf(`["other",%d]`, i); !slices.ContainsFunc(m.Got(), func(s string) bool {
			x, _ := split(t, s)
			return x == e
		}) {
			t.Fatalf("%s was not delivered when its emit returned", e)
		}
	}
	close(stop)
	<-done
}

// testMisleading: an event that is not kept and ends with a string does not spoil what the client takes for
// its offset.
func testMisleading(t *testing.T, c Cluster, n int) {
	nodes := c(t, "/"+t.Name(), n)
	here, there := nodes[0], nodes[n-1]
	m, w := NewMember(id(1)), newMember(id(2))
	here.Join(m)
	there.Join(w)
	send(t, here, `["kept"]`, adapter.Target{})
	send(t, here, `["volatile","text"]`, adapter.Target{Flags: adapter.Flags{Volatile: true}})
	if n > 1 {
		send(t, here, `["local","text"]`, adapter.Target{Flags: adapter.Flags{Local: true}})
	}
	got := m.Wait(t, 1)
	Eventually(t, func() error {
		if got = m.Got(); len(got) < min(n, 2)+1 {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
	flush(t, nodes, []*Member{w})
	s := m.Leave(here, "pid-"+t.Name())
	if err := here.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	send(t, there, `["missed"]`, adapter.Target{})
	for _, data := range got[1:] {
		_, last := split(t, data)
		if restored, err := there.Restore(t.Context(), s.PID, last); err != nil {
			t.Errorf("after %s: %+v, %v", data, restored, err)
		}
	}
}
