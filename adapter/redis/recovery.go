package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
)

// Recovers reports whether clients may recover: in streams mode with Config.Recovery.
func (n *namespace) Recovers() bool { return n.line != nil }

// savedSession is a session in Redis, in base64 of MessagePack (redis-streams-adapter, persistSession). The
// members from nsp on are Beanpole's own, and Node ignores them.
type savedSession struct {
	SID      text           `json:"sid"`
	PID      text           `json:"pid"`
	Rooms    names          `json:"rooms"`
	Data     jsontext.Value `json:"data"`
	Nsp      string         `json:"nsp"`
	Owner    string         `json:"owner"`
	Identity string         `json:"identity"`
	Last     string         `json:"last"`
	Stays    [][3]string    `json:"stays"` // room, from, to
	End      string         `json:"end"`
	Forgot   string         `json:"forgot"`
	Ahead    string         `json:"ahead"`
}

// Remove ends a membership.
func (n *namespace) Remove(m adapter.Member) ([]string, adapter.Trail) {
	if n.line == nil {
		return n.Local.Remove(m)
	}
	return n.line.remove(m)
}

// DeliverTo delivers m, an event that is not kept, to one member whatever rooms it is in, in the order of the stream.
func (n *namespace) DeliverTo(to adapter.Member, m adapter.Message, f adapter.Flags) {
	one := func(m adapter.Message) (after func()) { return n.Local.DeliverTo(to, m, f) }
	if n.line == nil {
		one(m)()
	} else {
		n.line.deliver(m, adapter.Target{Flags: adapter.Flags{Local: true}}, nothing, one)
	}
}

// Save keeps s in Redis for the time of Recovery.MaxDisconnection, and returns when it is there, as the client may be
// back at once, or when ctx ends: while Redis is out of reach it waits in the outbox.
func (n *namespace) Save(ctx context.Context, s adapter.Session) error {
	if n.line == nil {
		return adapter.ErrNoRecovery
	}
	if invalid := func(s string) bool { return !utf8.ValidString(s) }; invalid(s.Identity) || slices.ContainsFunc(s.Rooms, invalid) {
		return errors.New("redis: session with an identity or a room that is no UTF-8: it would come back as another")
	}
	n.line.r.places.vouch(ctx, &s.Trail)
	b, err := toMsgpack(nil, appendSession(nil, &s, n.name), nil)
	if err != nil {
		return fmt.Errorf("redis: encode session: %w", err)
	}
	key := n.c.cfg.SessionPrefix + s.PID
	done := make(chan error, 1)
	err = n.c.put(&command{op: opSet, key: key, route: key, was: s.Version, data: base64.StdEncoding.AppendEncode(nil, b),
		ttl: n.c.cfg.Recovery.MaxDisconnection, done: func(_ string, err error) { done <- err }})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// appendSession appends the JSON form of s.
func appendSession(dst []byte, s *adapter.Session, nsp string) []byte {
	dst = appendQuoted(append(dst, `{"sid":`...), s.SID)
	dst = appendQuoted(append(dst, `,"pid":`...), s.PID)
	dst = appendNames(append(dst, `,"rooms":`...), s.Rooms)
	dst = appendRaw(append(dst, `,"data":`...), s.Data)
	dst = appendQuoted(append(dst, `,"nsp":`...), nsp)
	if s.Owner != "" {
		dst = appendQuoted(append(dst, `,"owner":`...), s.Owner)
	}
	if s.Identity != "" {
		dst = appendQuoted(append(dst, `,"identity":`...), s.Identity)
	}
	dst = appendQuoted(append(dst, `,"last":`...), s.Last)
	dst = appendQuoted(append(dst, `,"end":`...), s.Trail.End)
	if s.Trail.Forgot != "" {
		dst = appendQuoted(append(dst, `,"forgot":`...), s.Trail.Forgot)
	}
	if s.Trail.Ahead != "" {
		dst = appendQuoted(append(dst, `,"ahead":`...), s.Trail.Ahead)
	}
	dst = append(dst, `,"stays":[`...)
	for i, stay := range s.Trail.Stays {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNames(dst, []string{stay.Room, stay.From, stay.To})
	}
	return append(dst, "]}"...)
}

// Restore returns a session of any node, and takes over the socket of one that has not ended yet.
func (n *namespace) Restore(ctx context.Context, pid, at string) (*adapter.Session, error) {
	if n.line == nil {
		return nil, adapter.ErrNoRecovery
	}
	ctx, cancel := n.bound(ctx)
	defer cancel()
	s, err := n.find(ctx, pid, false)
	if err != nil {
		return nil, err
	}
	if s.Trail.Forgot == doubted {
		return nil, errTorn
	}
	if last, ok := parseOffset(at); ok && at != s.Last {
		if ahead, ok := parseOffset(s.Trail.Ahead); ok && last.id.ms < ahead.id.ms+uint64(2*n.c.cfg.MaxOutboxAge.Milliseconds()) { // else the stream has brought it
			at = last.and(ahead).String()
		}
	}
	var ok bool
	if s.After, ok = s.Start(at, offsetBefore); ok {
		_, ok = parseOffset(s.After)
	}
	if !ok {
		return nil, fmt.Errorf("%w: unknown offset", adapter.ErrNoRecovery)
	}
	return s, n.held(ctx, s.After)
}

// held returns nil when the stream still has all after an offset.
func (n *namespace) held(ctx context.Context, at string) error {
	o, _ := parseOffset(at)
	if o.id == (streamID{}) { // the stream was empty then
		var length int64
		err := persist(ctx, func() (err error) {
			length, err = n.c.client.XLen(ctx, n.line.r.stream).Result()
			return err
		})
		if err != nil {
			return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
		}
		if length >= n.line.r.maxLen() {
			return errTrimmed
		}
		return nil
	}
	entries, err := n.entries(ctx, o.id.String(), o.id.String(), 1, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
	}
	if len(entries) == 0 {
		return errTrimmed
	}
	return nil
}

func parseSession(text string) (*adapter.Session, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	form, _, err := fromMsgpack(b)
	if err != nil {
		return nil, err
	}
	var s savedSession
	if err := json.Unmarshal(form, &s, lenient); err != nil {
		return nil, err
	}
	out := &adapter.Session{SID: string(s.SID), PID: string(s.PID), Namespace: s.Nsp, Owner: s.Owner, Identity: s.Identity,
		Rooms: s.Rooms, Data: adapter.Raw(s.Data), Last: s.Last, Trail: adapter.Trail{End: s.End, Forgot: s.Forgot, Ahead: s.Ahead}}
	for _, stay := range s.Stays {
		out.Trail.Stays = append(out.Trail.Stays, adapter.Stay{Room: stay[0], From: stay[1], To: stay[2]})
	}
	return out, nil
}

// Resume reads what the session missed from the stream, up to where this node's own reader stands,
// and joins there.
func (n *namespace) Resume(ctx context.Context, m adapter.Member, s *adapter.Session, replay func(adapter.Message)) error {
	if n.line == nil {
		return adapter.ErrNoRecovery
	}
	have, ok := parseOffset(s.After)
	if !ok {
		return fmt.Errorf("%w: unknown offset", adapter.ErrNoRecovery)
	}
	ctx, cancel := n.bound(ctx)
	defer cancel()
	// The client may have seen more on its last node than this one has read.
	for {
		pos, changed := n.line.r.at()
		if !pos.less(have.id) {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, ctx.Err())
		}
	}
	t, end := n.line.follow()
	missed, seen, err := n.missed(ctx, s, have, end)
	if err == nil && (have.id == end || have.id == (streamID{})) { // else it has been met
		err = n.held(ctx, s.After)
	}
	if err == nil {
		err = n.claim(ctx, s)
	}
	if err != nil {
		n.line.leave(t)
		return err
	}
	n.line.join(t, missed, seen, have, s, replay, func() { n.JoinAgain(m, s.Trail, s.Rooms...) })
	return nil
}

// takenMark begins what is left, for a while, where a session was: who could not see whether it had saved that
// session finds out by it. To Node's servers it is no session either.
const takenMark = "taken:"

func takenBy(saved string) string {
	sum := sha256.Sum256([]byte(saved))
	return takenMark + base64.RawURLEncoding.EncodeToString(sum[:])
}

// claim takes a session out of Redis as Restore has seen it, which one of several can. One that somebody else
// has taken and saved anew since stays.
func (n *namespace) claim(ctx context.Context, s *adapter.Session) error {
	key := n.c.cfg.SessionPrefix + s.PID
	mark := s.Version + " " + rand.Text() // by which a claim whose answer was lost is known again
	err := persist(ctx, func() error {
		return n.c.client.Watch(ctx, func(tx *redis.Tx) error {
			text, err := tx.Get(ctx, key).Result()
			switch {
			case err == nil && text == mark:
				return nil
			case errors.Is(err, redis.Nil) || err == nil && takenBy(text) != s.Version:
				return adapter.ErrTaken
			case err != nil:
				return err
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				return p.Set(ctx, key, mark, n.c.cfg.MaxOutboxAge+2*publishTimeout).Err()
			})
			return err
		}, key)
	})
	if errors.Is(err, redis.TxFailedErr) {
		err = adapter.ErrTaken
	}
	n.noted(ctx, err)
	if err != nil {
		return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
	}
	return nil
}

// entries reads a page for a recovery that has read some bytes.
func (n *namespace) entries(ctx context.Context, from, to string, count int64, bytes int) (list []redis.XMessage, err error) {
	if err := n.c.reads.begin(ctx, bytes); err != nil {
		return nil, err
	}
	defer n.c.reads.end()
	err = persist(ctx, func() (err error) {
		list, err = n.c.client.XRangeN(ctx, n.line.r.stream, from, to, count).Result()
		return err
	})
	n.noted(ctx, err)
	return list, err
}

// noted notes what became of a recovery's question to Redis, unless the client did not wait for it.
func (n *namespace) noted(ctx context.Context, err error) {
	switch {
	case errors.Is(ctx.Err(), context.Canceled), ctx.Err() != nil && n.c.members.delay() < time.Second: // its time was over
	case errors.Is(err, redis.Nil), errors.Is(err, adapter.ErrTaken):
		n.c.state.recovery(nil)
	default:
		n.c.state.recovery(err)
	}
}

// missed reads the events of the session after what the client has and up to an entry, as far as they may wait
// to be replayed. seen is the number of
// the last entry of each node and emitter among them.
func (n *namespace) missed(ctx context.Context, s *adapter.Session, have offset, end streamID) (
	list []tailEvent, seen map[string]uint64, err error,
) {
	if from, err := n.line.r.places.whole(ctx); err != nil || have.id.less(from) {
		return nil, nil, cmp.Or(err, errTorn)
	}
	seen = map[string]uint64{}
	bytes, last := 0, have.id
	after := have.id.before() // with what the client has: who has that no more may have less than was behind it
	if have.id == end {
		after = end
	}
	for met := after == have.id; after.less(end); {
		entries, upto, err := n.passed(ctx, after, end)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
		}
		after = upto
		for _, e := range entries {
			last = e.id
			source := e.source()
			if !met {
				if e.id != have.id {
					return nil, nil, errTrimmed
				}
				met, seen[source] = true, e.seq
				continue
			}
			if n.line.r.places.repeated(e.id) {
				continue
			}
			if last := seen[source]; e.dense && last > 0 && e.seq > last+1 {
				return nil, nil, errTorn
			}
			if e.seq > 0 {
				seen[source] = max(seen[source], e.seq)
			}
			if e.nsp != n.name || e.kind != kindBroadcast {
				continue
			}
			m, err := e.message()
			if err != nil || m.request != "" || m.target.Volatile {
				continue
			}
			ev := tailEvent{m.event, m.target, e.id, e.uid, e.seq, source}
			if have.has(e.uid, e.seq) || !s.Missed(&ev.t, ev.after) {
				continue
			}
			if list = append(list, ev); len(list) > n.c.cfg.Recovery.MaxEvents {
				return nil, nil, fmt.Errorf("%w: more than %d events missed", adapter.ErrNoRecovery, n.c.cfg.Recovery.MaxEvents)
			}
			bytes += ev.m.Cost(&ev.t)
			if bytes > n.c.cfg.Recovery.MaxBytes || s.Reserve != nil && !s.Reserve(bytes) {
				return nil, nil, fmt.Errorf("%w: %w: %d bytes", adapter.ErrNoRecovery, adapter.ErrReplayFull, bytes)
			}
		}
	}
	if last.less(end) { // this node has read that of another master, and does not know yet what this one has not
		return nil, nil, errTorn
	}
	return list, seen, nil
}
