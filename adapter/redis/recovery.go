package redis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
)

// Recovers reports whether clients may recover: in streams mode with Config.Recovery.
func (n *namespace) Recovers() bool { return n.line != nil }

// savedSession is a session in Redis, in base64 of MessagePack (redis-streams-adapter, persistSession).
type savedSession struct {
	SID   text           `json:"sid"`
	PID   text           `json:"pid"`
	Rooms names          `json:"rooms"`
	Data  jsontext.Value `json:"data"`
}

// Save keeps s in Redis for the time of Recovery.MaxDisconnection, and returns when it is there, as the
// client may be back at once. When Redis is out of reach it is left to the outbox: the error is
// ErrDegraded then.
func (n *namespace) Save(ctx context.Context, s adapter.Session) error {
	if n.line == nil {
		return adapter.ErrNoRecovery
	}
	form := appendQuoted([]byte(`{"sid":`), s.SID)
	form = appendQuoted(append(form, `,"pid":`...), s.PID)
	form = appendNames(append(form, `,"rooms":`...), s.Rooms)
	form = appendRaw(append(form, `,"data":`...), s.Data)
	b, err := toMsgpack(nil, append(form, '}'), nil)
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

// Restore takes a session of any node back.
func (n *namespace) Restore(ctx context.Context, pid, at string) (*adapter.Session, error) {
	if n.line == nil {
		return nil, adapter.ErrNoRecovery
	}
	have, ok := parseOffset(at)
	if !ok {
		return nil, fmt.Errorf("%w: unknown offset", adapter.ErrNoRecovery)
	}
	ctx, cancel := n.bound(ctx)
	defer cancel()
	id := have.id.String()
	entries, err := n.c.client.XRangeN(ctx, n.line.r.stream, id, id, 1).Result()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%w: events trimmed", adapter.ErrNoRecovery)
	}
	key := n.c.cfg.SessionPrefix + pid
	var get *redis.StringCmd
	_, err = n.c.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		get = p.Get(ctx, key)
		p.Del(ctx, key)
		return nil
	})
	if errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("%w: unknown or expired session", adapter.ErrNoRecovery)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
	}
	s, err := parseSession(get.Val())
	if err != nil || s.PID != pid {
		return nil, fmt.Errorf("%w: session cannot be read", adapter.ErrNoRecovery)
	}
	s.Offset = at
	return s, nil
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
	return &adapter.Session{SID: string(s.SID), PID: string(s.PID), Rooms: s.Rooms, Data: adapter.Raw(s.Data)}, nil
}

// Resume reads what the session missed from the stream, up to where this node's own reader stands,
// and joins there.
func (n *namespace) Resume(ctx context.Context, m adapter.Member, s *adapter.Session, replay func(adapter.Message)) error {
	if n.line == nil {
		return adapter.ErrNoRecovery
	}
	have, ok := parseOffset(s.Offset)
	if !ok {
		return fmt.Errorf("%w: unknown offset", adapter.ErrNoRecovery)
	}
	ctx, cancel := n.bound(ctx)
	defer cancel()
	until := have.id
	if have.uid != "" {
		// What the client got early must be behind this node's reader, or it would come as new.
		last, err := n.c.client.XRevRangeN(ctx, n.line.r.stream, "+", "-", 1).Result()
		if err != nil {
			return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
		}
		if len(last) > 0 {
			until, _ = parseStreamID(last[0].ID)
		}
	}
	// The client may have seen more on its last node than this one has read.
	for {
		pos, changed := n.line.r.at()
		if !pos.less(until) {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", adapter.ErrNoRecovery, ctx.Err())
		}
	}
	t, end := n.line.follow()
	missed, err := n.missed(ctx, have, end)
	if err != nil {
		n.line.leave(t)
		return err
	}
	n.line.join(t, missed, have, s.Rooms, replay, func() { n.Join(m, s.Rooms...) })
	return nil
}

// missed reads the events of the namespace after what the client has and up to an entry.
func (n *namespace) missed(ctx context.Context, have offset, end streamID) (list []tailEvent, err error) {
	const page = 500
	read, after := 0, have.id
	for after.less(end) {
		entries, err := n.c.client.XRangeN(ctx, n.line.r.stream, "("+after.String(), end.String(), page).Result()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
		}
		if read += len(entries); read > n.c.cfg.Recovery.MaxEvents {
			return nil, fmt.Errorf("%w: more than %d events missed", adapter.ErrNoRecovery, n.c.cfg.Recovery.MaxEvents)
		}
		for _, x := range entries {
			after, _ = parseStreamID(x.ID)
			e := parseEntry(x.Values)
			if e.nsp != n.name || e.kind != kindBroadcast {
				continue
			}
			m, err := decodeEntry(e)
			if err != nil || m.request != "" || m.target.Volatile {
				continue
			}
			have.id = after
			list = append(list, tailEvent{adapter.WithOffset(m.event, have.String()), m.target, e.uid, e.seq})
		}
		if len(entries) < page {
			break
		}
	}
	return list, nil
}
