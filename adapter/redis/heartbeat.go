package redis

import (
	"math/rand/v2"
	"time"

	"github.com/go-json-experiment/json"
)

// The channel of heartbeats is Beanpole's own; Node peers neither listen to it nor count it. Beside it each node has
// one of its own. Each message is a JSON object.
//
//	beat  every HeartbeatInterval to itself: uid, number of the beat
//	hello a node has come, or come back: uid, version, all namespaces. Others look into the roster
//	look  the roster has changed
//	bye   a node goes
//
// Nodes that are not in the roster, as those of versions before it, know each other by what they say to everyone.
// While there is one, everyone also sends it
//
//	beat  every HeartbeatInterval to everyone, with the version of the list of namespaces
//	here  uid, version, all namespaces: the answer to hello and who
//	add, del  one namespace more or less: uid, version, namespace
//	who   asks the node of to say here: its list is not known. Only such nodes ask
type heartbeat struct {
	Kind    string   `json:"t"`
	UID     string   `json:"uid"`
	N       uint64   `json:"n,omitzero"`
	Version uint64   `json:"v,omitzero"`
	Nsp     string   `json:"nsp,omitzero"`
	All     []string `json:"all,omitempty"`
	Of      string   `json:"of,omitzero"`
	Listed  bool     `json:"r,omitzero"` // the sender is in the roster
}

// farewell is for how long what a node may have sent before its bye does not bring it back.
const farewell = 3 * time.Second

// say sends h to one node, or to all if to is empty.
func (m *members) say(to string, h heartbeat, urgent bool, done func(error)) {
	h.UID = m.uid
	m.mu.Lock()
	h.Listed = !m.unlisted
	m.mu.Unlock()
	b, err := json.Marshal(h)
	if err != nil {
		return // strings and numbers only
	}
	m.send(to, b, urgent, done)
}

// all returns the namespaces of this node. Called with mu held.
func (m *members) all() []string {
	list := make([]string, 0, len(m.nsps))
	for nsp := range m.nsps {
		list = append(list, nsp)
	}
	return list
}

// toldAny reports whether there are nodes that the roster does not have, or this is one. Called with mu held.
func (m *members) toldAny() bool {
	if m.unlisted {
		return true
	}
	for _, p := range m.peers {
		if p.told {
			return true
		}
	}
	return false
}

// hello says that this node is here, or here again.
func (m *members) hello() {
	m.mu.Lock()
	h := heartbeat{Kind: "hello", Version: m.version, All: m.all()}
	m.mu.Unlock()
	m.say("", h, true, nil)
}

// tell says to the nodes that have no roster which namespaces this one has: soon, and once for all who ask meanwhile.
// Called with mu held.
func (m *members) tell() {
	if m.telling || m.stopped {
		return
	}
	m.telling = true
	time.AfterFunc(rand.N(100*time.Millisecond), func() {
		m.mu.Lock()
		m.telling = false
		h := heartbeat{Kind: "here", Version: m.version, All: m.all()}
		stopped := m.stopped
		m.mu.Unlock()
		if !stopped {
			m.say("", h, true, nil)
		}
	})
}

// bye says that this node goes, and nothing after it.
func (m *members) bye() {
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	m.say("", heartbeat{Kind: "bye"}, true, nil)
}

// tick sends a beat, and looks whether the last ones came back.
func (m *members) tick() {
	m.mu.Lock()
	if m.stopped {
		m.mu.Unlock()
		return
	}
	silent := false
	if m.acked <= m.seen {
		m.quiet = time.Time{}
	} else if m.quiet.IsZero() {
		m.quiet = time.Now()
	} else if q := time.Since(m.quiet); q > 10*m.silence || q > m.silence && time.Since(m.last()) > m.silence {
		// Behind a flood of messages a beat takes its time: that is no silence.
		silent, m.quiet = true, time.Now()
	}
	for _, list := range []map[string]time.Time{m.dead, m.left} {
		for uid, at := range list {
			if time.Since(at) > m.goodbye {
				delete(list, uid)
			}
		}
	}
	fly := !m.flying
	if fly {
		m.beat++
		m.sent = time.Now()
		m.flying = true
	}
	h, to := heartbeat{Kind: "beat", N: m.beat, Version: m.version}, m.uid
	if m.toldAny() {
		to = ""
	}
	m.mu.Unlock()
	if fly {
		m.say(to, h, true, func(err error) {
			m.mu.Lock()
			m.flying = false
			if err == nil {
				m.acked = h.N
			}
			m.mu.Unlock()
			if refused(err) {
				m.state.set(PartHeartbeat, "", err)
			}
		})
	}
	if silent {
		m.state.set(PartHeartbeat, "", errSilent)
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
	told := m.toldAny()
	m.mu.Unlock()
	if told {
		m.say("", h, false, nil)
	}
}

// receive reads a heartbeat. It reports false for what is none.
func (m *members) receive(payload []byte) bool {
	var h heartbeat
	if len(payload) == 0 || json.Unmarshal(payload, &h) != nil || h.UID == "" {
		return false
	}
	switch {
	case h.UID == m.uid:
		if h.Kind == "beat" {
			m.own(h.N)
		}
	case h.Kind == "bye":
		m.part(h.UID)
	default:
		m.other(&h)
	}
	return true
}

// part takes out a node that says it goes. The roster says whether that is true.
func (m *members) part(uid string) {
	m.mu.Lock()
	_, was := m.peers[uid]
	delete(m.peers, uid)
	delete(m.dead, uid)
	if was {
		m.left[uid] = time.Now()
		m.epoch = ""
	}
	m.mu.Unlock()
	if was {
		m.look()
		m.gone(uid)
	}
}

// other notes what another node says.
func (m *members) other(h *heartbeat) {
	m.mu.Lock()
	listed, came := h.Listed && !m.unlisted, false
	p := m.peers[h.UID]
	look := h.Kind == "look" || listed && (p == nil || p.told)
	if p == nil && !listed && time.Since(m.left[h.UID]) > farewell && m.told() < m.room {
		p, came = &peer{told: true}, true
		m.peers[h.UID] = p
		delete(m.dead, h.UID)
		m.tell()
	}
	if p != nil {
		p.missed = 0
	}
	switch {
	case p == nil, listed:
	case h.Kind == "hello", h.Kind == "who" && h.Of == m.uid:
		m.tell()
	}
	m.mu.Unlock()
	if came {
		m.came(h.UID)
	}
	if look {
		m.look()
	}
}

// told returns how many nodes are known by their beats only. Called with mu held.
func (m *members) told() (n int) {
	for _, p := range m.peers {
		if p.told {
			n++
		}
	}
	return n
}

// own notes that a beat of this node came back: publishing and subscriptions work, so whoever is known by its beats
// and has not been heard for a while is gone. By our beats and not by the clock, which goes on when Redis stands
// still.
func (m *members) own(n uint64) {
	var gone []string
	m.mu.Lock()
	again := m.seen == 0 || !m.quiet.IsZero()
	m.seen = max(m.seen, n)
	if n == m.beat {
		m.lag = time.Since(m.sent)
		m.proven.Store(m.sent.UnixNano())
	}
	m.quiet = time.Time{}
	told := m.toldAny()
	for uid, p := range m.peers {
		if n != m.beat { // late: others may be as late
			break
		}
		if !p.told {
			continue
		}
		if p.missed++; p.missed > m.misses {
			delete(m.peers, uid)
			m.dead[uid] = time.Now()
			gone = append(gone, uid)
		}
	}
	m.mu.Unlock()
	m.state.set(PartStart, "", nil)
	m.state.set(PartHeartbeat, "", nil)
	m.lost(gone)
	if again { // what others said meanwhile was not heard
		m.look()
		if told {
			m.hello()
		}
	}
}
