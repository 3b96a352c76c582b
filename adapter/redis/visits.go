package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A node knows which address it announces, and not whether that leads to it: only the others see this. So each visits, by
// HTTP, the next in a list of those that take visits, and those to which a request could not be forwarded. Who is not met
// is told so in Redis, for a while and again as long as it lasts; it reads that with every heartbeat, and its state has it.
// All of it is signed with the secret of the cluster. In the list stands beside each node what its secret comes to, as a
// visit with another would prove nothing.
const (
	visitEvery   = 5           // heartbeats from one visit to the next node, and to the next look at the list
	visitTimeout = time.Minute // how long a finding stands without being renewed
	unlistAfter  = 2 * time.Minute
	maxDoubted   = 16 // nodes visited with every heartbeat
	// A node that is busy may not answer once.
	missedOften = 2
	// An address that leads to several servers answers rightly now and then.
	metOften = 3
	// Who has met nobody looks whether that is its own fault.
	maxWitnesses = 3
)

// What PartForwarding is of, besides this node's entry in Redis.
const (
	ofReach   = "reach"   // the others reach this node
	ofOut     = "out"     // it reaches them
	ofSecrets = "secrets" // all have the same
)

// visits are what a node does to learn and to say whether addresses lead to their nodes.
type visits struct {
	r      *registry
	path   string // empty: it takes none
	client *http.Client
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)

	// Owned by run.
	heard string // the finding of this node that was read first; empty when there is none
	last  string // the one read last, and since when
	since time.Time
	shut  int // rounds in a row in which it has met none of several

	mu      sync.Mutex
	listed  map[string]bool // nodes that take visits, and have this one's secret
	next    string          // whom this one visits
	doubted map[string]*doubt
}

// doubt is of a node whose address did not lead to it.
type doubt struct {
	missed, met int // how often in a row
	told        bool
	elsewhere   bool  // another has answered
	reached     bool  // by as many others as do not, when they were last asked: so it is this node that does not reach it
	against     int   // how often in a row fewer reached it
	last        sight // of those that did not meet it
}

func newVisits(r *registry, cfg *ForwardConfig) *visits {
	// A connection that is there says nothing of one that is to be made.
	way := &http.Transport{DialContext: cfg.Dial, DisableKeepAlives: true, TLSHandshakeTimeout: cfg.DialTimeout}
	return &visits{r: r, path: cfg.Path, dial: cfg.Dial, doubted: map[string]*doubt{}, client: &http.Client{Transport: way, Timeout: 2*cfg.DialTimeout + time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (v *visits) listKey() string {
	return v.r.c.cfg.Prefix + "-beanpole:{" + v.r.c.cfg.Prefix + "}:visited"
}

func (v *visits) findingKey(node string) string {
	return v.r.c.cfg.Prefix + "-beanpole:unreached:" + node
}

// entry is this node's in the list: what its secret comes to, and its name.
func (v *visits) entry(secret string) string {
	return signature(secret, "the secret of", v.r.c.cfg.Prefix)[:16] + " " + v.r.node
}

// run visits until ctx is done.
func (v *visits) run(ctx context.Context) {
	t := time.NewTicker(v.r.c.cfg.HeartbeatInterval)
	defer t.Stop()
	for n := 0; ; n++ {
		if v.r.sharedSecret() == "" {
			n = -1 // nothing can be signed yet
		} else {
			v.heed(ctx)
			v.round(ctx, n%visitEvery == 0)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// round visits whom there is to visit: those in doubt, and when it is their turn all.
func (v *visits) round(ctx context.Context, all bool) {
	v.mu.Lock()
	for node := range v.doubted {
		all = all || !v.listed[node] // it may be new
	}
	v.mu.Unlock()
	if all {
		v.list(ctx)
	}
	v.mu.Lock()
	maps.DeleteFunc(v.doubted, func(node string, _ *doubt) bool { return !v.listed[node] }) // gone, or of a version before
	nodes := slices.Collect(maps.Keys(v.doubted))
	if all && v.next != "" && v.doubted[v.next] == nil {
		nodes = append(nodes, v.next)
	}
	v.mu.Unlock()
	list := v.look(ctx, nodes, nil)
	if missed, ask := v.missed(list); len(missed) > 0 && (all || ask || len(missed) == len(list)) {
		if !all {
			v.list(ctx) // others may have come, who say whose fault it is
		}
		if !all && !ask { // it is known, unless this node meets nobody any more
			missed = nil
		}
		asked := v.look(ctx, v.witnesses(nodes), missed)
		v.weigh(missed, asked)
		list = append(list, asked...)
	}
	if ctx.Err() != nil || v.lost(list) {
		for _, s := range list {
			v.doubt(s.node)
		}
		return
	}
	for _, s := range list {
		v.tell(ctx, s)
	}
	v.r.c.state.report(PartForwarding, ofOut, v.barred())
}

// list renews this node's place in the list, and reads it.
func (v *visits) list(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	now, own, key := time.Now(), v.entry(v.r.sharedSecret()), v.listKey()
	var got *redis.StringSliceCmd
	_, err := v.r.c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, key, redis.Z{Score: float64(now.Unix()), Member: own})
		p.ZRemRangeByScore(ctx, key, "-inf", strconv.FormatInt(now.Add(-unlistAfter).Unix(), 10))
		p.PExpire(ctx, key, time.Hour)
		got = p.ZRange(ctx, key, 0, -1)
		return nil
	})
	if err != nil {
		return // as it was: the part of this node's entry says so
	}
	sum, _, _ := strings.Cut(own, " ")
	var alike, others []string
	for _, entry := range got.Val() {
		switch s, node, _ := strings.Cut(entry, " "); {
		case node == v.r.node:
		case s == sum:
			alike = append(alike, node)
		default:
			others = append(others, node)
		}
	}
	listed := make(map[string]bool, len(alike))
	for _, node := range alike {
		listed[node] = true
	}
	v.mu.Lock()
	before := cmp.Or(v.next, v.r.node)
	v.mu.Unlock()
	next := v.living(ctx, after(alike, before))
	v.mu.Lock()
	v.listed, v.next = listed, next
	v.mu.Unlock()
	var differ error
	if node := v.living(ctx, others); node != "" {
		differ = fmt.Errorf("%w: %s, for one", errSecrets, node)
	}
	v.r.c.state.report(PartForwarding, ofSecrets, differ)
}

// after returns names in their order, beginning behind one, which need not be among them.
func after(names []string, name string) []string {
	slices.Sort(names)
	i, there := slices.BinarySearch(names, name)
	if there {
		i++
	}
	return slices.Concat(names[i:], names[:i])
}

// living returns the first of nodes that has an address, empty if none of the first has.
func (v *visits) living(ctx context.Context, nodes []string) string {
	for _, node := range nodes[:min(len(nodes), maxDoubted)] {
		if at, err := v.r.find(ctx, node); err == nil && at.addr != "" {
			return node
		}
	}
	return ""
}

// doubt has a node visited soon.
func (v *visits) doubt(node string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.path != "" && v.doubted[node] == nil && len(v.doubted) < maxDoubted {
		v.doubted[node] = new(doubt)
	}
}

// look visits nodes, and returns what it has found of those that it could. Each is asked whether it reaches the nodes of about.
func (v *visits) look(ctx context.Context, nodes, about []string) (list []sight) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, node := range nodes {
		wg.Go(func() {
			at, err := v.r.find(ctx, node)
			if err != nil {
				return
			}
			if at.addr == "" { // it has gone, or knows already that others have its address
				v.mu.Lock()
				delete(v.doubted, node)
				v.mu.Unlock()
				return
			}
			found, votes, looked := v.visit(ctx, node, at.addr, about)
			mu.Lock()
			defer mu.Unlock()
			if looked {
				list = append(list, sight{node, at, found, votes})
			}
		})
	}
	wg.Wait()
	return list
}

// tell tells a node when it was not met, or is again.
func (v *visits) tell(ctx context.Context, s sight) {
	told, over := v.judge(s)
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	key, about := v.findingKey(s.node), aboutNode(s.node, s.at)
	switch {
	case told:
		m := mark{at: time.Now().Unix(), from: v.r.node, addr: s.found}
		_ = v.r.c.client.Set(ctx, key, m.sign(v.r.sharedSecret(), about), visitTimeout).Err() // else with the next heartbeat
	case over:
		if text, err := v.r.get(ctx, key); err == nil {
			if m, ok := readMark(text, v.r.sharedSecret(), about); ok && m.from == v.r.node {
				_ = again(ctx, func() error { return v.r.c.client.Del(ctx, key).Err() }) // else it is not renewed
			}
		}
	}
}

// judge notes what was found of a node, and says whether it is to be told that, or that it is over.
func (v *visits) judge(s sight) (told, over bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	d := v.doubted[s.node]
	if s.met() {
		if d != nil {
			d.missed = 0
			if d.met++; !d.elsewhere || d.met >= metOften {
				delete(v.doubted, s.node)
				return false, d.told
			}
		}
		return false, false
	}
	if d == nil {
		if len(v.doubted) >= maxDoubted {
			return false, false
		}
		d = new(doubt)
		v.doubted[s.node] = d
	}
	d.missed, d.met, d.last = d.missed+1, 0, s
	d.elsewhere = d.elsewhere || s.elsewhere()
	before := d.told
	d.told = d.elsewhere || !d.reached && (d.told || d.missed >= missedOften)
	return d.told, before && !d.told
}

// answerTo and aboutNode are what an answer to a visit, and a finding, are signed for, so that each is good for nothing else.
func answerTo(sid string) string { return "answer " + sid }

func aboutNode(node string, at place) string {
	return strings.Join([]string{"finding", node, at.instance, at.addr}, " ")
}

// visited answers r if it is the visit of another node.
func (v *visits) visited(w http.ResponseWriter, r *http.Request) bool {
	texts := r.Header[forwardedHeader]
	if len(texts) != 1 {
		return false
	}
	sid := r.URL.Query().Get("sid")
	if !strings.HasPrefix(sid, "visit.") {
		return false
	}
	secret := v.r.sharedSecret()
	m, ok := readMark(texts[0], secret, sid)
	if !ok {
		return false
	}
	votes := v.votes(r.Context(), strings.Fields(m.addr))
	w.Header().Set(forwardedHeader, mark{at: time.Now().Unix(), from: v.r.node, addr: votes}.sign(secret, answerTo(sid)))
	w.WriteHeader(http.StatusNoContent)
	return true
}

// heed reads what others have found of this node. What they have found while it stood still is over when it reads that:
// so a finding counts when it has been renewed since.
func (v *visits) heed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	at := place{addr: v.r.address(), instance: v.r.instance}
	text, err := v.r.get(ctx, v.findingKey(v.r.node))
	if err != nil && !errors.Is(err, redis.Nil) {
		return
	}
	if text != v.last {
		v.last, v.since = text, time.Now()
	}
	var bad error
	m, ok := readMark(text, v.r.sharedSecret(), aboutNode(v.r.node, at))
	switch {
	case !ok, time.Since(v.since) > v.renewed(): // who found it has ended, or found otherwise and could not say so
		v.heard = ""
	case v.heard == "":
		v.heard = text
		return
	case v.heard == text:
		return
	default:
		kind, detail := reading(m.addr)
		bad = fmt.Errorf("%w, %s: server %s found: %s", kind, at.addr, m.from, detail)
	}
	v.r.c.state.report(PartForwarding, ofReach, bad)
}

// renewed is how long a finding that lasts may take to be renewed.
func (v *visits) renewed() time.Duration {
	return 3*v.r.c.cfg.HeartbeatInterval + 2*v.client.Timeout + lookupTimeout
}

// leave takes this node out of the list.
func (v *visits) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if secret := v.r.sharedSecret(); v.path != "" && secret != "" {
		_ = again(ctx, func() error { return v.r.c.client.ZRem(ctx, v.listKey(), v.entry(secret)).Err() }) // else it expires
	}
}
