package redis

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// members knows which Beanpole nodes are alive: those in the roster, and those that only say so.
type members struct {
	uid     string
	misses  int
	state   *state
	send    func(to string, b []byte, urgent bool, done func(error)) // publishes a heartbeat to one node, or to all
	came    func(uid string)                                         // is told of nodes that came, with no lock held
	gone    func(uid string)                                         // is told of nodes that went, with no lock held
	silent  func()                                                   // is told that beats do not come back
	last    func() time.Time                                         // when anything last came on the beats' connection
	prompt  chan struct{}                                            // holds one token when the roster is to be looked at
	goodbye time.Duration                                            // how long a node given up is remembered
	silence time.Duration                                            // how long a beat may take to come back
	doubted atomic.Bool                                              // connections are to be looked at, too
	proven  atomic.Int64                                             // when the last beat was sent that came back, in nanoseconds since 1970
	entered chan struct{}                                            // closed when this node is in the roster and has read it, or Redis lets it have none
	enter   func()                                                   // closes it

	mu       sync.Mutex
	peers    map[string]*peer
	dead     map[string]time.Time // given up without having said bye; Redis may still count them
	left     map[string]time.Time // said bye
	nsps     map[string]struct{}  // of this node
	version  uint64
	room     int           // how many nodes are believed by their beats alone
	epoch    string        // of the roster as it is known here; empty when it is not
	disputed bool          // some in the roster have no connection
	unlisted bool          // Redis lets this node have no roster
	stopped  bool          // bye was said
	telling  bool          // here is about to be said
	beat     uint64        // number of the last beat sent
	sent     time.Time     // when it was
	lag      time.Duration // how long the last one took that came back
	acked    uint64        // number of the last beat Redis has taken
	seen     uint64        // number of the last beat that came back
	flying   bool          // a beat is in the outbox
	quiet    time.Time     // since when beats that Redis took do not come back; zero while they do
}

type peer struct {
	told   bool // known by its beats, and not by the roster
	missed int  // if told: our beats that came back since the last sign of it

	// Of those in the roster.
	since  time.Time // when it was first seen there
	begun  string    // the list that had it
	absent time.Time // since when it has no connection; zero while it has
}

// minRoom bounds how many nodes are believed by their beats alone before Redis is asked how many there are.
const minRoom = 64

func newMembers(uid string, interval time.Duration, misses int, s *state) *members {
	m := &members{uid: uid, misses: misses, state: s, goodbye: time.Minute, silence: max(2*interval, time.Second),
		room: minRoom, prompt: make(chan struct{}, 1), entered: make(chan struct{}), peers: map[string]*peer{}, dead: map[string]time.Time{},
		left: map[string]time.Time{}, nsps: map[string]struct{}{}}
	m.enter = sync.OnceFunc(func() { close(m.entered) })
	return m
}

// look has the roster looked at soon.
func (m *members) look() {
	select {
	case m.prompt <- struct{}{}:
	default:
	}
}

// doubt has it looked soon whether connections are gone because their nodes are.
func (m *members) doubt() {
	m.doubted.Store(true)
	m.look()
}

// names returns the nodes, but this one, that live, and those that went lately.
func (m *members) names() (live, dead []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	live = make([]string, 0, len(m.peers))
	for uid := range m.peers {
		live = append(live, uid)
	}
	for _, list := range []map[string]time.Time{m.dead, m.left} {
		for uid := range list {
			dead = append(dead, uid)
		}
	}
	return live, dead
}

// knows reports whether uid is a live Beanpole node.
func (m *members) knows(uid string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[uid] != nil
}

// answers reports whether who has uid may answer though nobody seems to listen: a live node, or an emitter, which is in no
// list.
func (m *members) answers(uid string) bool { return isEmitter(uid) || m.knows(uid) }

// listed reports whether uid is in the list of servers: what only says that it lives may be anybody.
func (m *members) listed(uid string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[uid]
	return p != nil && !p.told
}

// missed reports whether uid was given up, not having said that it goes.
func (m *members) missed(uid string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.dead[uid]
	return ok
}

// count returns how many nodes live, this one included.
func (m *members) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return 1 + len(m.peers)
}

// delay returns how long a message takes through Redis and back: the last beat, or the one on its way.
func (m *members) delay() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen < m.beat {
		return max(m.lag, time.Since(m.sent))
	}
	return m.lag
}

// proved returns when the last beat was sent that came back: what was published before has come, too.
func (m *members) proved() time.Time {
	return time.Unix(0, m.proven.Load())
}

// trim forgets nodes known by their beats only, if there are more than n: those first that have been silent
// longest. Whoever can publish can pretend to be any number of them, but not to be connected.
func (m *members) trim(n int) {
	var list []string
	m.mu.Lock()
	for uid, p := range m.peers {
		if p.told {
			list = append(list, uid)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return m.peers[a].missed - m.peers[b].missed })
	list = list[min(max(n, 0), len(list)):]
	for _, uid := range list {
		delete(m.peers, uid)
	}
	m.mu.Unlock()
	for _, uid := range list {
		m.gone(uid)
	}
}

// lost says that nodes are gone.
func (m *members) lost(uids []string) {
	for _, uid := range uids {
		m.state.log.Info("node gone", "node", uid)
		m.gone(uid)
	}
}

// withoutRoster notes that Redis refuses it. The nodes then know each other by what they say to everyone.
func (m *members) withoutRoster(err error) {
	m.mu.Lock()
	was := m.unlisted
	m.unlisted, m.epoch = true, ""
	for _, p := range m.peers {
		p.told = true
	}
	m.mu.Unlock()
	if !was {
		m.state.log.Warn("no list of servers in Redis: each tells all others that it lives, which costs much where there are many",
			"cause", err, "advice", advice(err))
		m.hello()
	}
}
