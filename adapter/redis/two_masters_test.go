package redis_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// masters are two Redis servers of which each takes itself for the master, as while one hangs and its replica takes over.
// The connection on which a stream is read leads to one of them, and all others perhaps to the other.
type masters struct {
	t        *testing.T
	old, new *redistest.Server
	cfg      redis.Config
	cluster  *redis.Cluster
	node     *adaptertest.Node

	mu         sync.Mutex
	feed, rest *redistest.Server // guarded by mu
}

func newMasters(t *testing.T) *masters {
	t.Helper()
	m := &masters{t: t, old: redistest.Start(t), new: redistest.Start(t)}
	m.feed, m.rest = m.old, m.old
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.lead(c)
		}
	}()
	m.cfg = redis.Config{URL: "redis://" + l.Addr().String(), Mode: redis.Streams, Recovery: &adapter.Recovery{}, Stream: "s",
		BlockTime: 100 * time.Millisecond}
	m.add("1000-0", "before all", m.old, m.new)
	m.cluster = start(t, m.cfg)
	ready(t, m.cluster)
	m.node = adaptertest.NewNode(t, "/masters", m.cluster.Adapter())
	return m
}

// lead leads a connection to where it is to go: that on which a stream is read speaks RESP2, the others RESP3.
func (m *masters) lead(c net.Conn) {
	defer c.Close()
	hello := make([]byte, 4096)
	n, err := c.Read(hello)
	if err != nil {
		return
	}
	m.mu.Lock()
	s := m.rest
	if !bytes.Contains(hello[:n], []byte("\r\n$1\r\n3\r\n")) {
		s = m.feed
	}
	m.mu.Unlock()
	to, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return
	}
	defer to.Close()
	if _, err := to.Write(hello[:n]); err != nil {
		return
	}
	go func() {
		defer to.Close()
		_, _ = io.Copy(to, c)
	}()
	_, _ = io.Copy(c, to)
}

// add appends an event of nobody who counts.
func (m *masters) add(id, event string, to ...*redistest.Server) {
	m.t.Helper()
	for _, s := range to {
		if err := s.Client().XAdd(m.t.Context(), &goredis.XAddArgs{Stream: "s", ID: id, Values: foreignEntry("/masters", event)}).Err(); err != nil {
			m.t.Fatal(err)
		}
	}
}

// move has connections lead to the new master: those on which the stream is read, or the others.
func (m *masters) move(feed bool) {
	m.t.Helper()
	m.mu.Lock()
	resp := "resp=3"
	if feed {
		m.feed, resp = m.new, "resp=2"
	} else {
		m.rest = m.new
	}
	m.mu.Unlock()
	c := m.old.Client()
	me, err := c.ClientID(m.t.Context()).Result()
	if err != nil {
		m.t.Fatal(err)
	}
	list, err := c.ClientList(m.t.Context()).Result()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, x := range strings.Split(list, "\n") {
		id, _, _ := strings.Cut(strings.TrimPrefix(x, "id="), " ")
		if strings.Contains(x+" ", resp+" ") && id != strconv.FormatInt(me, 10) {
			c.ClientKillByFilter(m.t.Context(), "ID", id)
		}
	}
}

func (m *masters) wait(who *adaptertest.Member, want ...string) {
	m.t.Helper()
	got := who.Wait(m.t, len(want))
	for i, event := range want {
		if len(got) != len(want) || !strings.Contains(got[i], event) {
			m.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// TestReaderLooksWhereItReads: a server that comes to a master that has taken over reads all that this one has and the
// other had not, though all it asks elsewhere is still answered by the other.
func TestReaderLooksWhereItReads(t *testing.T) {
	t.Parallel()
	m := newMasters(t)
	who := adaptertest.NewMember("member-who-stays")
	m.node.Join(who)
	m.add("2000-0", "of both", m.old, m.new)
	m.add("4000-0", "of the old", m.old)
	m.wait(who, "of both", "of the old")
	m.add("3000-0", "of the new", m.new)
	m.move(true)
	m.add("5000-0", "behind", m.new)
	m.wait(who, "of both", "of the old", "of the new", "behind")
}

// TestRecoveryReadsOneStream: what one recovery has read of a master that is none any more is given to no other, which
// would get what is not in the stream, and miss what is.
func TestRecoveryReadsOneStream(t *testing.T) {
	t.Parallel()
	m := newMasters(t)
	who, left := adaptertest.NewMember("member-who-stays"), adaptertest.NewMember("member-who-left")
	m.node.Join(who)
	m.node.Join(left)
	m.add("2000-0", "of both", m.old, m.new)
	m.wait(left, "of both")
	s := left.Leave(m.node, "pid")
	m.add("4000-0", "of the old", m.old)
	m.wait(who, "of both", "of the old")
	m.add("3000-0", "of the new", m.new)
	m.move(true)
	m.add("5000-0", "behind", m.new)
	m.wait(who, "of both", "of the old", "of the new", "behind")
	back := func() (*adaptertest.Member, error) {
		if err := m.node.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		restored, err := m.node.Restore(t.Context(), s.PID, s.Last)
		if err != nil {
			t.Fatal(err)
		}
		again := adaptertest.NewMember(s.SID)
		return again, m.node.Resume(t.Context(), again, restored, again.Replay)
	}
	if got, err := back(); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Fatalf("recovered by way of the old one: %v, and got %q", err, got.Got())
	}
	m.move(false)
	m.add("6000-0", "later", m.new)
	m.wait(who, "of both", "of the old", "of the new", "behind", "later")
	got, err := back()
	if err != nil {
		t.Fatal(err)
	}
	m.wait(got, "of the new", "behind", "later")
}
