package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestRecoveryOverAHole: an event that Redis has lost is given by its sender to those who stayed, and is not in the stream
// for one who comes back: he begins anew, whatever the server to which he comes has read, and whatever came behind it. Who
// had the stream up to behind it recovers.
func TestRecoveryOverAHole(t *testing.T) {
	t.Parallel()
	for _, read := range []bool{false, true} {
		for _, behind := range []string{"", "sender", "other"} {
			for _, to := range []string{"sender", "other"} {
				t.Run(fmt.Sprintf("read=%v,behind=%s,to=%s", read, behind, to), func(t *testing.T) {
					t.Parallel()
					recoveryOverAHole(t, read, behind, to)
				})
			}
		}
	}
}

// holed are servers that share a stream, and a client at each that stays.
type holed struct {
	t        *testing.T
	cfg      redis.Config
	nodes    map[string]*adaptertest.Node
	proxies  map[string]*redistest.Proxy
	clusters map[string]*redis.Cluster
	stayed   map[string]*adaptertest.Member
}

func newHoled(t *testing.T, more ...string) *holed {
	t.Helper()
	h := &holed{t: t, nodes: map[string]*adaptertest.Node{}, proxies: map[string]*redistest.Proxy{}, clusters: map[string]*redis.Cluster{}, stayed: map[string]*adaptertest.Member{}}
	h.cfg = redis.Config{Mode: redis.Streams, Recovery: &adapter.Recovery{}, Prefix: unique(), HeartbeatInterval: 100 * time.Millisecond, HeartbeatMisses: 300, BlockTime: 100 * time.Millisecond}
	h.cfg.Stream, h.cfg.SessionPrefix = h.cfg.Prefix, h.cfg.Prefix+":session:"
	h.foreign("before all")
	var list []*redis.Cluster
	for _, name := range append(more, "sender", "other") {
		h.add(name)
		list = append(list, h.clusters[name])
	}
	ready(t, list...)
	for name, n := range h.nodes {
		h.stayed[name] = adaptertest.NewMember("member-stayed-" + name)
		n.Join(h.stayed[name])
	}
	return h
}

// add starts a server.
func (h *holed) add(name string) {
	h.t.Helper()
	h.proxies[name] = redistest.NewProxy(h.t, shared.Addr())
	h.cfg.URL = h.proxies[name].URL()
	c := start(h.t, h.cfg)
	h.clusters[name], h.nodes[name] = c, adaptertest.NewNode(h.t, "/hole", c.Adapter())
	h.nodes[name].Ready = c.Ready
}

// foreign appends an event of nobody who counts.
func (h *holed) foreign(event string) {
	h.t.Helper()
	h.foreignAt("*", event)
}

func (h *holed) foreignAt(id, event string) {
	h.t.Helper()
	values := foreignEntry("/hole", event)
	if err := shared.Client().XAdd(h.t.Context(), &goredis.XAddArgs{Stream: h.cfg.Stream, ID: id, Values: values}).Err(); err != nil {
		h.t.Fatal(err)
	}
}

// foreignEntry are the fields of an entry of nobody who counts.
func foreignEntry(nsp, event string) []string {
	return []string{"uid", "another", "nsp", nsp, "type", "3", "data",
		`{"packet":{"type":2,"nsp":"` + nsp + `","data":["` + event + `"]},"opts":{"rooms":[],"except":[],"flags":{}}}`}
}

// emit returns when the server knows that its event is in the stream.
func (h *holed) emit(from, event string) {
	h.t.Helper()
	published := h.clusters[from].Stats().Published
	if err := h.nodes[from].Broadcast(adaptertest.Event(`["`+event+`"]`), adapter.Target{}); err != nil {
		h.t.Fatal(err)
	}
	adaptertest.Eventually(h.t, func() error {
		if h.clusters[from].Stats().Published == published {
			return errors.New("not published")
		}
		return nil
	})
}

// all waits until who stayed at those servers has had n events.
func (h *holed) all(n int, at ...string) {
	h.t.Helper()
	for _, name := range at {
		h.stayed[name].Wait(h.t, n)
	}
}

// lose has the stream lose its last entry, as a master does that is replaced by one that did not have it.
func (h *holed) lose() {
	h.t.Helper()
	list, err := shared.Client().XRevRangeN(h.t.Context(), h.cfg.Stream, "+", "-", 1).Result()
	if err == nil {
		err = shared.Client().XDel(h.t.Context(), h.cfg.Stream, list[0].ID).Err()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func recoveryOverAHole(t *testing.T, read bool, behind, to string) {
	h := newHoled(t)
	left := adaptertest.NewMember("member-left")
	h.nodes["other"].Join(left)
	h.emit("sender", "first")
	h.all(1, "sender", "other")
	last := adaptertest.Offset(t, left.Wait(t, 1)[0])
	s := left.Leave(h.nodes["other"], "pid")
	if err := h.nodes["other"].Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if !read {
		h.proxies["other"].Cut(true)
	}
	h.emit("sender", "lost")
	h.all(2, "sender")
	if read {
		h.all(2, "other")
	}
	h.lose()
	for _, p := range h.proxies {
		p.Cut(false)
	}
	h.foreign("of nobody")
	h.all(3, "sender", "other")
	if behind != "" {
		h.emit(behind, "behind")
		h.all(4, "sender", "other")
	}

	n := h.nodes[to]
	restored, err := n.Restore(t.Context(), s.PID, last)
	if err != nil {
		t.Fatal(err)
	}
	again := adaptertest.NewMember(s.SID)
	if err := n.Resume(t.Context(), again, restored, again.Replay); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("resumed over the hole: %v, and got %q", err, again.Got())
	}
	h.emit("sender", "later")
	for name, m := range h.stayed {
		want := []string{"first", "lost", "of nobody", "later"}
		if behind != "" {
			want = append(want, "behind")
		}
		got := strings.Join(m.Wait(t, len(want)), "")
		for _, event := range want {
			if strings.Count(got, event) != 1 {
				t.Errorf("who stayed at the %s got %q", name, m.Got())
			}
		}
	}
}

// TestSenderOutOfReachIsWaitedFor: who misses an entry of a server that lives asks it until it answers, though that takes
// longer than to ask one that may be gone.
func TestSenderOutOfReachIsWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHoled(t)
	h.emit("sender", "first")
	h.all(1, "sender", "other")
	h.proxies["other"].Cut(true)
	h.emit("sender", "lost")
	h.lose()
	h.emit("sender", "behind")
	h.all(3, "sender")
	questions := shared.Client().PSubscribe(t.Context(), h.cfg.Prefix+"*#"+h.clusters["sender"].UID()+"#")
	defer questions.Close()
	if _, err := questions.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.proxies["sender"].Block()
	h.proxies["other"].Cut(false)
	for range 7 {
		if _, err := questions.ReceiveMessage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.proxies["sender"].Unblock()
	got := strings.Join(h.stayed["other"].Wait(t, 3), "")
	if i, j := strings.Index(got, "lost"), strings.Index(got, "behind"); i < 0 || j < i {
		t.Errorf("got %q", got)
	}
	if lost := h.clusters["other"].Stats().LostOf; len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
}

// TestRecoveryOverAnEmptiedStream: a stream is emptied, or trimmed, when one server has not read all of it, and that server does not know
// what it has missed. Who leaves it with what came behind gets the rest elsewhere or begins anew; and who comes to it from
// where all had been read gets nothing twice.
func TestRecoveryOverAnEmptiedStream(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"deleted", "trimmed", "lower"} {
		for _, away := range []string{"cut", "blocked"} {
			for _, from := range []string{"other", "third"} {
				for _, to := range []string{"sender", "other", "third", "new"} {
					if from == to {
						continue
					}
					t.Run(fmt.Sprintf("%s,%s,from=%s,to=%s", how, away, from, to), func(t *testing.T) {
						t.Parallel()
						recoveryOverAnEmptiedStream(t, how, away == "cut", from, to)
					})
				}
			}
		}
	}
}

// until waits until a member has had an event, and returns it.
func until(t *testing.T, m *adaptertest.Member, event string) string {
	t.Helper()
	for n := 1; ; n++ {
		if got := m.Wait(t, n)[n-1]; strings.Contains(got, event) {
			return got
		}
	}
}

func recoveryOverAnEmptiedStream(t *testing.T, how string, cut bool, from, to string) {
	h := newHoled(t, "third")
	left := adaptertest.NewMember("member-left")
	h.nodes[from].Join(left)
	h.emit("sender", "first")
	h.all(1, "sender", "other", "third")
	left.Wait(t, 1)
	if cut {
		h.proxies["other"].Cut(true)
	} else {
		h.proxies["other"].Block() // what it waits for comes later
	}
	h.emit("sender", "read")
	h.all(2, "sender", "third")
	h.emit("sender", "lost")
	h.all(3, "sender", "third")
	c := shared.Client()
	id := "*"
	var err error
	switch how {
	case "deleted":
		err = c.Del(t.Context(), h.cfg.Stream).Err()
	case "trimmed":
		err = c.XTrimMaxLen(t.Context(), h.cfg.Stream, 0).Err()
	case "lower":
		id, err = "1-1", c.Del(t.Context(), h.cfg.Stream).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	if to != "sender" {
		h.proxies["sender"].Block() // so that the other does not learn what it has missed
	}
	if cut {
		h.proxies["other"].Cut(false)
	} else {
		h.proxies["other"].Unblock()
	}
	h.foreignAt(id, "behind")
	last := adaptertest.Offset(t, until(t, left, "behind"))
	if to == "new" {
		h.add(to)
		if err := h.clusters[to].Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s := left.Leave(h.nodes[from], "pid")
	if err := h.nodes[from].Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	again, n := adaptertest.NewMember(s.SID), h.nodes[to]
	restored, err := n.Restore(t.Context(), s.PID, last)
	if err == nil {
		err = n.Resume(t.Context(), again, restored, again.Replay)
	}
	for _, name := range []string{"other", "third"} {
		until(t, h.stayed[name], "behind")
	}
	h.proxies["sender"].Unblock()
	h.emit("sender", "later")
	h.all(5, "other", "third")
	switch {
	case errors.Is(err, adapter.ErrNoRecovery):
		return
	case err != nil:
		t.Fatal(err)
	}
	until(t, again, "later")
	got := strings.Join(append(left.Got(), again.Got()...), "")
	for _, event := range []string{"first", "read", "lost", "behind", "later"} {
		if strings.Count(got, event) != 1 {
			t.Errorf("recovered, and got %q and then %q", left.Got(), again.Got())
			break
		}
	}
}
