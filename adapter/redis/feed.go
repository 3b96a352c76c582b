package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// feed is the connection on which a stream is read. The library makes it and says there who this is; what comes then is
// read here, from one buffer: as strings in maps, which the library would make of it, an entry that is not for this
// node costs five times as much.
type feed struct {
	client *redis.Client // has this one connection
	only   *redis.Conn
	addr   string // of its server
	conn   net.Conn
	block  time.Duration // how long a read waits for an entry
	silent time.Duration // how long nothing may come
	out    []byte
	buf    []byte // what was read; up to at it is done with
	at     int
}

// errMoved says that a stream is to be read somewhere else now.
var errMoved = fmt.Errorf("stream has moved: %w", net.ErrClosed)

const (
	feedBuffer = 64 << 10
	// answerSlack is how much longer than it is to wait a read may take.
	answerSlack = 10 * time.Second
	// sentinelBlock bounds how long a read waits where Sentinel may name another master meanwhile: then this one is left.
	sentinelBlock = time.Second
	// sentinelAddr is what the library calls a master that Sentinel names.
	sentinelAddr = "FailoverClient"
)

// openFeed makes a connection to a node. A read on it waits for block.
func openFeed(ctx context.Context, node *redis.Client, block time.Duration) (*feed, error) {
	f := &feed{block: block, silent: block + answerSlack, buf: make([]byte, 0, feedBuffer)}
	o := *node.Options()
	f.addr = o.Addr
	if o.Addr == sentinelAddr {
		f.block = min(block, sentinelBlock)
		f.silent = f.block + publishTimeout
	}
	var mu sync.Mutex // the library dials on a goroutine of its own
	var last net.Conn
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		mu.Lock()
		defer mu.Unlock()
		last = c
		return c, err
	}
	o.Protocol = 2 // nothing comes unasked
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.PipelinePoolSize = 1, 0, 1, 0
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	f.client = redis.NewClient(&o)
	f.only = f.client.Conn() // is not given back: nobody else uses it
	if err := f.only.Ping(ctx).Err(); err != nil && !refused(err) {
		f.close()
		return nil, err
	}
	mu.Lock()
	f.conn = last
	mu.Unlock()
	if f.conn == nil {
		f.close()
		return nil, errUnsent
	}
	return f, nil
}

func (f *feed) close() {
	if f.conn != nil {
		_ = f.conn.Close()
	}
	_ = f.client.Close()
}

// ask asks for what a stream has after an entry, count entries at most, and then whether it has another, unless that is zero.
func (f *feed) ask(stream string, after streamID, count int64, mark streamID) error {
	block := max(1, f.block.Milliseconds())
	if f.out == nil { // others may wait to know about what was read on the connection before
		block = 1
	}
	b := appendCommand(f.out[:0], "XREAD", "COUNT", strconv.FormatInt(count, 10), "BLOCK", strconv.FormatInt(block, 10),
		"STREAMS", stream, after.String())
	if id := mark.String(); mark != (streamID{}) {
		b = appendCommand(b, "XRANGE", stream, id, id, "COUNT", "1")
	}
	f.out = b
	if err := f.conn.SetWriteDeadline(time.Now().Add(publishTimeout)); err != nil {
		return err
	}
	_, err := f.conn.Write(f.out)
	return err
}

func appendCommand(b []byte, args ...string) []byte {
	b = strconv.AppendInt(append(b, '*'), int64(len(args)), 10)
	for _, s := range args {
		b = strconv.AppendInt(append(b, "\r\n$"...), int64(len(s)), 10)
		b = append(append(b, "\r\n"...), s...)
	}
	return append(b, "\r\n"...)
}

// value has fn read one value, again from its start as long as bytes are missing.
func (f *feed) value(fn func(*resp)) error {
	for {
		w := resp{b: f.buf[f.at:]}
		fn(&w)
		switch {
		case w.bad:
			return errShape
		case !w.short:
			f.at = len(f.buf) - len(w.b)
			return nil
		}
		if err := f.more(); err != nil {
			return err
		}
	}
}

// more reads.
func (f *feed) more() error {
	left := copy(f.buf, f.buf[f.at:])
	if f.buf, f.at = f.buf[:left], 0; left == cap(f.buf) {
		f.buf = append(make([]byte, 0, 2*left), f.buf...)
	}
	if err := f.conn.SetReadDeadline(time.Now().Add(f.silent)); err != nil {
		return err
	}
	n, err := f.conn.Read(f.buf[left:cap(f.buf)])
	f.buf = f.buf[:left+n]
	if n > 0 {
		return nil
	}
	return err
}

// begin reads the beginning of an answer of stream, and returns how many entries follow.
func (f *feed) begin(stream string) (n int, err error) {
	var text []byte
	err = f.value(func(w *resp) {
		if text, n = w.refusal(), 0; text != nil {
			return
		}
		if w.list() < 1 {
			return // nothing came
		}
		if w.list() != 2 || string(w.text()) != stream {
			w.fail(false)
		}
		n = w.list()
	})
	if err == nil && text != nil {
		err = refusal(strings.TrimSpace(string(text)))
	}
	return n, err
}

// has reads whether the stream has an entry.
func (f *feed) has() (has bool, err error) {
	var text []byte
	err = f.value(func(w *resp) {
		if text = w.refusal(); text != nil {
			return
		}
		if has = w.list() > 0; has {
			w.entry()
		}
	})
	if err == nil && text != nil {
		err = refusal(strings.TrimSpace(string(text)))
	}
	return has, err
}

// done ends an answer.
func (f *feed) done() {
	if cap(f.buf) > 16*feedBuffer && f.at == len(f.buf) { // that was for a large entry
		f.buf, f.at = make([]byte, 0, feedBuffer), 0
	}
}

// connect makes the connection on which the stream is read.
func (r *reader) connect(ctx context.Context) error {
	node, err := nodeFor(ctx, r.c.client, r.stream)
	if err != nil {
		return err
	}
	f, err := openFeed(ctx, node, r.c.cfg.BlockTime)
	if err != nil {
		return err
	}
	r.feed = f
	r.open.Store(f)
	return nil
}

// pull reads entries after an id, hands them on, and returns how many there were and of about how many bytes.
func (r *reader) pull(ctx context.Context, after streamID) (n, size int, err error) {
	f := r.feed
	defer func() {
		if err != nil {
			r.leave()
		}
	}()
	mark := r.mark
	if r.c.cfg.Recovery == nil {
		mark = streamID{}
	}
	if err := f.ask(r.stream, after, r.page, mark); err != nil {
		return 0, 0, err
	}
	of, err := f.begin(r.stream)
	var no refusal
	if errors.As(err, &no) {
		return 0, 0, r.refused(ctx, err, after)
	}
	if of > 0 && mark != (streamID{}) {
		r.places.begin()
	}
	small, apart := streamID{}, int(min(maxApart, r.maxLen()/4))
	for n < of && err == nil {
		var e brought
		var known bool
		if err = f.value(func(w *resp) { e, known = w.entry() }); err != nil {
			break
		}
		if n++; !known {
			continue
		}
		one := r.handle(ctx, &e)
		size += one
		if r.marked++; one <= maxMark || r.marked > apart {
			small, r.marked = e.id, 0
		}
	}
	if err == nil {
		err = r.joined(mark, small, of)
	}
	f.done()
	return n, size, err
}

// refused returns what an error of Redis on the connection means, on which what comes after an entry was to be read.
func (r *reader) refused(ctx context.Context, err error, after streamID) error {
	// The library knows what its errors mean, and follows a stream that has moved.
	e := r.c.client.XRead(ctx, &redis.XReadArgs{Streams: []string{r.stream, after.String()}, Count: 1, Block: -1}).Err()
	no := err.Error()
	if moved := strings.HasPrefix(no, "MOVED") || strings.HasPrefix(no, "ASK"); moved && (e == nil || errors.Is(e, redis.Nil)) {
		return errMoved
	}
	return err
}

// leave ends the connection on which the stream is read; the next read makes another.
func (r *reader) leave() {
	if r.feed != nil {
		r.open.Store(nil)
		r.feed.close()
		r.feed = nil
	}
}

// stray ends a read at a server that is not among the masters any more: it may hang, and say nothing for as long as a read may
// take.
func (r *reader) stray(masters map[string]*redis.Client) {
	if f := r.open.Load(); f != nil && masters[f.addr] == nil {
		_ = f.conn.Close()
	}
}
