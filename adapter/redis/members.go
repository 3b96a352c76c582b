package redis

import (
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// The channel of heartbeats is Beanpole's own; Node peers neither listen to it nor count it. Each
// message is a JSON object.
//
//	beat  every HeartbeatInterval: uid, number of the beat, version of the list of namespaces
//	hello a node has come, or come back: uid, version, all namespaces. The others answer with here.
//	here  uid, version, all namespaces
//	add, del  one namespace more or less: uid, version, namespace
//	who   asks the node of to say here: its list is not known
//	bye   a node goes
type heartbeat struct {
	Kind    string   `json:"t"`
	UID     string   `json:"uid"`
	N       uint64   `json:"n,omitzero"`
	Version uint64   `json:"v,omitzero"`
	Nsp     string   `json:"nsp,omitzero"`
	All     []string `json:"all,omitempty"`
	Of      string   `json:"of,omitzero"`
}

// members knows which Beanpole nodes are alive and which namespaces they have.
type members struct {
	uid     string
	misses  int
	state   *state
	send    func(b []byte, urgent bool, done func(error)) // publishes a heartbeat
	gone    func(uid string)                              // is told of nodes that went, with no lock held
	left    func(uid, nsp string)                         // is told of nodes that closed a namespace; likewise
	silent  func()                                        // is told that beats do not come back
	last    func() time.Time                              // when anything last came on the beats' connection
	goodbye time.Duration                                 // how long a node given up is remembered
	silence time.Duration                                 // how long a beat may take to come back

	mu      sync.Mutex
	peers   map[string]*peer
	dead    map[string]time.Time // given up without having said bye; Redis may still count them
	nsps    map[string]struct{}  // of this node
	version uint64
	beat    uint64        // number of the last beat sent
	sent    time.Time     // when it was
	lag     time.Duration // how long the last one took that came back
	acked   uint64        // number of the last beat Redis has taken
	seen    uint64        // number of the last beat that came back
	flying  bool          // a beat is in the outbox
	quiet   time.Time     // since when beats that Redis took do not come back; zero while they do
}

type peer struct {
	nsps    map[string]struct{}
	version uint64
	missed  int // our beats that came back since the last sign of it
}

func newMembers(uid string, interval time.Duration, misses int, s *state) *members {
	return &members{uid: uid, misses: misses, state: s, goodbye: time.Minute, silence: max(2*interval, time.Second),
		peers: map[string]*peer{}, dead: map[string]time.Time{}, nsps: map[string]struct{}{}}
}

func (m *members) say(h heartbeat, urgent bool, done func(error)) {
	h.UID = m.uid
	b, err := json.Marshal(h)
	if err != nil {
		return // strings and numbers only
	}
	m.send(b, urgent, done)
}

// all returns the namespaces of this node. Called with mu held.
func (m *members) all() []string {
	list := make([]string, 0, len(m.nsps))
	for nsp := range m.nsps {
		list = append(list, nsp)
	}
	return list
}

// hello says that this node is here, or here again, and asks the others.
func (m *members) hello() {
	m.mu.Lock()
	h := heartbeat{Kind: "hello", Version: m.version, All: m.all()}
	m.mu.Unlock()
	m.say(h, true, nil)
}

// bye says that this node goes.
func (m *members) bye() { m.say(heartbeat{Kind: "bye"}, true, nil) }

// tick sends a beat, and looks whether the last ones came back.
func (m *members) tick() {
	m.mu.Lock()
	silent := false
	if m.acked <= m.seen {
		m.quiet = time.Time{}
	} else if m.quiet.IsZero() {
		m.quiet = time.Now()
	} else if q := time.Since(m.quiet); q > 10*m.silence || q > m.silence && time.Since(m.last()) > m.silence {
		// Behind a flood of messages a beat takes its time: that is no silence.
		silent, m.quiet = true, time.Now()
	}
	for uid, at := range m.dead {
		if time.Since(at) > m.goodbye {
			delete(m.dead, uid)
		}
	}
	fly := !m.flying
	if fly {
		m.beat++
		m.sent = time.Now()
		m.flying = true
	}
	h := heartbeat{Kind: "beat", N: m.beat, Version: m.version}
	m.mu.Unlock()
	if fly {
		m.say(h, true, func(err error) {
			m.mu.Lock()
			m.flying = false
			if err == nil {
				m.acked = h.N
			}
			m.mu.Unlock()
		})
	}
	if silent {
		m.state.set("heartbeat", errSilent)
		m.silent()
	}
}

// set notes that this node has the namespace nsp, or has it no more.
func (m *members) set(nsp string, has bool) {
	h := heartbeat{Kind: "add", Nsp: nsp}
	m.mu.Lock()
	if has {
		m.nsps[nsp] = struct{}{}
	} else {
		h.Kind = "del"
		delete(m.nsps, nsp)
	}
	m.version++
	h.Version = m.version
	m.mu.Unlock()
	m.say(h, false, nil)
}

// with returns the nodes, but this one, that have the namespace nsp.
func (m *members) with(nsp string) (uids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for uid, p := range m.peers {
		if _, ok := p.nsps[nsp]; ok {
			uids = append(uids, uid)
		}
	}
	return uids
}

// knows reports whether uid is a live Beanpole node.
func (m *members) knows(uid string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[uid] != nil
}

// missed reports whether uid was given up, not having said that it goes.
func (m *members) missed(uid string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.dead[uid]
	return ok
}

// count returns how many nodes live, this one included, and how many were given up lately.
func (m *members) count() (live, dead int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return 1 + len(m.peers), len(m.dead)
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

// receive reads a heartbeat. It reports false for what is none.
func (m *members) receive(payload []byte) bool {
	var h heartbeat
	if len(payload) == 0 || json.Unmarshal(payload, &h) != nil || h.UID == "" {
		return false
	}
	if h.UID == m.uid {
		if h.Kind == "beat" {
			m.own(h.N)
		}
		return true
	}
	var reply *heartbeat
	left := false
	m.mu.Lock()
	if h.Kind == "bye" {
		_, was := m.peers[h.UID]
		delete(m.peers, h.UID)
		delete(m.dead, h.UID)
		m.mu.Unlock()
		if was {
			m.gone(h.UID)
		}
		return true
	}
	p := m.peers[h.UID]
	if p == nil {
		p = &peer{nsps: map[string]struct{}{}}
		m.peers[h.UID] = p
		delete(m.dead, h.UID)
		if h.Kind != "hello" && h.Kind != "here" {
			p.version = ^uint64(0) // its list is not known
		}
	}
	p.missed = 0
	switch h.Kind {
	case "hello", "here":
		p.version = h.Version
		clear(p.nsps)
		for _, nsp := range h.All {
			p.nsps[nsp] = struct{}{}
		}
		if h.Kind == "hello" {
			reply = &heartbeat{Kind: "here", Version: m.version, All: m.all()}
		}
	case "add", "del":
		if h.Version != p.version+1 {
			if h.Version != p.version {
				reply = &heartbeat{Kind: "who", Of: h.UID}
			}
			break
		}
		p.version = h.Version
		if h.Kind == "add" {
			p.nsps[h.Nsp] = struct{}{}
		} else {
			delete(p.nsps, h.Nsp)
			left = true
		}
	case "beat":
		if h.Version != p.version {
			reply = &heartbeat{Kind: "who", Of: h.UID}
		}
	case "who":
		if h.Of == m.uid {
			reply = &heartbeat{Kind: "here", Version: m.version, All: m.all()}
		}
	}
	m.mu.Unlock()
	if left {
		m.left(h.UID, h.Nsp)
	}
	if reply != nil {
		m.say(*reply, true, nil)
	}
	return true
}

// own notes that a beat of this node came back: publishing and subscriptions work, so whoever has
// not been heard for a while is gone. By our beats and not by the clock, which goes on when Redis
// stands still.
func (m *members) own(n uint64) {
	var gone []string
	m.mu.Lock()
	again := m.seen == 0 || !m.quiet.IsZero()
	m.seen = max(m.seen, n)
	if n == m.beat {
		m.lag = time.Since(m.sent)
	}
	m.quiet = time.Time{}
	for uid, p := range m.peers {
		if n != m.beat { // late: others may be as late
			break
		}
		if p.missed++; p.missed > m.misses {
			delete(m.peers, uid)
			m.dead[uid] = time.Now()
			gone = append(gone, uid)
		}
	}
	m.mu.Unlock()
	m.state.set("start", nil)
	m.state.set("heartbeat", nil)
	for _, uid := range gone {
		m.state.log.Info("node gone", "node", uid)
		m.gone(uid)
	}
	if again {
		m.hello() // what others said meanwhile was not heard
	}
}
