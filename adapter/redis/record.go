package redis

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A node that has ended cannot be asked what it published while another was away. So each keeps in Redis where its lanes
// end: a hash of one field a lane, which is begun anew every recordLife, or when it is long, and expires after twice that, and a sorted set
// of these hashes by when they were written. Who comes back reads those of nodes that are not there any more, and counts
// what it lacks as lost. A node that is closed stays, for a while, until those have asked that are away.
const (
	recordLife = 10 * time.Minute
	// recordRenewed is how often a hash is written to the set: Redis may have been emptied, and who looks there has no other way to it.
	recordRenewed = time.Second
	// maxRecorded is about how many bytes one hash may have, fieldCost for each lane besides its names; two of a node are kept.
	maxRecorded = 20_000_000
	fieldCost   = 100
)

// record is where the lanes of a node end, as it keeps it in Redis.
type record struct {
	client redis.UniversalClient
	at     string // prefix of the keys, all in one slot
	uid    string

	// Owned by whoever writes.
	name    string // of the hash
	before  string // the one before, if that had become too long
	written int    // bytes of fields, those written again too
	begun   time.Time
	renewed time.Time
}

func newRecord(c redis.UniversalClient, cfg *Config, uid string) *record {
	return &record{client: c, at: cfg.Prefix + "-beanpole:{" + cfg.Prefix + "}:", uid: uid}
}

// recorded is the end of a lane in a record.
type recorded struct {
	n, count    uint64
	first, last time.Time // when the first and the last message of it were published
}

func (x *recorded) append(b []byte) []byte {
	for _, v := range []uint64{x.n, x.count, uint64(x.first.UnixMilli()), uint64(x.last.UnixMilli())} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func readRecorded(b string) (x recorded, ok bool) {
	l := letter{b: []byte(b)}
	x.n, x.count = l.readUint(), l.readUint()
	x.first, x.last = time.UnixMilli(int64(l.readUint())), time.UnixMilli(int64(l.readUint()))
	return x, !l.bad && x.n > 0 && x.count > 0 && x.count <= x.n
}

func (k laneKey) field() string { return k.nsp + "\x00" + k.lane }

// write writes ends.
func (r *record) write(ctx context.Context, ends map[laneKey]recorded) error {
	now := time.Now()
	drop := ""
	if long := r.written > maxRecorded; long || now.Sub(r.begun) > recordLife {
		drop, r.before = r.before, ""
		if long {
			r.before = r.name
		}
		r.name, r.begun, r.renewed, r.written = r.uid+"."+strconv.FormatInt(now.UnixMilli(), 36), now, time.Time{}, 0
	}
	args := make([]any, 0, 2*len(ends))
	bytes := 0
	for key, x := range ends {
		args = append(args, key.field(), x.append(nil))
		bytes += fieldCost + len(key.nsp) + len(key.lane)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	renew := now.Sub(r.renewed) >= recordRenewed
	err := again(ctx, func() error {
		_, err := r.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			if drop != "" {
				p.PExpire(ctx, r.at+drop, time.Millisecond)
				p.ZRem(ctx, r.at+"ends", drop)
			}
			p.HSet(ctx, r.at+r.name, args...)
			p.PExpire(ctx, r.at+r.name, 2*recordLife) // each time: Redis may have lost the one before
			if renew {
				p.ZAdd(ctx, r.at+"ends", redis.Z{Score: float64(now.UnixMilli()), Member: r.name})
				p.ZRemRangeByScore(ctx, r.at+"ends", "-inf", strconv.FormatInt(now.Add(-2*recordLife).UnixMilli(), 10))
				p.PExpire(ctx, r.at+"ends", 2*recordLife)
			}
			return nil
		})
		return err
	})
	if r.written += bytes; err == nil && renew {
		r.renewed = now
	}
	return err
}

// departed returns the records of nodes that are in the roster no more, by their uids, of those that were written since
// a time.
func (r *record) departed(ctx context.Context, since time.Time) (names map[string][]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	var all *redis.ZSliceCmd
	var live *redis.StringSliceCmd
	err = again(ctx, func() error {
		_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			all, live = p.ZRangeWithScores(ctx, r.at+"ends", 0, -1), p.ZRange(ctx, r.at+"nodes", 0, -1)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	names = map[string][]string{}
	for _, z := range all.Val() {
		name, _ := z.Member.(string)
		uid, _, _ := strings.Cut(name, ".")
		if uid != r.uid && !slices.Contains(live.Val(), uid) && time.UnixMilli(int64(z.Score)).Add(recordRenewed+slack).After(since) {
			names[uid] = append(names[uid], name)
		}
	}
	return names, nil
}

// read returns what records of one node say of lanes.
func (r *record) read(ctx context.Context, names []string, keys []laneKey) (ends map[laneKey]recorded, err error) {
	ends = map[laneKey]recorded{}
	for _, name := range names {
		for part := range slices.Chunk(keys, maxTails) {
			fields := make([]string, len(part))
			for i, key := range part {
				fields[i] = key.field()
			}
			tctx, cancel := context.WithTimeout(ctx, publishTimeout)
			var values []any
			err := again(tctx, func() (err error) {
				values, err = r.client.HMGet(tctx, r.at+name, fields...).Result()
				return err
			})
			cancel()
			if err != nil {
				return nil, err
			}
			for i, v := range values {
				text, _ := v.(string)
				if x, ok := readRecorded(text); ok && x.n > ends[part[i]].n {
					ends[part[i]] = x
				}
			}
		}
	}
	return ends, nil
}
