// Package adaptertest is one suite of tests for every adapter, and the fakes it is run with: a
// namespace without clients and members that keep what they are sent.
package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// Member is a socket without a client. It keeps what was delivered to it.
type Member struct {
	id   string
	gone atomic.Bool

	mu      sync.Mutex
	got     []adapter.Message
	flags   []adapter.Flags
	ended   []bool // Disconnect calls, true for closeSession
	arrived *sync.Cond
	answer  func(adapter.Message) *adapter.Message
	watch   func(adapter.Message)
	strip   bool // Got leaves out offsets
	last    string
}

// NewMember returns a member with the id, which in a cluster should have 20 characters.
func NewMember(id string) *Member {
	m := &Member{id: id}
	m.arrived = sync.NewCond(&m.mu)
	return m
}

// ID returns the id.
func (m *Member) ID() string { return m.id }

// Gone reports whether Leave was called.
func (m *Member) Gone() bool { return m.gone.Load() }

// SetGone makes Gone true.
func (m *Member) SetGone() { m.gone.Store(true) }

// Answer sets what the member answers when asked; nil answers nothing.
func (m *Member) Answer(fn func(adapter.Message) *adapter.Message) {
	m.mu.Lock()
	m.answer = fn
	m.mu.Unlock()
}

// Watch has fn called, in their order, with the messages that the member would keep from now on.
func (m *Member) Watch(fn func(adapter.Message)) {
	m.mu.Lock()
	m.watch = fn
	m.mu.Unlock()
}

func (m *Member) deliver(msg adapter.Message, f adapter.Flags) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watch != nil {
		m.watch(msg)
		return
	}
	m.got = append(m.got, msg)
	m.flags = append(m.flags, f)
	if msg.Offset != "" {
		m.last = msg.Offset
	}
	m.arrived.Broadcast()
}

// Replay takes an event that the member has missed.
func (m *Member) Replay(msg adapter.Message) { m.deliver(msg, adapter.Flags{}) }

// Leave takes the member out of the node, and returns its session as a server saves it.
func (m *Member) Leave(n *Node, pid string) adapter.Session {
	m.SetGone()
	rooms, trail := n.Remove(m)
	m.mu.Lock()
	defer m.mu.Unlock()
	return adapter.Session{SID: m.id, PID: pid, Rooms: rooms, Trail: trail, Last: m.last}
}

// Got returns the data of what was delivered so far.
func (m *Member) Got() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := make([]string, len(m.got))
	for i, x := range m.got {
		s[i] = string(x.Data)
		if m.strip && x.Offset != "" {
			s[i] = strings.TrimSuffix(s[i], `,"`+x.Offset+`"]`) + "]"
		}
	}
	return s
}

// Count returns how many messages were delivered so far.
func (m *Member) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.got)
}

// Messages returns what was delivered so far.
func (m *Member) Messages() []adapter.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

// Flags returns the flags of what was delivered so far.
func (m *Member) Flags() []adapter.Flags {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.flags)
}

// Ended returns one entry for each time the member was disconnected, true for its whole session.
func (m *Member) Ended() []bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ended)
}

// Wait waits until the member has n messages and returns them all.
func (m *Member) Wait(t *testing.T, n int) []string {
	t.Helper()
	Eventually(t, func() error {
		if got := m.Got(); len(got) < n {
			return fmt.Errorf("%s got %d messages of %d: %q", m.id, len(got), n, got)
		}
		return nil
	})
	return m.Got()
}

// Patience is how long the suite waits for what must happen.
const Patience = 30 * time.Second

// Eventually fails the test when fn does not return nil within Patience.
func Eventually(t *testing.T, fn func() error) {
	t.Helper()
	end := time.Now().Add(Patience)
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // polls another process or node: no event to await
	}
}

// Namespace is a namespace without clients.
type Namespace struct {
	name string

	mu     sync.Mutex
	events []adapter.Message
	reply  func(adapter.Message) *adapter.Message

	after    func(adapter.Message)
	takeOver func(context.Context, string, bool) bool
}

var _ adapter.Namespace = (*Namespace)(nil)

// NewNamespace returns a namespace.
func NewNamespace(name string) *Namespace { return &Namespace{name: name} }

// Name returns the name.
func (n *Namespace) Name() string { return n.name }

// Deliver keeps m with each member.
func (n *Namespace) Deliver(m adapter.Message, f adapter.Flags, to []adapter.Member) (after func()) {
	for _, x := range to {
		x.(*Member).deliver(m, f)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.after == nil || len(to) == 0 {
		return nil
	}
	return func() { n.after(m) }
}

// After has fn called with every event that was delivered, as an application's listener of outgoing events is.
func (n *Namespace) After(fn func(adapter.Message)) {
	n.mu.Lock()
	n.after = fn
	n.mu.Unlock()
}

// OnTakeOver sets what TakeOver does.
func (n *Namespace) OnTakeOver(fn func(ctx context.Context, id string, forGood bool) bool) {
	n.mu.Lock()
	n.takeOver = fn
	n.mu.Unlock()
}

// TakeOver calls what OnTakeOver has set.
func (n *Namespace) TakeOver(ctx context.Context, id string, forGood bool) bool {
	n.mu.Lock()
	fn := n.takeOver
	n.mu.Unlock()
	return fn != nil && fn(ctx, id, forGood)
}

// DeliverWithAck keeps m with each member, whose Answer function answers from another goroutine.
func (n *Namespace) DeliverWithAck(m adapter.Message, f adapter.Flags, to []adapter.Member, answer func(m adapter.Message, missing bool)) func() {
	var over atomic.Bool
	for _, x := range to {
		x := x.(*Member)
		x.deliver(m, f)
		x.mu.Lock()
		fn := x.answer
		x.mu.Unlock()
		if fn == nil {
			continue
		}
		go func() {
			if a := fn(m); a != nil && !over.Load() {
				answer(*a, false)
			}
		}()
	}
	return func() { over.Store(true) }
}

// Describe describes members; their data is {"id":"<id>"}.
func (n *Namespace) Describe(of []adapter.Member) []adapter.Details {
	d := []adapter.Details{}
	for _, m := range of {
		d = append(d, adapter.Details{
			ID: m.ID(),
			Handshake: adapter.Handshake{
				Headers: map[string]string{"user-agent": "test"}, Time: "Thu Jan 01 1970", Address: "192.0.2.1",
				Issued: 1234, URL: "/socket.io/?EIO=4", Query: map[string]string{"EIO": "4"}, Auth: adapter.Raw(`{"token":"x"}`),
			},
			Rooms: []string{m.ID()},
			Data:  adapter.Raw(`{"id":"` + m.ID() + `"}`),
		})
	}
	return d
}

// Disconnect notes that members were disconnected.
func (n *Namespace) Disconnect(members []adapter.Member, closeSession bool) {
	for _, x := range members {
		x := x.(*Member)
		x.mu.Lock()
		x.ended = append(x.ended, closeSession)
		x.mu.Unlock()
	}
}

// Reply sets what the application answers to server events; nil answers nothing.
func (n *Namespace) Reply(fn func(adapter.Message) *adapter.Message) {
	n.mu.Lock()
	n.reply = fn
	n.mu.Unlock()
}

// ServerEvent keeps m and answers with the function given to Reply.
func (n *Namespace) ServerEvent(m adapter.Message, reply func(adapter.Message)) {
	n.mu.Lock()
	n.events = append(n.events, m)
	fn := n.reply
	n.mu.Unlock()
	if fn != nil && reply != nil {
		if a := fn(m); a != nil {
			reply(*a)
		}
	}
}

// Events returns the server events so far.
func (n *Namespace) Events() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := make([]string, len(n.events))
	for i, x := range n.events {
		s[i] = string(x.Data)
	}
	return s
}
