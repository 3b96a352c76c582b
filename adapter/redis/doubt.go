package redis

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// resolve decides about commands of which it is not known whether Redis has done them: published messages are
// not sent again, a stream is asked. It returns what is to be sent again.
func (s *sender) resolve(ctx context.Context, doubt []*command, cause error) (again []*command) {
	streams := map[string][]*command{}
	for _, c := range doubt {
		switch c.op {
		case opXAdd:
			streams[c.key] = append(streams[c.key], c)
		case opSet:
			if !s.saved(ctx, c) {
				again = append(again, c)
			} else if c.done != nil {
				c.done("", nil)
			}
		default:
			s.dubious(c, cause)
		}
	}
	for stream, list := range streams {
		again = append(again, s.ask(ctx, stream, list)...)
	}
	return again
}

// dubious gives up a message that Redis may have passed on: sent again, it would reach those twice who had it and
// do not know numbers. The others ask for it.
func (s *sender) dubious(c *command, cause error) {
	s.keeper.rings.handed(c)
	if c.number > 0 {
		s.keeper.rings.of(laneKey{c.nsp, c.lane}).doubt(c)
	}
	switch {
	case c.urgent:
	case !strings.Contains(c.nsp, "#"): // without a number it is an answer
		s.unsure[c.nsp]++
	default:
		s.stats.lost[lostUnconfirmed].Add(1)
	}
	if c.done != nil {
		c.done("", cause)
	}
}

// saved reports whether Redis has done a SET, even if the session that it saved has been claimed since: set once
// more, it would be there for a second socket.
func (s *sender) saved(ctx context.Context, c *command) bool {
	for n := 0; ; n++ {
		tctx, cancel := context.WithTimeout(ctx, publishTimeout)
		var text string
		err := again(tctx, func() (err error) {
			text, err = s.client.Get(tctx, c.key).Result()
			return err
		})
		cancel()
		switch {
		case err == nil && (c.was == "" || !strings.HasPrefix(text, c.was)):
			s.stats.published.Add(1)
			return true // it is there, or has been claimed, as only then another can be
		case err == nil || errors.Is(err, redis.Nil):
			if n > 0 { // as in ask
				return false
			}
		default:
			if s.state.set(PartSending, s.addr, err); ctx.Err() != nil || time.Since(c.at) > s.maxAge {
				return false
			}
		}
		if !pause(ctx, 3) {
			return false
		}
	}
}

// ask reads the end of a stream until it is known which of the commands it holds.
func (s *sender) ask(ctx context.Context, stream string, list []*command) (missing []*command) {
	// Not from where this node's reader stands, which may have gone past them.
	after := cmp.Or(s.acked[stream], "0-0")
	found := map[uint64]string{}
	// A server that stood still may take what the broken connection brought it some moments after
	// the first question. Twice the same answer is taken for the truth.
	for n, before := 0, -1; ; n++ {
		if err := s.scan(ctx, stream, after, list[0].xadd.source(), found); err != nil {
			if s.state.set(PartSending, s.addr, err); ctx.Err() != nil || time.Since(list[0].at) > s.maxAge {
				return list // flush drops what is too old
			}
			if !pause(ctx, n) {
				return list
			}
			before = -1
			continue
		}
		seen := 0
		for _, c := range list {
			if _, ok := found[c.xadd.seq]; ok {
				seen++
			}
		}
		if seen == len(list) || seen == before {
			break
		}
		before = seen
		if !pause(ctx, 3) {
			return list
		}
	}
	for _, c := range list {
		id, ok := found[c.xadd.seq]
		if !ok {
			missing = append(missing, c)
			continue
		}
		s.published(c, id)
	}
	return missing
}

// scan adds the numbers and ids of the entries of a source after an id to found.
func (s *sender) scan(ctx context.Context, stream, after, source string, found map[uint64]string) error {
	for {
		tctx, cancel := context.WithTimeout(ctx, publishTimeout)
		var list []redis.XMessage
		err := again(tctx, func() (err error) {
			list, err = s.client.XRangeN(tctx, stream, "("+after, "+", 1000).Result()
			return err
		})
		cancel()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		for _, e := range list {
			if x := parseEntry(e.Values); x.seq > 0 && x.source() == source {
				found[x.seq] = e.ID
			}
			after = e.ID
		}
		if len(list) < 1000 {
			return nil
		}
	}
}
