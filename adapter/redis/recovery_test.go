package redis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// behind returns nodes that are behind a proxy each, and share a stream which holds an entry already.
func behind(cfg redis.Config, proxies ...*redistest.Proxy) adaptertest.Cluster {
	return func(t *testing.T, nsp string, n int) (list []*adaptertest.Node) {
		t.Helper()
		cfg := cfg
		cfg.Mode, cfg.Recovery = redis.Streams, &adapter.Recovery{}
		cfg.Prefix = unique()
		cfg.Stream = cfg.Prefix
		cfg.SessionPrefix = cfg.Prefix + ":session:"
		add := &goredis.XAddArgs{Stream: cfg.Stream, Values: []string{"uid", "another", "nsp", "/another", "type", "3", "data", `{"packet":{"data":["x"]},"opts":{"rooms":[],"except":[],"flags":{}}}`}}
		if err := shared.Client().XAdd(t.Context(), add).Err(); err != nil {
			t.Fatal(err)
		}
		var clusters []*redis.Cluster
		for i := range n {
			cfg.URL = proxies[i].URL()
			c := start(t, cfg)
			clusters = append(clusters, c)
			node := adaptertest.NewNode(t, nsp, c.Adapter())
			node.Ready = c.Ready
			list = append(list, node)
		}
		ready(t, clusters...)
		return list
	}
}

func proxies(t *testing.T, n int) (list []*redistest.Proxy) {
	for range n {
		list = append(list, redistest.NewProxy(t, shared.Addr()))
	}
	return list
}

// TestRecoveryWithSlowRedis: events reach the clients of their node long before the stream has them. They must
// not come again when a client recovers.
func TestRecoveryWithSlowRedis(t *testing.T) {
	t.Parallel()
	list := proxies(t, 3)
	for _, p := range list {
		p.Slow(3 * time.Millisecond)
	}
	adaptertest.RunExact(t, 3, behind(redis.Config{}, list...))
}

// TestEarlyEventIsNotRepeated: an event that Redis has not answered for is with a client of its node; the
// client then moves to another node, which gets that event only afterwards.
func TestEarlyEventIsNotRepeated(t *testing.T) {
	t.Parallel()
	list := proxies(t, 3)
	nodes := behind(redis.Config{}, list...)(t, "/early", 3)
	here, there, third := nodes[0], nodes[1], nodes[2]
	w := adaptertest.NewMember("member-000000000002")
	there.Join(w)
	list[0].Block()
	var saved []adapter.Session
	var have []string
	for i := range 3 {
		m := adaptertest.NewMember(fmt.Sprintf("member-00000000001%d", i))
		here.Join(m)
		for k := range 3 {
			if err := here.Broadcast(adaptertest.Event(fmt.Sprintf(`["e",%d,%d]`, i, k)), adapter.Target{Rooms: []string{m.ID()}}); err != nil {
				t.Fatal(err)
			}
		}
		got := m.Wait(t, 3) // at once, without Redis
		have = append(have, adaptertest.Offset(t, got[i]))
		saved = append(saved, m.Leave(here, fmt.Sprint("pid", i)))
	}
	if err := here.Broadcast(adaptertest.Event(`["last"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	var back []*adaptertest.Member
	for i, s := range saved {
		// Saved by way of the other node: its own cannot reach Redis.
		if err := there.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		back = append(back, resume(t, there, s, have[i]))
	}
	// One goes on to a third node before the events have come, and the last that the second one had sent it was lost.
	for k := range 2 {
		if err := there.Broadcast(adaptertest.Event(fmt.Sprintf(`["there",%d]`, k)), adapter.Target{Rooms: []string{back[2].ID()}}); err != nil {
			t.Fatal(err)
		}
	}
	got := back[2].Wait(t, 2)
	again := back[2].Leave(there, "pid2")
	if err := there.Save(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	moved := resume(t, third, again, adaptertest.Offset(t, got[0]))
	list[0].Unblock()
	w.Wait(t, 1)
	for i, m := range back[:2] {
		got := m.Wait(t, 3-i)
		if len(got) != 3-i || !strings.Contains(got[0], fmt.Sprintf(`["e",%d,%d`, i, i+1)) && i < 2 {
			t.Errorf("who had %d of 3 got %q", i+1, got)
		}
	}
	if got := moved.Wait(t, 2); len(got) != 2 || !strings.Contains(got[0], `["there",1`) || !strings.Contains(got[1], "last") {
		t.Errorf("who had all but one and moved twice got %q", got)
	}
}

// TestEarlyEventIsNotRepeatedToWhoWasAway: a client that had an event before the stream did, and comes back from the server to
// which it had moved, has not seen that the stream has brought that event meanwhile: what it shows is older.
func TestEarlyEventIsNotRepeatedToWhoWasAway(t *testing.T) {
	t.Parallel()
	list := proxies(t, 3)
	nodes := behind(redis.Config{}, list...)(t, "/away", 3)
	here, there, third := nodes[0], nodes[1], nodes[2]
	list[0].Block()
	m := adaptertest.NewMember("member-000000000001")
	here.Join(m)
	if err := here.Broadcast(adaptertest.Event(`["early"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	last := adaptertest.Offset(t, m.Wait(t, 1)[0])
	s := m.Leave(here, "pid")
	if err := there.Save(t.Context(), s); err != nil { // its own server cannot reach Redis
		t.Fatal(err)
	}
	m = resume(t, there, s, last)
	stays := adaptertest.NewMember("member-000000000002")
	there.Join(stays)
	if err := there.Broadcast(adaptertest.Event(`["seen"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	seen := adaptertest.Offset(t, m.Wait(t, 1)[0]) // the last that reaches the client
	list[0].Unblock()
	stays.Wait(t, 2) // and so the stream has brought the early one
	if err := third.Broadcast(adaptertest.Event(`["missed"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	stays.Wait(t, 3)
	save := func(m *adaptertest.Member, n *adaptertest.Node) adapter.Session {
		s := m.Leave(n, "pid")
		if err := n.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s = save(m, there)
	// So may a server that has had an attempt of the client waiting, which shows what it had even earlier.
	m = resume(t, here, s, last)
	m.Wait(t, 2)
	s = save(m, here)
	if got := resume(t, third, s, seen).Wait(t, 1); len(got) != 1 || !strings.Contains(got[0], "missed") {
		t.Errorf("got %q", got)
	}
}

func resume(t *testing.T, n *adaptertest.Node, s adapter.Session, last string) *adaptertest.Member {
	t.Helper()
	restored, err := n.Restore(t.Context(), s.PID, last)
	if err != nil {
		t.Fatal(err)
	}
	m := adaptertest.NewMember(s.SID)
	if err := n.Resume(t.Context(), m, restored, m.Replay); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestEventsFromBeforeTheReaderBegan: what a node emits before it knows where the stream ends never comes back to it
// through the stream, and must not be taken for something that is on its way for ever: a client from another node
// got it at each recovery, behind later events.
func TestEventsFromBeforeTheReaderBegan(t *testing.T) {
	t.Parallel()
	name, stream := unique(), unique()
	admin := shared.Client()
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do("ACL", "SETUSER", name, "on", ">secret", "~*", "&*", "+@all", "-xread", "-xrevrange")
	t.Cleanup(func() { _ = admin.Do(context.Background(), "ACL", "DELUSER", name).Err() })
	cfg := redis.Config{Mode: redis.Streams, Recovery: &adapter.Recovery{}, Prefix: stream, Stream: stream, SessionPrefix: stream + ":session:"}
	cfg.URL = shared.URL()
	there := start(t, cfg)
	cfg.URL = "redis://" + name + ":secret@" + shared.Addr()
	here := start(t, cfg)
	nodes := []*adaptertest.Node{adaptertest.NewNode(t, "/early", here.Adapter()), adaptertest.NewNode(t, "/early", there.Adapter())}
	if err := there.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	witness := adaptertest.NewMember("member-000000000001")
	nodes[1].Join(witness)
	for _, e := range []string{`["one"]`, `["two"]`} {
		if err := nodes[0].Broadcast(adaptertest.Event(e), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	witness.Wait(t, 2) // both are in the stream
	do("ACL", "SETUSER", name, "+@all")
	ready(t, here, there)
	m := adaptertest.NewMember("member-000000000002")
	nodes[1].Join(m)
	if err := nodes[1].Broadcast(adaptertest.Event(`["three"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	last := adaptertest.Offset(t, m.Wait(t, 1)[0])
	s := m.Leave(nodes[1], "pid")
	if err := nodes[1].Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	back := resume(t, nodes[0], s, last)
	if err := nodes[0].Broadcast(adaptertest.Event(`["four"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	if got := back.Wait(t, 1); len(got) != 1 || !strings.Contains(got[0], "four") {
		t.Errorf("got %q", got)
	}
}

// What is trimmed while a client is on its way back is missing: it is told, instead of getting the rest.
func TestRecoveryOfWhatIsTrimmedMeanwhile(t *testing.T) {
	t.Parallel()
	cfg := redis.Config{Mode: redis.Streams, Recovery: &adapter.Recovery{}, Prefix: unique(), URL: shared.URL()}
	cfg.Stream, cfg.SessionPrefix = cfg.Prefix, cfg.Prefix+":session:"
	other := &goredis.XAddArgs{Stream: cfg.Stream, Values: []string{"uid", "another", "nsp", "/another", "type", "3", "data", `{}`}}
	if err := shared.Client().XAdd(t.Context(), other).Err(); err != nil {
		t.Fatal(err)
	}
	c := start(t, cfg)
	n := adaptertest.NewNode(t, "/trimmed", c.Adapter())
	ready(t, c)
	m := adaptertest.NewMember("member-000000000001")
	n.Join(m)
	for range 3 {
		if err := n.Broadcast(adaptertest.Event(`["e"]`), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	last := adaptertest.Offset(t, m.Wait(t, 3)[0])
	s := m.Leave(n, "pid")
	if err := n.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	restored, err := n.Restore(t.Context(), s.PID, last)
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Client().XTrimMaxLen(t.Context(), cfg.Stream, 1).Err(); err != nil {
		t.Fatal(err)
	}
	if err := n.Resume(t.Context(), m, restored, m.Replay); !errors.Is(err, adapter.ErrNoRecovery) {
		t.Errorf("Resume: %v", err)
	}
}

// forgetful is a connection that loses the answer to one command.
type forgetful struct {
	net.Conn
	command *atomic.Pointer[string]
	lost    atomic.Bool
	before  func() // the answer is lost
}

func (c *forgetful) Write(b []byte) (int, error) {
	if want := c.command.Load(); want != nil && strings.Contains(string(b), "\r\n"+*want+"\r\n") && c.command.CompareAndSwap(want, nil) {
		c.lost.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *forgetful) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b) // so Redis has done it
	if c.lost.Load() {
		if c.before != nil {
			c.before()
		}
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

// TestRecoveryWhenAnswersAreLost: a connection to Redis that breaks costs no client its state, not even when Redis
// has done what it was asked.
func TestRecoveryWhenAnswersAreLost(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"get", "xrange", "set"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			var lose atomic.Pointer[string]
			options := shared.Client().Options()
			options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				return &forgetful{Conn: conn, command: &lose}, err
			}
			client := goredis.NewClient(options)
			defer client.Close()
			cfg := redis.Config{Client: client, Mode: redis.Streams, Recovery: &adapter.Recovery{}, Prefix: unique()}
			cfg.Stream, cfg.SessionPrefix = cfg.Prefix, cfg.Prefix+":session:"
			c := start(t, cfg)
			node := adaptertest.NewNode(t, "/answers", c.Adapter())
			ready(t, c)
			m, w := adaptertest.NewMember("member-000000000001"), adaptertest.NewMember("member-000000000002")
			node.Join(m)
			node.Join(w)
			if err := node.Broadcast(adaptertest.Event(`["first"]`), adapter.Target{}); err != nil {
				t.Fatal(err)
			}
			last := adaptertest.Offset(t, m.Wait(t, 1)[0])
			s := m.Leave(node, "pid")
			if err := node.Save(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if err := node.Broadcast(adaptertest.Event(`["missed"]`), adapter.Target{}); err != nil {
				t.Fatal(err)
			}
			adaptertest.Eventually(t, func() error { // before that it is replayed without the stream
				if n := c.Stats().Received; n < 2 {
					return fmt.Errorf("%d entries read", n)
				}
				return nil
			})
			lose.Store(&command)
			back := resume(t, node, s, last)
			if got := back.Wait(t, 1); len(got) != 1 || !strings.Contains(got[0], "missed") {
				t.Errorf("got %q", got)
			}
			if lose.Load() != nil {
				t.Errorf("%s was not sent: nothing was lost", command)
			}
			if _, err := node.Restore(t.Context(), s.PID, last); !errors.Is(err, adapter.ErrNoRecovery) {
				t.Errorf("a session that was taken is restored again: %v", err)
			}
		})
	}
}

// TestFirstEntryIsNotRepeated: when the answer to what a node publishes first is lost, it finds that Redis has it, though
// its own reader has gone past it.
func TestFirstEntryIsNotRepeated(t *testing.T) {
	t.Parallel()
	var lose atomic.Pointer[string]
	var c *redis.Cluster
	options := shared.Client().Options()
	options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &forgetful{Conn: conn, command: &lose, before: func() {
			adaptertest.Eventually(t, func() error {
				if c.Stats().Received == 0 {
					return errors.New("not read yet")
				}
				return nil
			})
		}}, err
	}
	client := goredis.NewClient(options)
	defer client.Close()
	prefix := unique()
	c = start(t, redis.Config{Client: client, Mode: redis.Streams, Prefix: prefix, Stream: prefix})
	node := adaptertest.NewNode(t, "/numbers", c.Adapter())
	ready(t, c)
	command := "xadd"
	lose.Store(&command)
	say := func(event string) {
		if err := node.Broadcast(adaptertest.Event(event), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
	}
	say(`["first"]`)
	adaptertest.Eventually(t, func() error {
		if lose.Load() != nil {
			return errors.New("not sent yet")
		}
		return nil
	})
	say(`["second"]`) // is sent when it is known what became of the first
	got := map[string]int{}
	adaptertest.Eventually(t, func() error {
		clear(got)
		list, err := shared.Client().XRange(t.Context(), prefix, "-", "+").Result()
		for _, e := range list {
			for _, event := range []string{"first", "second"} {
				if strings.Contains(fmt.Sprint(e.Values), event) {
					got[event]++
				}
			}
		}
		if err == nil && got["second"] == 0 {
			err = errors.New("not published yet")
		}
		return err
	})
	if got["first"] != 1 {
		t.Errorf("the stream has %v", got)
	}
}

// TestRecoveryLeavesOutWhatIsRepeated: a node whose answer from Redis was late has sent an event once more, and the
// stream has it twice. A client that recovers gets it once, whether it had it before or not.
func TestRecoveryLeavesOutWhatIsRepeated(t *testing.T) {
	t.Parallel()
	cfg := redis.Config{URL: shared.URL(), Mode: redis.Streams, Recovery: &adapter.Recovery{}, Prefix: unique()}
	cfg.Stream, cfg.SessionPrefix = cfg.Prefix, cfg.Prefix+":session:"
	c := start(t, cfg)
	node := adaptertest.NewNode(t, "/repeated", c.Adapter())
	ready(t, c)
	m := adaptertest.NewMember("member-000000000001")
	node.Join(m)
	// twice sends an event and appends its entry once more, and waits until the node has read that.
	twice := func(event string) {
		t.Helper()
		before := c.Stats().Skipped
		if err := node.Broadcast(adaptertest.Event(event), adapter.Target{}); err != nil {
			t.Fatal(err)
		}
		var list []goredis.XMessage
		adaptertest.Eventually(t, func() (err error) {
			list, err = shared.Client().XRevRangeN(t.Context(), cfg.Stream, "+", "-", 1).Result()
			if err == nil && (len(list) == 0 || !strings.Contains(fmt.Sprint(list[0].Values["data"]), event[2:len(event)-2])) {
				err = fmt.Errorf("%s is not in the stream", event)
			}
			return err
		})
		if err := shared.Client().XAdd(t.Context(), &goredis.XAddArgs{Stream: cfg.Stream, Values: list[0].Values}).Err(); err != nil {
			t.Fatal(err)
		}
		adaptertest.Eventually(t, func() error {
			if c.Stats().Skipped == before {
				return errors.New("the repeated entry has not been read")
			}
			return nil
		})
	}
	if err := node.Broadcast(adaptertest.Event(`["first"]`), adapter.Target{}); err != nil {
		t.Fatal(err)
	}
	last := adaptertest.Offset(t, m.Wait(t, 1)[0])
	s := m.Leave(node, "pid")
	if err := node.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	twice(`["missed"]`)
	twice(`["also"]`)
	got := resume(t, node, s, last).Wait(t, 2)
	if len(got) != 2 || !strings.Contains(got[0], "missed") || !strings.Contains(got[1], "also") {
		t.Errorf("got %q", got)
	}
}

// TestRecoveryFromASilentServer: who cannot hear the server that may have the session does not say that there is none.
func TestRecoveryFromASilentServer(t *testing.T) {
	t.Parallel()
	list := proxies(t, 2)
	nodes := behind(redis.Config{}, list...)(t, "/silent", 2)
	if _, err := nodes[1].Restore(t.Context(), "nobody", ""); err == nil || !strings.Contains(err.Error(), "unknown or expired session") {
		t.Errorf("with all servers there: %v", err)
	}
	list[0].Block()
	defer list[0].Unblock()
	_, err := nodes[1].Restore(t.Context(), "nobody", "")
	var partial *adapter.PartialError
	if !errors.Is(err, adapter.ErrNoRecovery) || !errors.As(err, &partial) || strings.Contains(err.Error(), "unknown") {
		t.Errorf("with one that is silent: %v", err)
	}
}

// TestTakeOverWhileConnectionsBreak: a client comes anew at about the moment when the subscriptions break, of all servers
// or of the one that holds its socket, which is there again later or sooner. Its session is neither unknown nor expired.
func TestTakeOverWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]time.Duration{"killed": 0, "away 200ms": 200 * time.Millisecond, "away 1200ms": 1200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			cfg := redis.Config{Mode: redis.Streams, Recovery: &adapter.Recovery{}, Prefix: unique(), HeartbeatInterval: 2 * time.Second}
			cfg.Stream, cfg.SessionPrefix = cfg.Prefix, cfg.Prefix+":session:"
			var clusters []*redis.Cluster
			var nodes []*adaptertest.Node
			for _, url := range []string{p.URL(), s.URL(), s.URL()} {
				cfg.URL = url
				clusters = append(clusters, start(t, cfg))
				nodes = append(nodes, adaptertest.NewNode(t, "/anew", clusters[len(clusters)-1].Adapter()))
			}
			ready(t, clusters...)
			holder := nodes[0]
			var sessions []adapter.Session
			held, pids := map[string]*adaptertest.Member{}, map[string]string{}
			var mu sync.Mutex
			holder.NS.OnTakeOver(func(ctx context.Context, id string, _ bool) bool {
				mu.Lock()
				m := held[id]
				delete(held, id)
				mu.Unlock()
				return m != nil && holder.Save(ctx, m.Leave(holder, pids[id])) == nil
			})
			for i := range 64 {
				pid := fmt.Sprint("pid ", i)
				m := adaptertest.NewMember(adapter.SocketID(pid))
				holder.Join(m)
				held[m.ID()], pids[m.ID()] = m, pid
				sessions = append(sessions, adapter.Session{SID: m.ID(), PID: pid})
			}
			if err := holder.Broadcast(adaptertest.Event(`["first"]`), adapter.Target{}); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			last := adaptertest.Offset(t, held[sessions[0].SID].Wait(t, 1)[0])
			mu.Unlock()
			var wg sync.WaitGroup
			for i, x := range sessions {
				wg.Go(func() {
					pass(t, time.Duration(i)*time.Millisecond)
					if _, err := nodes[1+i%2].Restore(t.Context(), x.PID, last); err != nil {
						t.Errorf("client %d: %v", i, err)
					}
				})
			}
			pass(t, 25*time.Millisecond)
			if away > 0 {
				p.Cut(true)
				pass(t, away)
				p.Cut(false)
			} else if err := s.Client().Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			if _, err := nodes[1].Restore(t.Context(), "nobody", last); err == nil || !strings.Contains(err.Error(), "unknown or expired session") {
				t.Errorf("of nobody: %v", err)
			}
		})
	}
}
