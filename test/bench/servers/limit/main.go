// Command limit is the benchmark's bare limit: it moves the bytes that a Socket.IO server would, by hand,
// and does nothing else. There is no parser, no check of what comes, no bound on anything, and a client
// that stops reading stops everybody: it says what the system calls cost, not how to write a server.
//
// One goroutine per connection waits for readability without holding a buffer, works off all frames of
// one read in a pooled one, and answers them in one write. A broadcast is one frame, built once and
// written to every connection by whoever sends it.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/beanpole/beanpole/test/bench/servers/control"
)

// hub knows who is connected.
type hub struct {
	mu    sync.RWMutex
	all   group
	rooms map[string]group
}

// group is a set of peers.
type group map[*peer]struct{}

// peer is one client.
type peer struct {
	hub  *hub
	conn *net.TCPConn
	raw  syscall.RawConn

	// Owned by the reader.
	rest  []byte // the beginning of a frame
	reply []byte // frames for the end of this read
	ackID []byte // of a binary event whose attachment is to come
	rooms []string

	// Owned by the reader: the arguments and results of readFD.
	buf  *[]byte
	n    int
	errn error
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

func main() {
	h := &hub{all: group{}, rooms: map[string]group{}}
	control.Serve(http.HandlerFunc(h.upgrade), func() int {
		h.mu.RLock()
		defer h.mu.RUnlock()
		return len(h.all)
	}, control.Listen())
}

func (h *hub) upgrade(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	b := append([]byte(nil), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	b = append(b, "\r\n\r\n"...)
	b = frame(b, 1, []byte(`0{"sid":"`+newID()+`","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`))
	p := &peer{hub: h, conn: conn.(*net.TCPConn)}
	if p.raw, err = p.conn.SyscallConn(); err != nil {
		return
	}
	if _, err := conn.Write(b); err != nil {
		_ = conn.Close()
		return
	}
	go p.loop()
}

func newID() string {
	var b [15]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// loop reads until the connection ends.
func (p *peer) loop() {
	read := p.readFD
	for {
		err := p.raw.Read(read)
		if err != nil || p.errn != nil || p.n <= 0 {
			break
		}
		b := p.buf
		ok := p.take((*b)[:p.n])
		buffers.Put(b)
		if !ok {
			break
		}
	}
	p.leave()
	_ = p.conn.Close()
}

func (p *peer) readFD(fd uintptr) bool {
	p.buf = buffers.Get().(*[]byte)
	p.n, p.errn = syscall.Read(int(fd), *p.buf)
	if p.errn == syscall.EAGAIN {
		buffers.Put(p.buf)
		return false
	}
	return true
}

// take works off the frames in d.
func (p *peer) take(d []byte) (ok bool) {
	if len(p.rest) > 0 {
		d = append(p.rest, d...)
		p.rest = nil
	}
	out := buffers.Get().(*[]byte)
	p.reply = (*out)[:0]
	ok = true
	for ok && len(d) >= 6 {
		n, head := int(d[1]&127), 6
		if n == 126 {
			if len(d) < 8 {
				break
			}
			n, head = int(d[2])<<8|int(d[3]), 8
		} else if n == 127 {
			if len(d) < 14 {
				break
			}
			n, head = int(d[6])<<24|int(d[7])<<16|int(d[8])<<8|int(d[9]), 14
		}
		if len(d) < head+n {
			break
		}
		body := d[head : head+n]
		unmask(body, d[head-4:head])
		switch d[0] & 15 {
		case 1:
			p.text(body)
		case 2:
			p.binary(body)
		case 8:
			p.reply = frame(p.reply, 8, body)
			ok = false
		}
		d = d[head+n:]
	}
	if len(d) > 0 {
		p.rest = append([]byte(nil), d...)
	}
	if len(p.reply) > 0 {
		_, _ = p.conn.Write(p.reply)
	}
	if cap(p.reply) > cap(*out) {
		*out = p.reply[:cap(p.reply)]
	}
	p.reply = nil
	buffers.Put(out)
	return ok
}

func unmask(b, key []byte) {
	k := uint64(key[0]) | uint64(key[1])<<8 | uint64(key[2])<<16 | uint64(key[3])<<24
	k |= k << 32
	for len(b) >= 8 {
		x := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		x ^= k
		b[0], b[1], b[2], b[3] = byte(x), byte(x>>8), byte(x>>16), byte(x>>24)
		b[4], b[5], b[6], b[7] = byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// frame appends one unmasked frame.
func frame(dst []byte, op byte, parts ...[]byte) []byte {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	switch {
	case n < 126:
		dst = append(dst, 0x80|op, byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|op, 126, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x80|op, 127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	for _, part := range parts {
		dst = append(dst, part...)
	}
	return dst
}

var placeholder = []byte(`[{"_placeholder":true,"num":0}]`)

// text knows the events of the benchmark by their bytes.
func (p *peer) text(m []byte) {
	if len(m) < 2 || m[0] != '4' {
		return
	}
	i := 2
	for i < len(m) && m[i]-'0' <= 9 {
		i++
	}
	id, rest := m[2:i], m[i:]
	switch m[1] {
	case '0':
		p.hub.mu.Lock()
		p.hub.all[p] = struct{}{}
		p.hub.mu.Unlock()
		p.reply = frame(p.reply, 1, []byte(`40{"sid":"`+newID()+`"}`))
	case '5':
		if j := bytes.IndexByte(m, '-'); j > 0 {
			j++
			k := j
			for k < len(m) && m[k]-'0' <= 9 {
				k++
			}
			p.ackID = append(p.ackID[:0], m[j:k]...)
		}
	case '2':
		if arg, ok := bytes.CutPrefix(rest, []byte(`["echo",`)); ok {
			p.reply = frame(p.reply, 1, []byte("43"), id, []byte("["), arg)
		} else if arg, ok := bytes.CutPrefix(rest, []byte(`["broadcast",`)); ok {
			p.hub.send("", arg)
		} else if arg, ok := bytes.CutPrefix(rest, []byte(`["join","`)); ok {
			p.join(string(bytes.TrimSuffix(arg, []byte(`"]`))))
			p.reply = frame(p.reply, 1, []byte("43"), id, []byte("[1]"))
		} else if arg, ok := bytes.CutPrefix(rest, []byte(`["room","`)); ok {
			room, arg, _ := bytes.Cut(arg, []byte(`",`))
			p.hub.send(string(room), arg)
		}
	}
}

func (p *peer) binary(m []byte) {
	p.reply = frame(p.reply, 1, []byte("461-"), p.ackID, placeholder)
	p.reply = frame(p.reply, 2, m)
}

func (p *peer) join(room string) {
	p.rooms = append(p.rooms, room)
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	g := p.hub.rooms[room]
	if g == nil {
		g = group{}
		p.hub.rooms[room] = g
	}
	g[p] = struct{}{}
}

func (p *peer) leave() {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	delete(p.hub.all, p)
	for _, room := range p.rooms {
		delete(p.hub.rooms[room], p)
	}
}

// send builds one frame and writes it to all, or to a room.
func (h *hub) send(room string, arg []byte) {
	b := frame(nil, 1, []byte(`42["msg",`), arg)
	h.mu.RLock()
	defer h.mu.RUnlock()
	to := h.all
	if room != "" {
		to = h.rooms[room]
	}
	for p := range to {
		_, _ = p.conn.Write(b)
	}
}
