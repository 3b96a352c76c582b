package redis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

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
	Identity string         `json:"identity"`
	Last     string         `json:"last"`
	Stays    [][3]string    `json:"stays"` // room, from, to
	End      string         `json:"end"`
}

// Remove ends a membership.
func (n *namespace) Remove(m adapter.Member) ([]string, adapter.Trail) {
	if n.line == nil {
		return n.Local.Remove(m)
	}
	return n.line.remove(m)
}

// Save keeps s in Redis for the time of Recovery.MaxDisconnection, and returns when it is there, as the
// client may be back at once. When Redis is out of reach it is left to the outbox: the error is
// ErrDegraded then.
func (n *namespace) Save(ctx context.Context, s adapter.Session) error {
	if n.line == nil {
		return adapter.ErrNoRecovery
	}
	b, err := toMsgpack(nil, appendSession(nil, &s, n.name), nil)
	if err != nil {
		return fmt.Errorf("redis: encode session: %w", err)
	}
	key := n.c.cfg.SessionPrefix + s.PID
	done := make(chan error, 1)
	err = n.c.put(&command{op: opSet, key: key, route: key, data: base64.StdEncoding.AppendEncode(nil, b),
		ttl: n.c.cfg.Recovery.MaxDisconnection, done: func(_ string, err error) { done <- err }})
	if err != nil {
		return err
	}
	if up, _, _ := n.c.state.get(); !up {
		return adapter.ErrDegraded
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
	if s.Identity != "" {
		dst = appendQuoted(append(dst, `,"identity":`...), s.Identity)
	}
	dst = appendQuoted(append(dst, `,"last":`...), s.Last)
	dst = appendQuoted(append(dst, `,"end":`...), s.Trail.End)
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
	s, err := n.load(ctx, pid)
	if errors.Is(err, redis.Nil) {
		// Whether somebody has given it up or not: it may have been saved since it was looked for.
		n.takeOver(ctx, adapter.SocketID(pid))
		s, err = n.load(ctx, pid)
	}
	switch {
	case errors.Is(err, redis.Nil):
		return nil, fmt.Errorf("%w: unknown or expired session", adapter.ErrNoRecovery)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
	case s.PID != pid || s.Namespace != "" && s.Namespace != n.name:
		return nil, fmt.Errorf("%w: session of another", adapter.ErrNoRecovery)
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

func (n *namespace) load(ctx context.Context, pid string) (*adapter.Session, error) {
	text, err := again(ctx, func() (string, error) { return n.c.client.Get(ctx, n.c.cfg.SessionPrefix+pid).Result() })
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, claimed) {
		return nil, redis.Nil
	}
	return parseSession(text)
}

// held returns nil when the stream still has all after an offset.
func (n *namespace) held(ctx context.Context, at string) error {
	o, _ := parseOffset(at)
	if o.id == (streamID{}) { // the stream was empty then
		length, err := again(ctx, func() (int64, error) { return n.c.client.XLen(ctx, n.line.r.stream).Result() })
		if err != nil {
			return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
		}
		if length >= n.c.cfg.MaxStreamLen {
			return fmt.Errorf("%w: events trimmed", adapter.ErrNoRecovery)
		}
		return nil
	}
	id := o.id.String()
	entries, err := n.between(ctx, id, id, 1)
	if err != nil {
		return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
	}
	if len(entries) == 0 {
		return fmt.Errorf("%w: events trimmed", adapter.ErrNoRecovery)
	}
	return nil
}

// between returns the first entries of the stream from one to another.
func (n *namespace) between(ctx context.Context, from, to string, limit int64) ([]redis.XMessage, error) {
	return again(ctx, func() ([]redis.XMessage, error) {
		return n.c.client.XRangeN(ctx, n.line.r.stream, from, to, limit).Result()
	})
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
	out := &adapter.Session{SID: string(s.SID), PID: string(s.PID), Namespace: s.Nsp, Identity: s.Identity,
		Rooms: s.Rooms, Data: adapter.Raw(s.Data), Last: s.Last, Trail: adapter.Trail{End: s.End}}
	for _, stay := range s.Stays {
		out.Trail.Stays = append(out.Trail.Stays, adapter.Stay{Room: stay[0], From: stay[1], To: stay[2]})
	}
	return out, nil
}

// maxTakeOver bounds how long a client that comes anew waits for the other nodes to say that they do not have
// its socket: one of them may be dead.
const maxTakeOver = time.Second

// takeOver ends the connection of a socket, here or on another node, and returns when that has been saved, or
// when nobody has it.
func (n *namespace) takeOver(ctx context.Context, sid string) {
	if n.Namespace.TakeOver(ctx, sid) {
		return
	}
	named := n.c.members.with(n.name)
	if len(named) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxTakeOver)
	defer cancel()
	r := newRequest(kindTakeOver, nil)
	r.ask(named, 0)
	m := &message{kind: kindTakeOver, sid: sid, request: newID()}
	n.mu.Lock()
	n.requests[m.request] = r
	n.mu.Unlock()
	_ = n.finish(ctx, m, r, n.publish(m, "")) // who has it answers; the others do not matter
}

// yield answers kindTakeOver.
func (n *namespace) yield(m *message) {
	ctx, cancel := context.WithTimeout(n.c.ctx, n.c.cfg.RequestTimeout)
	defer cancel()
	answer := &message{kind: kindTakeOverResponse}
	if n.Namespace.TakeOver(ctx, m.sid) {
		answer.count = 1
	}
	n.respond(m, answer)
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
	if err := n.claim(ctx, s); err != nil {
		return err
	}
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
	if err != nil {
		n.line.leave(t)
		return err
	}
	n.line.join(t, missed, seen, have, s, replay, func() { n.JoinAgain(m, s.Trail, s.Rooms...) })
	return nil
}

// claimed begins what a session that has been taken leaves in Redis for a moment: who has taken it. Without that, one
// whose answer was lost could not tell whether it was itself.
const (
	claimed    = "taken:" // no base64
	claimedFor = 10 * time.Second
)

// claim takes a session out of Redis, which one of several can.
func (n *namespace) claim(ctx context.Context, s *adapter.Session) error {
	mark := claimed + newID()
	text, err := again(ctx, func() (string, error) {
		return n.c.client.SetArgs(ctx, n.c.cfg.SessionPrefix+s.PID, mark, redis.SetArgs{Mode: "XX", TTL: claimedFor, Get: true}).Result()
	})
	switch {
	case errors.Is(err, redis.Nil), err == nil && text != mark && strings.HasPrefix(text, claimed):
		return fmt.Errorf("%w: session taken by another", adapter.ErrNoRecovery)
	case err != nil:
		return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
	}
	return nil
}

// attempts is how often Redis is asked for what a recovery needs. Connections break while Redis is well, and the
// next one is made at once; when Redis is away, the client is not kept for long.
const attempts = 5

// again asks Redis by fn, which does no harm when it is repeated, until it has an answer.
func again[T any](ctx context.Context, fn func() (T, error)) (v T, err error) {
	for i := range attempts {
		if v, err = fn(); err == nil || errors.Is(err, redis.Nil) || refused(err) || !pause(ctx, i) {
			break
		}
	}
	return v, err
}

// missed reads the events of the session after what the client has and up to an entry. seen is the number of
// the last entry of each node among them.
func (n *namespace) missed(ctx context.Context, s *adapter.Session, have offset, end streamID) (
	list []tailEvent, seen map[string]uint64, err error,
) {
	const page = 500
	seen = map[string]uint64{}
	after := have.id
	for after.less(end) {
		entries, err := n.between(ctx, "("+after.String(), end.String(), page)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
		}
		for _, x := range entries {
			after, _ = parseStreamID(x.ID)
			if n.line.r.repeated(after) {
				continue
			}
			e := parseEntry(x.Values)
			if e.seq > 0 {
				seen[e.uid] = max(seen[e.uid], e.seq)
			}
			if e.nsp != n.name || e.kind != kindBroadcast {
				continue
			}
			m, err := decodeEntry(e)
			if err != nil || m.request != "" || m.target.Volatile {
				continue
			}
			ev := tailEvent{m.event, m.target, after, e.uid, e.seq}
			if have.has(e.uid, e.seq) || !s.Missed(&ev.t, ev.after) {
				continue
			}
			if list = append(list, ev); len(list) > n.c.cfg.Recovery.MaxEvents {
				return nil, nil, fmt.Errorf("%w: more than %d events missed", adapter.ErrNoRecovery, n.c.cfg.Recovery.MaxEvents)
			}
		}
		if len(entries) < page {
			break
		}
	}
	return list, seen, nil
}
