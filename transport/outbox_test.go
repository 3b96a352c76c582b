package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"time"
)

func TestSlowConsumerIsClosed(t *testing.T) {
	for _, prepared := range []bool{false, true} {
		t.Run(fmt.Sprint("prepared=", prepared), func(t *testing.T) {
			h := newHarness(t, Config{MaxBacklogBytes: 1 << 20}, nil)
			_, r := h.openWebSocket() // which never reads
			m := Message{Data: bytes.Repeat([]byte("x"), 64<<10)}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sent := 0
			var err error
			for err == nil && sent < 1000 {
				if prepared {
					err = r.session.SendPrepared(SendOptions{}, Prepare(m))
				} else {
					err = r.session.Send(SendOptions{}, m)
				}
				sent++
				if _, size := r.session.Backlog(); size > 1<<20+len(m.Data)+100 {
					t.Fatalf("%d bytes wait", size)
				}
			}
			want(t, "err", err, error(ErrBacklog))
			want(t, "reason", r.reason(t), "slow consumer")
			want(t, "after", r.session.Send(SendOptions{}, m), error(ErrClosed))
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
				t.Errorf("heap grew by %d bytes", grown)
			}
		})
	}
}

func TestSlowConsumerOfControlFrames(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 10 << 10}, nil)
	c, r := h.openWebSocket()
	_ = c.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	pings := bytes.Repeat(maskedFrame(9, "0123456789012345678901234567890123456789"), 1000)
	go func() {
		for {
			if _, err := c.conn.Write(pings); err != nil {
				return
			}
		}
	}()
	want(t, "reason", r.reason(t), "slow consumer")
}

func TestBacklogDrainsInOrder(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 64 << 20}, nil)
	c, r := h.openWebSocket()
	shared := Prepare(Message{Data: bytes.Repeat([]byte{7}, 3000), Binary: true})
	const n = 3000
	for i := range n {
		data := binary.BigEndian.AppendUint32(nil, uint32(i))
		data = append(data, bytes.Repeat([]byte{1}, rand.IntN(8000))...)
		if err := r.session.Send(SendOptions{}, Message{Data: data, Binary: true}); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			if err := r.session.SendPrepared(SendOptions{}, shared); err != nil {
				t.Fatal(err)
			}
		}
	}
	packets, _ := r.session.Backlog()
	if packets == 0 {
		t.Fatal("nothing waits")
	}
	want(t, "writable", r.session.Writable(), false)
	want(t, "volatile", r.session.Send(SendOptions{Volatile: true}, Message{}), nil)
	for i := range n {
		f, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		want(t, "message", binary.BigEndian.Uint32(f.Payload), uint32(i))
		if i%5 == 0 {
			if f, err = c.frame(); err != nil || len(f.Payload) != 3000 {
				t.Fatalf("shared message of %d bytes, %v", len(f.Payload), err)
			}
		}
	}
	eventually(t, "drained", func() bool { p, b := r.session.Backlog(); return p == 0 && b == 0 && r.session.Writable() })
	eventually(t, "goroutine ended", func() bool { return goroutinesIn("drain") == 0 })
	want(t, "dropped", h.srv.Stats().VolatileDropped, uint64(1))
}

func TestCloseSendsBacklog(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 64 << 20}, nil)
	c, r := h.openWebSocket()
	m := Message{Data: bytes.Repeat([]byte("x"), 1<<20)}
	for range 16 {
		_ = r.session.Send(SendOptions{}, m)
	}
	r.session.Close(ReasonForcedServerClose)
	want(t, "send", r.session.Send(SendOptions{}, m), error(ErrClosed))
	select {
	case <-r.done:
		t.Fatal("closed before the backlog left")
	case <-time.After(20 * time.Millisecond):
	}
	for range 16 {
		want(t, "size", len(c.text()), 1+1<<20)
	}
	want(t, "code", c.eof(), "none")
	want(t, "reason", r.reason(t), "forced server close")
}

func TestWriteTimeout(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 64 << 20, WriteTimeout: 100 * time.Millisecond}, nil)
	_, r := h.openWebSocket()
	for range 16 {
		_ = r.session.Send(SendOptions{}, Message{Data: bytes.Repeat([]byte("x"), 1<<20)})
	}
	want(t, "reason", r.reason(t), "transport error")
	want(t, "cause", errors.Is(r.cause, errWriteTimeout), true)
}

// A write after a drain whose deadline has passed must not fail.
func TestWriteDeadlineIsCleared(t *testing.T) {
	h := newHarness(t, Config{MaxBacklogBytes: 64 << 20, WriteTimeout: 3 * time.Second}, nil) // the client must get to read
	c, r := h.openWebSocket()
	for range 8 {
		_ = r.session.Send(SendOptions{}, Message{Data: bytes.Repeat([]byte("x"), 1<<20)})
	}
	for range 8 {
		c.text()
	}
	time.Sleep(3200 * time.Millisecond) // for the deadline, not for an event
	want(t, "send", r.session.Send(SendOptions{}, Message{Data: []byte("x")}), nil)
	want(t, "message", c.text(), "4x")
}

// The bound is that of the limit and the largest message, wherever that stands.
func TestOutboxDoesNotCountTheLargest(t *testing.T) {
	cfg := &Config{MaxBacklogBytes: 1000, MaxBacklogPackets: 10}
	var o outbox
	want(t, "empty", o.full(1, 1_000_000, cfg), false)
	o.add(make([]byte, 900), 1, false, true)
	want(t, "large behind", o.full(1, 1_000_000, cfg), false)
	o.add(make([]byte, 1_000_000), 1, false, true)
	want(t, "crowded", o.crowded(cfg), true)
	want(t, "up to the limit", o.full(1, 100, cfg), false)
	want(t, "beyond", o.full(1, 101, cfg), true)
	want(t, "a second large one", o.full(1, 1_000_000, cfg), true)
	want(t, "packets", o.full(9, 1, cfg), true)
	o.vector(nil)
	o.wrote(900)
	want(t, "crowded", o.crowded(cfg), true)
	want(t, "up to the limit", o.full(1, 1000, cfg), false)
	o.add(make([]byte, 1000), 1, false, true)
	o.vector(nil)
	o.wrote(999_500)
	want(t, "the rest of a large one", o.full(1, 500, cfg), false)
	want(t, "the rest of a large one", o.full(1, 600, cfg), true)
}

func TestOutboxDropsVolatileBehindWhatIsWritten(t *testing.T) {
	var o outbox
	o.add([]byte("aaa"), 1, true, false)
	o.add([]byte("bb"), 1, true, false)
	o.add([]byte("cc"), 1, false, false)
	want(t, "chunks", len(o.chunks), 2) // the volatile ones together
	v := o.vector(nil)
	want(t, "vector", fmt.Sprintf("%s", v), "[aaabb cc]")
	o.add([]byte("d"), 1, true, false)
	o.add([]byte("e"), 1, false, false)
	want(t, "dropped", o.dropVolatile(), 1)
	want(t, "left", fmt.Sprint(o.packets, o.bytes), "4 8")
	o.wrote(4)
	want(t, "left", fmt.Sprint(o.packets, o.bytes), "4 4")
	want(t, "a frame has begun", o.dropVolatile(), 0)
	o.wrote(4)
	want(t, "left", fmt.Sprint(o.packets, o.bytes, o.empty()), "0 0 true")
}
