package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// roster is the list of the nodes that live, in Redis: a sorted set of their uids by when each expires, and beside it
// the clock that is meant, which every node that renews its entry moves on with the server's time, but never by more
// than its interval. So it stands still when Redis does, or when nobody reaches it, and nobody expires meanwhile.
// It is forgotten when nobody has for an hour. An epoch that changes with every change tells each node whether it need read the list.
// A third key is the list of how the nodes are configured, by when it expires.
type roster struct {
	client   redis.UniversalClient
	keys     []string
	uid      string
	interval time.Duration
	life     time.Duration // how long an entry lives
	setup    string        // what all nodes must have alike
}

// minLife is the shortest that an entry lives: a process that gets no processor for a moment is not dead.
const minLife = 3 * time.Second

func newRoster(c redis.UniversalClient, cfg *Config, uid string) *roster {
	at := cfg.Prefix + "-beanpole:{" + cfg.Prefix + "}:" // all keys in one slot
	return &roster{client: c, keys: []string{at + "nodes", at + "clock", at + "setups"}, uid: uid, interval: cfg.HeartbeatInterval,
		life: max(time.Duration(cfg.HeartbeatMisses)*cfg.HeartbeatInterval, minLife), setup: cfg.setup()}
}

// renewal renews the entry ARGV[1], configured as ARGV[5] says, for ARGV[2] milliseconds, or takes it out if that is 0,
// and takes out those that have expired. Those from ARGV[7] on have ARGV[6] milliseconds left to be renewed, as has, when
// an entry is taken out, the configuration that others may have, too. It returns the epoch, whether the entry is new, when
// the list was begun and how long that is ago, all configurations, and the uids, unless the caller has them as of the
// epoch ARGV[4].
var renewal = redis.NewScript(`
local t = redis.call('TIME')
local function text(n) return string.format('%.0f', n) end
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local was = redis.call('HMGET', KEYS[2], 'now', 'clock', 'epoch', 'begun')
local step = math.min(now - tonumber(was[1] or now), tonumber(ARGV[3]))
local clock = tonumber(was[2] or now) + math.max(0, step)
local epoch = was[3]
local begun = was[4] or '0'
if not epoch then
	begun = text(clock)
end
local new, out = 0, 0
if ARGV[2] == '0' then
	out = redis.call('ZREM', KEYS[1], ARGV[1])
	redis.call('ZADD', KEYS[3], 'XX', text(clock + ARGV[6]), ARGV[5])
else
	new = redis.call('ZADD', KEYS[1], text(clock + ARGV[2]), ARGV[1])
	redis.call('ZADD', KEYS[3], text(clock + ARGV[2]), ARGV[5])
end
if #ARGV > 6 then
	local till = {}
	local list = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
	for i = 1, #list, 2 do
		till[list[i]] = tonumber(list[i + 1])
	end
	for i = 7, #ARGV do
		if (till[ARGV[i]] or 0) > clock + ARGV[6] then
			redis.call('ZADD', KEYS[1], text(clock + ARGV[6]), ARGV[i])
		end
	end
end
out = out + redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(clock))
if new + out > 0 or not epoch then
	epoch = text(math.max(t[1] * 1000000 + t[2], (tonumber(epoch) or 0) + 1))
end
redis.call('HSET', KEYS[2], 'now', text(now), 'clock', text(clock), 'epoch', epoch, 'begun', begun)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. text(clock))
if #redis.call('ZRANGE', KEYS[1], 0, 0) == 0 then redis.call('DEL', KEYS[3]) end
for i = 1, 3 do
	redis.call('PEXPIRE', KEYS[i], 3600000)
end
local answer = {epoch, new, begun, math.floor(clock - begun), redis.call('ZRANGE', KEYS[3], 0, -1)}
if epoch ~= ARGV[4] then
	answer[6] = redis.call('ZRANGE', KEYS[1], 0, -1)
end
return answer
`)

// sheet is what a node learns of the roster.
type sheet struct {
	epoch  string
	added  bool // this node was not in it
	begun  string
	age    time.Duration // of the list
	setups []string
	uids   []string
	whole  bool // uids are known: the epoch is another than the one asked for
}

// renew renews the entry of this node for life, or takes it out if that is 0. Others that may be gone it leaves no more
// time than who lives needs to renew its entry.
func (r *roster) renew(ctx context.Context, life time.Duration, epoch string, doubted ...string) (s sheet, err error) {
	args := []any{r.uid, life.Milliseconds(), r.interval.Milliseconds(), epoch, r.setup, r.grace().Milliseconds()}
	for _, uid := range doubted {
		args = append(args, uid)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	var list []any
	err = again(ctx, func() (err error) {
		list, err = renewal.Run(ctx, r.client, r.keys, args...).Slice()
		return err
	})
	if err != nil {
		return s, err
	}
	if len(list) < 5 {
		return s, errShape
	}
	s.epoch, _ = list[0].(string)
	n, _ := list[1].(int64)
	s.added = n > 0
	s.begun, _ = list[2].(string)
	ms, _ := list[3].(int64)
	s.age = time.Duration(ms) * time.Millisecond
	s.setups = texts(list[4])
	if s.whole = len(list) > 5; s.whole {
		s.uids = texts(list[5])
	}
	return s, nil
}

// grace is how long an entry lives whose node is doubted: longer than the time between two renewals.
func (r *roster) grace() time.Duration { return max(minLife/2, r.interval+500*time.Millisecond) }

// texts returns the texts of a list.
func texts(v any) (out []string) {
	list, _ := v.([]any)
	for _, x := range list {
		if text, ok := x.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// watch keeps this node in the roster and learns who else is, until stop is closed or ctx is done.
func (m *members) watch(ctx context.Context, stop <-chan struct{}, r *roster, connections counting) {
	var took time.Duration
	next := time.Now() // when the entry is to be renewed
	sure, first := true, true
	for {
		doubt := m.doubted.Swap(false)
		due := doubt || !time.Now().Before(next)
		start := time.Now()
		err := m.renew(ctx, r, r.life+2*took)
		took = time.Since(start)
		if due {
			// What has just been made stands where it should.
			strayed := !first && (err == nil || refused(err)) && connections.settle(ctx, err == nil)
			first = false
			sure = (err != nil || !m.census(ctx, r, connections, sure && !doubt)) && !strayed
			// Not all at once, though they may have started together.
			next = start.Add(r.interval*3/4 + rand.N(r.interval/4+1))
			if !sure || !connections.listens() { // others may doubt it
				next = start.Add(recheck)
			}
		}
		t := time.NewTimer(time.Until(next))
		select {
		case <-t.C:
		case <-m.prompt: // many may come or go together
			t.Reset(rand.N(min(r.interval, 200*time.Millisecond) + 1))
			select {
			case <-t.C:
			case <-stop:
			case <-ctx.Done():
			}
		case <-stop:
		case <-ctx.Done():
		}
		t.Stop()
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-m.prompt: // came while it was waited for others like it
		default:
		}
	}
}

// renew renews the entry of this node and takes over what the roster says.
func (m *members) renew(ctx context.Context, r *roster, life time.Duration, doubted ...string) error {
	m.mu.Lock()
	epoch, stopped := m.epoch, m.stopped
	m.mu.Unlock()
	if stopped {
		return nil
	}
	s, err := r.renew(ctx, life, epoch, doubted...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if forbidden(err) {
		m.withoutRoster(err)
		m.state.set(PartMembership, "", nil)
		m.enter()
		return err
	}
	m.state.set(PartMembership, "", err)
	if err != nil {
		return err
	}
	m.mu.Lock()
	added := s.added || m.unlisted
	m.unlisted = false
	m.mu.Unlock()
	m.state.set(PartAgreement, "settings", r.disagrees(s.setups))
	if s.whole {
		m.take(&s, r.life)
	}
	if added {
		m.hello()
	}
	m.enter()
	return nil
}

// take notes who is in the roster. A list that was begun lately, as Redis has lost the one before, says nothing of nodes
// that it has never had.
func (m *members) take(s *sheet, life time.Duration) {
	var came, gone, back []string
	doubted := false
	in := make(map[string]struct{}, len(s.uids))
	epoch := s.epoch
	m.mu.Lock()
	for _, uid := range s.uids {
		if uid == m.uid {
			continue
		}
		if time.Since(m.left[uid]) < farewell {
			epoch = "" // it has said bye: look again whether it is still there
			continue
		}
		in[uid] = struct{}{}
		p := m.peers[uid]
		if p == nil {
			p = &peer{since: time.Now()}
			m.peers[uid] = p
			came = append(came, uid)
			if _, ok := m.dead[uid]; ok {
				back = append(back, uid)
			}
			delete(m.dead, uid)
		}
		p.told, p.begun = false, s.begun
	}
	for uid, p := range m.peers {
		switch _, ok := in[uid]; {
		case ok, p.told:
		case p.begun != s.begun && s.age < life:
			epoch = ""
		default:
			delete(m.peers, uid)
			m.dead[uid] = time.Now()
			gone = append(gone, uid)
			doubted = doubted || !p.absent.IsZero()
		}
	}
	m.epoch = epoch
	m.mu.Unlock()
	for _, uid := range back {
		m.state.log.Info("node back", "node", uid)
	}
	for _, uid := range came {
		m.came(uid)
	}
	m.lost(gone)
	if doubted { // few have looked
		m.say("", heartbeat{Kind: "look"}, true, nil)
	}
}

const (
	// judges is about how many nodes look at each interval whether all connections are there, of however many.
	judges = 8
	// recheck is when it is looked again at a node that is without.
	recheck = 500 * time.Millisecond
	// calm is how long this node's own connections must have held before it judges those of others, and how long these have
	// to make theirs.
	calm = 5 * time.Second
)

// counting is how members looks at connections.
type counting struct {
	channel func(uid string) string // of one node, or of all
	count   func(context.Context, []string) (map[string]int, error)
	since   func() time.Time // when a connection of this node last broke
	settle  func(ctx context.Context, writes bool) (again bool)
	listens func() bool // this node has its connection, or makes its first
}

// census compares the roster with the connections that Redis has: that of a process that was killed is gone at once.
// It reports whether it should be done once more soon, to be sure.
func (m *members) census(ctx context.Context, r *roster, c counting, sure bool) (again bool) {
	m.mu.Lock()
	n, told, disputed := len(m.peers), m.told(), m.disputed
	m.mu.Unlock()
	if n == 0 || time.Since(c.since()) < calm {
		return false
	}
	if sure && told == 0 && !disputed && rand.IntN(n+1) >= judges {
		return false
	}
	return m.judge(ctx, r, c)
}

// judge looks once at the connections. Who lives the roster says, and nothing else; but the entry of a node without a
// connection, whose process may have ended, is to be renewed soon. If it is, and the node remains without, that is
// disputed: what others ask does not reach it, or is not known to. It reports whether to look again soon.
func (m *members) judge(ctx context.Context, r *roster, c counting) (again bool) {
	tctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	counts, err := c.count(tctx, []string{c.channel("")})
	if err != nil {
		return false
	}
	all := counts[c.channel("")]
	var listed []string
	m.mu.Lock()
	m.room = max(minRoom, all)
	whole := all >= 1+len(m.peers)
	told := m.told()
	for uid, p := range m.peers {
		if !p.told {
			listed = append(listed, uid)
		}
	}
	m.mu.Unlock()
	if told > 0 && !whole {
		m.trim(all - 1 - len(listed))
	}
	if !whole {
		channels := make([]string, len(listed))
		for i, uid := range listed {
			channels[i] = c.channel(uid)
		}
		if counts, err = c.count(tctx, channels); err != nil {
			return false
		}
	}
	var doubted []string
	disputed := 0
	m.mu.Lock()
	for _, uid := range listed {
		p := m.peers[uid]
		switch {
		case p == nil, !whole && time.Since(p.since) < calm:
		case whole || counts[c.channel(uid)] > 0:
			p.absent = time.Time{}
		case p.absent.IsZero():
			p.absent = time.Now()
			doubted = append(doubted, uid)
		case time.Since(p.absent) > r.life+r.grace(): // its entry has been renewed since
			disputed++
		default:
			again = true
		}
	}
	changed := m.disputed != (disputed > 0)
	m.disputed = disputed > 0
	m.mu.Unlock()
	if changed || disputed > 0 {
		err = nil
		if disputed > 0 {
			err = fmt.Errorf("%d %w", disputed, errUncounted)
		}
		m.state.set(PartMembership, "connections", err)
	}
	if len(doubted) > 0 {
		_ = m.renew(ctx, r, r.life, doubted...) // or it is done by who looks next
	}
	return again || len(doubted) > 0
}
