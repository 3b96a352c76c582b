package redis

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// Each error has the advice that helps.
func TestAdvice(t *testing.T) {
	for err, want := range map[error]string{
		io.EOF: "client-output-buffer-limit pubsub",
		&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}:      "client-output-buffer-limit pubsub",
		&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}: "check that Redis runs",
	} {
		if got := advice(err); !strings.Contains(got, want) {
			t.Errorf("advice for %q: %q", err, got)
		}
	}
	for text, want := range map[string]string{
		"BUSY Redis is busy running a script":                      "SCRIPT KILL",
		"LOADING Redis is loading the dataset in memory":           "reads its data",
		"NOREPLICAS Not enough good replicas to write":             "min-replicas-to-write",
		"NOPERM this user has no permissions":                      "allow this Redis user",
		"ERR The user executing the script can't run this command": "allow this Redis user",
		"WRONGTYPE Operation against a key":                        "something else uses a key",
		"UNBLOCKED force unblock from blocking operation":          "handed over to its replica",
		"ASK 9972 127.0.0.1:12202":                                 "are being moved",
		"TRYAGAIN Multiple keys request during rehashing of slot":  "are being moved",
		"CLUSTERDOWN Hash slot not served":                         "CLUSTER INFO",
		"MOVED 9972 127.0.0.1:12202":                               "cluster=true",
		"ERR max number of clients reached":                        "maxclients",
		"ERR unknown command `SPUBLISH`, with args":                "no sharded channels",
		"ERR unknown command `XADD`, with args":                    "no streams",
		"ERR unknown command `ROLE`, with args":                    "too old",
		"ERR something that nobody has seen":                       "has refused this",
	} {
		if got := advice(refusal(text)); !strings.Contains(got, want) || strings.Contains(got, "rediss://") {
			t.Errorf("advice for %q: %q", text, got)
		}
	}
}

// What could not be published while the cluster was down is said when it is up again, once.
func TestLossesAreSaidWhenTheClusterIsUpAgain(t *testing.T) {
	var b bytes.Buffer
	var n counters
	s := newState(slog.New(slog.NewTextHandler(&b, nil)))
	s.steady, s.losses = 0, func() map[string]uint64 { return n.losses(lostUnpublished) }
	s.set(PartStart, "", nil)
	n.lost[lostAge].Add(7)
	n.lost[lostGone].Add(5) // of others
	for range 2 {
		s.set(PartSending, "", errUnsent)
		s.set(PartSending, "", nil)
	}
	if text := b.String(); strings.Count(text, "messages=7") != 1 || strings.Count(text, "messages of this server were lost") != 1 {
		t.Error(text)
	}
}

// What its sender has given up was not fetched.
func TestFetchedIsWhatWasDelivered(t *testing.T) {
	g := &gap{known: true}
	list := []arrival{{n: 1, spot: spot{0, 1}}, {n: 2, spot: spot{1, 2}, payload: []byte("x")}}
	got := 0
	if fetched, lost := g.answered(&piece{ending: ending{n: 2, count: 2}}, list, func(arrival) { got++ }); fetched != 1 || lost != 0 || got != 1 {
		t.Errorf("fetched %d, lost %d, delivered %d", fetched, lost, got)
	}
}

// An answer whose fate is not known is no event, unless servers of Node have its namespace, too.
func TestAnswersAreNotUnconfirmed(t *testing.T) {
	s := &sender{publisher: &publisher{keeper: &keeper{}, stats: &counters{}}, unsure: map[string]uint64{}}
	s.dubious(&command{nsp: "/#"}, errUnsent)
	if n := s.stats.lost[lostUnconfirmed].Load(); n != 1 { // without a number
		t.Errorf("%d", n)
	}
	s.dubious(&command{nsp: "/"}, errUnsent)
	if n := s.stats.lost[lostUnconfirmed].Load(); n != 1 || s.unsure["/"] != 1 {
		t.Errorf("%d, %v", n, s.unsure)
	}
}

// Servers of another mode are found by what they listen to; and of a prefix only others are neighbours.
func TestServersOfAnotherModeAreSaid(t *testing.T) {
	s := redistest.Start(t)
	open := func(mode Mode) *Cluster {
		c, err := New(Config{URL: s.URL(), Mode: mode, HeartbeatInterval: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(t.Context()) })
		return c
	}
	said := func(c *Cluster) error {
		for _, p := range c.Status().Parts {
			if p.Kind == PartAgreement && p.Of == "mode" {
				return p.Err
			}
		}
		return nil
	}
	client := s.Client()
	sub := client.Subscribe(t.Context(), "socket.io#/#", "socket.io#/#abcdef#") // as a server of Node in mode streams
	defer func() { _ = sub.Close() }()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[Mode]bool{Auto: true, Streams: true, PubSub: false, Sharded: false} {
		c := open(mode)
		if mode == Auto && c.cfg.Mode != Streams {
			t.Errorf("auto took %s", c.cfg.Mode)
		}
		adaptertest.NewNode(t, "/", c.Adapter())
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		adaptertest.Eventually(t, func() error {
			if err := said(c); (err == nil) != ok {
				return errors.Join(errors.New(string(mode)), err)
			}
			return nil
		})
		list, err := c.neighbours(t.Context(), "mine")
		if len(list) > 0 || err != nil {
			t.Errorf("%s: neighbours %q, %v", mode, list, err)
		}
		_ = c.Close(t.Context())
	}
}

// An emitter that no server can hear says so when it is closed.
func TestEmitterOfAnotherMode(t *testing.T) {
	s := redistest.Start(t)
	c, err := New(Config{URL: s.URL(), Mode: Streams, Recovery: &adapter.Recovery{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	adaptertest.Eventually(t, func() error {
		if !c.Status().Up {
			return errors.New("down")
		}
		return nil
	})
	for mode, ok := range map[Mode]bool{Streams: true, PubSub: false, Sharded: false} {
		e, err := NewEmitter(Config{URL: s.URL(), Mode: mode, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err = errors.Join(e.Emit("e"), e.Close(t.Context())); (err == nil) != ok || err != nil && !errors.Is(err, errSettings) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}
